import type { Finding, JsonObject } from '../base/index.ts';
import type { Digest } from './digest.ts';

/** What became of a run (M37): `failed_before_commit` means that no statement of it ran, `rolled_back` that its work was aborted or undone and the baseline is proved. */
export type Outcome = 'committed' | 'rolled_back' | 'failed_before_commit' | 'indeterminate';

/** A named check that ran, or ought to have run. Nothing inherits a pass (M40). */
export interface Check extends JsonObject {
  readonly name: string;
  readonly status: 'pass' | 'fail' | 'error' | 'not_run';
  /** False where the receipt passes without it, such as a signature in dev. */
  readonly required?: false;
}

/** A file that the run read or wrote. */
export interface Artifact extends JsonObject {
  readonly path: string;
  readonly digest: Digest;
}

/** Which policy allowed a run, and to which request it said so. */
export interface DecidedPolicy extends JsonObject {
  /** Of policy, request and decision together. */
  readonly decision_id: Digest;
  /** `built-in`, or where the policy was read from. */
  readonly policy_label: string;
  readonly policy_digest: Digest;
  readonly request_digest: Digest;
}

/** How the state at the end of a way back compares with the baseline it leads to. */
export interface EqualityProof extends JsonObject {
  readonly status: 'equal' | 'equal_except_new_writes' | 'not_equal';
  /** Digests of the two baselines compared: of what the way back leads to, and of what it came to. */
  readonly expected: Digest;
  readonly found: Digest;
  /** Digests of what the forward run had left, and of what the way back began with, where the proof looks at these too. */
  readonly left?: Digest;
  readonly begun?: Digest;
  /** Rows that others wrote and that were kept, exact, per table; `gone` are rows that they had changed or deleted. */
  readonly new_writes: readonly { readonly table: string; readonly rows: number; readonly gone?: number }[];
}

/** Everything of a receipt that is known when the deciding transaction commits; kept in the ledger row's body. */
export interface ReceiptBody extends JsonObject {
  readonly run_receipt_version: 'v1';
  readonly run_id: string;
  readonly run_type: 'migration';
  /** A rehearsal never counts as an execution (M38). */
  readonly direction: 'forward' | 'rollback' | 'retire' | 'rehearsal';
  readonly migration_id: string;
  readonly outcome: Outcome;
  readonly actor: { readonly principal: string; readonly role: string };
  readonly started_at: string;
  readonly finished_at: string;
  readonly environment: {
    readonly name: string;
    readonly git_commit: string | null;
    readonly params_digest: Digest | null;
    readonly host: string;
  };
  readonly inputs: readonly Artifact[];
  readonly outputs: readonly Artifact[];
  readonly bundle_digest: Digest;
  readonly plan_digest: Digest;
  /** Digests of the envelopes of the approvals that it needed. */
  readonly approvals: readonly Digest[];
  readonly enforcement: { readonly level: string; readonly layers: readonly string[]; readonly role: string };
  readonly validation: {
    readonly status: 'pass' | 'fail';
    readonly checks: readonly Check[];
    readonly findings: readonly (Finding & JsonObject)[];
  };
  /** `rung` is null while no rehearsal and no earlier rollback stands behind the class. */
  readonly rollback: { readonly class: string; readonly rung: string | null };
  /** The decision of the policy that allowed the run (M128); policy and request are in the evidence store. */
  readonly policy?: DecidedPolicy;
  /** The run that this one takes back. */
  readonly rolls_back?: string;
  /** On the way back: how the end compares with the baseline. */
  readonly proof?: EqualityProof;
}

/** The record of one run, checked offline. */
export interface Receipt extends ReceiptBody {
  /** Where the deciding ledger entry stands. */
  readonly chain: { readonly seq: number; readonly prev: Digest; readonly digest: Digest };
  /** The runner key that signed the statement of this receipt; null: nobody did. Absent in a receipt of an earlier release. */
  readonly signed_by?: Digest | null;
  /** Until when nobody takes it, or what it names, out of the evidence store. */
  readonly retention_until?: string;
  /** The state at which recovery found the run; absent where the run ended by itself. */
  readonly resolved_from?: string;
}

/** What is added to a body once its ledger entry is durable. */
export interface ReceiptEnd {
  readonly chain: Receipt['chain'];
  /** Checks that ran after the commit. */
  readonly checks: readonly Check[];
  readonly findings: readonly (Finding & JsonObject)[];
  readonly resolvedFrom: string | undefined;
  readonly signedBy: Digest | null;
  readonly retentionUntil: string;
}

/** The receipt of a body that was kept in the ledger, whoever builds it and whenever. */
export function buildReceipt(body: ReceiptBody, end: ReceiptEnd): Receipt {
  const checks = [...body.validation.checks, ...end.checks];
  return {
    ...body,
    validation: {
      status: validationStatus(body.outcome, checks),
      checks,
      findings: [...body.validation.findings, ...end.findings],
    },
    chain: end.chain,
    signed_by: end.signedBy,
    retention_until: end.retentionUntil,
    ...(end.resolvedFrom === undefined ? {} : { resolved_from: end.resolvedFrom }),
  };
}

/** The documents of the policy that allowed a run: evidence like its inputs. */
export function policyDocuments({ policy }: Pick<ReceiptBody, 'policy'>): readonly Artifact[] {
  if (policy === undefined) return [];
  return [
    { path: 'policy', digest: policy.policy_digest },
    { path: 'policy request', digest: policy.request_digest },
  ];
}

/** A receipt passes only when the run was committed and every check that is required of it ran and passed (M40). */
export function validationStatus(outcome: Outcome, checks: readonly Check[]): 'pass' | 'fail' {
  return outcome === 'committed' &&
    checks.some(({ status }) => status === 'pass') &&
    checks.every(({ status, required }) => status === 'pass' || (required === false && status === 'not_run'))
    ? 'pass'
    : 'fail';
}

/**
 * The record of one rehearsal: what a run on a disposable copy of the target showed. It stands in no ledger, for nothing
 * happened to the target, and never counts as an execution (M38).
 */
export interface RehearsalReceipt extends JsonObject {
  readonly run_receipt_version: 'v1';
  readonly run_id: string;
  readonly run_type: 'migration';
  readonly direction: 'rehearsal';
  readonly migration_id: string;
  readonly actor: ReceiptBody['actor'];
  readonly started_at: string;
  readonly finished_at: string;
  /** Whose target was copied. */
  readonly environment: ReceiptBody['environment'];
  readonly inputs: readonly Artifact[];
  /** What the copy was measured to be, before, after, and after the way back. */
  readonly outputs: readonly Artifact[];
  readonly bundle_digest: Digest;
  readonly plan_digest: Digest;
  readonly enforcement: ReceiptBody['enforcement'];
  readonly validation: ReceiptBody['validation'];
  /** `R3` where the way back and the second forward gave what they had to, `R4` with rows written since; null: this was not shown. */
  readonly rollback: { readonly class: string; readonly rung: 'R3' | 'R4' | null };
  /** What was written after the way forward, and what became of the way back (M108); absent where nothing was. */
  readonly probe?: {
    readonly tables: readonly { readonly table: string; readonly rows: number }[];
    readonly way_back: 'applied' | 'refused' | 'not_run';
  };
  /** Until when what it names is evidence (M122); absent in receipts of an earlier release. */
  readonly retention_until?: string;
  readonly policy?: DecidedPolicy;
  /** What running forward twice in a row comes to (M131). */
  readonly forward_twice: 'no_op' | 'error' | 'second_change' | 'not_run';
  /** The runner key that signed it; null: nobody did. */
  readonly signed_by: Digest | null;
}

/**
 * Whether a planned run may begin: what its findings still refuse once approvals are counted, and what its environment asks
 * for (M49, M50, M53, M58), and at last the policy (M128).
 *
 * | environment | beside a plan without refusals |
 * |---|---|
 * | dev | nothing |
 * | stage | the signatures of all required reviewers, newer than the last rollback, and a passing rehearsal of this plan (R3; R4 where the change is governance-critical) |
 * | prod | those, the merge, and a passing receipt of stage for the same inputs that is not taken back, at most 30 days old, and of a rehearsal with rows written in between (R4) |
 */
import { isRefused, refusal, type Finding, type JsonObject } from '../base/index.ts';
import { readChain, type ApprovedException, type Digest, type Receipt } from '../evidence/index.ts';
import { join } from 'node:path';
import type { Bundle } from './bundle.ts';
import { classFindings } from './change-class.ts';
import type { RunnerOptions } from './environment.ts';
import { readEvidence, readIfThere } from './evidence-store.ts';
import { excepting, holdToApprovals, withoutReview } from './exception.ts';
import { readApprovals, storeApprovals, type ValidApproval } from './find-approvals.ts';
import { readKeyRegister } from './key-register.ts';
import type { LedgerRun } from './ledger.ts';
import type { PlanFile } from './plan-file.ts';
import { holdToPolicy, type KeptPolicy } from './policy/index.ts';
import type { Refused } from './refused.ts';
import { isMerged } from './merged.ts';
import { readRegistry } from './registry.ts';
import { canProbe, hearRehearsal } from './rehearsal.ts';
import { reviewFindings } from './reviewers.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

/** A run that may begin, with what allows it. */
export interface Admitted {
  readonly status: 'admitted';
  /** Of the envelopes. */
  readonly approvals: readonly Digest[];
  /** What the signatures allow of what the run itself may find. */
  readonly exceptions: readonly (ApprovedException & { readonly principal: string })[];
  readonly findings: readonly Finding[];
  /** The decision of the policy; undefined on a copy, where nobody is asked. */
  readonly policy: KeptPolicy | undefined;
}

/** A run that is asked for. */
export interface Asked {
  readonly bundle: Bundle;
  readonly direction: 'forward' | 'rollback';
  readonly plan: PlanFile;
  /** Of the plan made now, and of the files. */
  readonly findings: readonly Finding[];
  readonly runs: readonly LedgerRun[];
}

/** Days that a receipt of stage speaks for prod. */
const STAGE_RECEIPT_DAYS = 30;

/** Holds a run to its approvals and its environment. Errors: refuses with what is missing, and with `key_invalid`. */
export async function admitRun(options: RunnerOptions, asked: Asked): Promise<Admitted | Refused> {
  const { bundle, direction, plan } = asked;
  if (options.isRehearsal === true) return admitRehearsal(options, asked.findings);
  const grant = direction === 'forward' ? 'apply' : 'rollback';
  const reading = await readApprovals(options, bundle, { planDigest: plan.plan_digest, grant });
  if (reading.status === 'refused') return reading;
  const since = direction === 'forward' ? lastRollbackMs(asked) : Number.NEGATIVE_INFINITY;
  const approvals = reading.approvals.filter(({ issuedAtMs }) => issuedAtMs > since);
  const findings = [
    ...holdToApprovals(asked.findings, approvals),
    ...classFindings(bundle, asked.findings),
    ...(direction === 'forward' ? await environmentFindings(options, asked, approvals) : []),
  ];
  // An approval that does not count is told of only where one is missed.
  if (isRefused(findings)) return { status: 'refused', findings: [...findings, ...reading.findings] };
  const allowed = await holdToPolicy(options, {
    action: grant,
    bundle,
    level: plan.bound.enforcement?.level ?? 'none',
    grants: approvals.flatMap(({ grants }) => grants),
    reviewers: approvals.map(({ principal }) => principal),
  });
  if (allowed.status === 'refused') return allowed;
  await storeApprovals(options.root, approvals);
  return {
    status: 'admitted',
    approvals: approvals.map(({ digest }) => digest).toSorted(),
    exceptions: approvals.flatMap(({ principal, exceptions }) =>
      exceptions.map((exception) => ({ ...exception, principal })),
    ),
    findings,
    policy: allowed.policy,
  };
}

/** On a copy nobody has to be asked: what wants a review is what reviewers want to see the effect of. */
function admitRehearsal(
  { rehearsedExceptions: exceptions = [] }: RunnerOptions,
  found: readonly Finding[],
): Admitted | Refused {
  const findings = withoutReview(holdToApprovals(found, exceptions.map(excepting)));
  if (isRefused(findings)) return { status: 'refused', findings };
  return { status: 'admitted', approvals: [], exceptions, findings, policy: undefined };
}

/** When the bundle was last taken back here: what was signed before does not speak for running it again (M50). */
function lastRollbackMs({ bundle, runs }: Asked): number {
  const last = runs.findLast(
    ({ subject, entries }) =>
      subject.migrationId === bundle.id &&
      subject.direction === 'rollback' &&
      entries.committed !== undefined,
  );
  return last === undefined ? Number.NEGATIVE_INFINITY : Date.parse(last.entries.committed?.at ?? '');
}

async function environmentFindings(
  options: RunnerOptions,
  asked: Asked,
  approvals: readonly ValidApproval[],
): Promise<readonly Finding[]> {
  const { environment, root, settings = DEFAULT_SETTINGS, actor } = options;
  const { bundle } = asked;
  if (environment === 'dev') return [];
  const keys = await readKeyRegister(root);
  if (keys.status === 'refused') return keys.findings;
  const registry = await readRegistry(root);
  if (registry.status === 'refused') return registry.findings;
  const entry = registry.registry.migrations.find(({ id }) => id === bundle.id);
  const signed = reviewFindings(approvals, {
    declaration: bundle.declaration,
    settings,
    register: keys.register,
    environment,
    runner: actor.principal,
    authors: entry?.owners ?? [],
  });
  if (environment === 'stage') return [...signed, ...(await rehearsalFindings(options, asked, approvals))];
  return [...signed, ...(await mergeFindings(options, bundle)), ...(await stageFindings(options, bundle))];
}

/** The rehearsal that stage asks for (M49, M105): of these files and this plan, signed by a runner. */
async function rehearsalFindings(
  options: RunnerOptions,
  { bundle, plan }: Asked,
  approvals: readonly ValidApproval[],
): Promise<readonly Finding[]> {
  const { fault: reason, findings } = await hearRehearsal(options, bundle, plan.plan_digest);
  if (reason === undefined) return holdToApprovals(findings, approvals);
  const hint = `Run \`varve rehearse ${bundle.id} --env ${options.environment}\` and look at what it says.`;
  return [environmentFinding(bundle, { reason }, hint)];
}

async function mergeFindings({ root }: RunnerOptions, bundle: Bundle): Promise<readonly Finding[]> {
  if (await isMerged(root, bundle)) return [];
  const hint =
    'Merge the bundle into the main branch as it is, or, without version control, freeze it with `varve gate --freeze`.';
  return [environmentFinding(bundle, { reason: 'not_merged', bundle: bundle.digest }, hint)];
}

/** What stage has to say of the same inputs, from the files of its ledger and evidence. */
async function stageFindings(
  { root, clock, kinds }: RunnerOptions,
  bundle: Bundle,
): Promise<readonly Finding[]> {
  const hint = `Run it in stage first: varve apply ${bundle.id} --env stage, and bring its evidence here.`;
  const bytes = await readIfThere(join(root, 'evidence/ledger/stage.jsonl'));
  const { lines, broken } = readChain(new TextDecoder().decode(bytes ?? new Uint8Array()));
  if (broken !== undefined)
    return [environmentFinding(bundle, { reason: 'stage_ledger_broken', line: broken.line }, hint)];
  const own = lines.filter((line) => line['migration_id'] === bundle.id && line['direction'] !== 'retire');
  const last = own.findLast((line) => line['phase'] === 'committed');
  const closed = own.find((line) => line['phase'] === 'closed' && line['run_id'] === last?.['run_id']);
  const digest = closed?.['receipt_digest'];
  const stored = typeof digest === 'string' ? await readEvidence(root, digest) : undefined;
  if (stored === undefined) return [environmentFinding(bundle, { reason: 'no_receipt_of_stage' }, hint)];
  const receipt = JSON.parse(new TextDecoder().decode(stored)) as Receipt;
  const ageMs = clock.nowMs() - Date.parse(receipt.finished_at);
  const checks: Readonly<Record<string, boolean>> = {
    other_environment: receipt.environment.name === 'stage' && receipt.migration_id === bundle.id,
    taken_back_in_stage: receipt.direction === 'forward',
    stage_did_not_pass: receipt.outcome === 'committed' && receipt.validation.status === 'pass',
    other_inputs_in_stage: receipt.bundle_digest === bundle.digest,
    stage_too_long_ago: ageMs <= STAGE_RECEIPT_DAYS * 24 * 3600 * 1000,
    // What stage ran had been rehearsed with rows written in between, where its kind can be (R4).
    way_back_not_probed:
      !bundle.declaration.requires_rollback || !canProbe(kinds, bundle) || receipt.rollback.rung === 'R4',
  };
  const reason = Object.keys(checks).find((name) => checks[name] === false);
  return reason === undefined ? [] : [environmentFinding(bundle, { reason, run: receipt.run_id }, hint)];
}

function environmentFinding({ id }: Bundle, detail: JsonObject, hint: string): Finding {
  return refusal('environment_not_ready', id, { detail, hint });
}

/**
 * What a rehearsal left in a bundle, and whether it speaks for a run: `receipts/rehearsal_receipt.json`, which is in the
 * evidence store as well, and where a runner key signed it, the envelope of its statement beside it.
 */
import { join } from 'node:path';
import type { Finding, Json, JsonObject } from '../base/index.ts';
import {
  canonicalBytes,
  isKeyValid,
  openEnvelope,
  publicKeys,
  REHEARSAL_ENVELOPE_PATH,
  REHEARSAL_PATH,
  REHEARSAL_PREDICATE,
  rehearsalStatement,
  sealEnvelope,
  sha256,
  STATEMENT_TYPE,
  validateSchema,
  type Envelope,
  type RehearsalReceipt,
  type Signer,
} from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { checkSignature } from './ed25519.ts';
import type { RunnerOptions } from './environment.ts';
import { readEvidence, readIfThere } from './evidence-store.ts';
import { readKeyRegister } from './key-register.ts';
import { demandsSignature } from './runner-key.ts';
import { parseStrictJson } from './strict-json.ts';

/** Signs a rehearsal's receipt (M118). */
export async function signRehearsal(receipt: RehearsalReceipt, signer: Signer): Promise<Envelope> {
  return sealEnvelope(STATEMENT_TYPE, rehearsalStatement(receipt), signer);
}

/** How far the way back of a bundle is proved, by a passing rehearsal of its present files; undefined: it is not (M105). */
export async function rungOf(options: RunnerOptions, bundle: Bundle): Promise<string | undefined> {
  const receipt = await readRehearsal(options.root, bundle);
  if (receipt === undefined || receipt.bundle_digest !== bundle.digest) return undefined;
  if (receipt.validation.status !== 'pass') return undefined;
  if (demandsSignature(options.environment) && !(await isSigned(options.root, bundle, receipt)))
    return undefined;
  return receipt.rollback.rung ?? undefined;
}

/** Whether rehearsals of this kind write rows between the way forward and the way back; else R3 is all that it can reach. */
export function canProbe(kinds: RunnerOptions['kinds'], { declaration }: Bundle): boolean {
  return kinds.some(({ name, probe }) => name === declaration.type && probe !== undefined);
}

/** A second run forward is no no-op: it wants a review, for a run that is killed and started again may meet its own effect. */
export function secondChange(id: string): Finding {
  return {
    code: 'second_run_changes',
    severity: 'review',
    subject: id,
    detail: {},
    hint: 'Write the forward so that running it again changes nothing or fails.',
  };
}

/** What a rehearsal has to say for a run of this plan here: why it does not count (M49), and what it found. */
export interface RehearsalVoice {
  readonly fault: string | undefined;
  readonly findings: readonly Finding[];
}

/** Asks the rehearsal of a bundle. */
export async function hearRehearsal(
  options: RunnerOptions,
  bundle: Bundle,
  planDigest: string,
): Promise<RehearsalVoice> {
  const receipt = await readRehearsal(options.root, bundle);
  if (receipt === undefined) return { fault: 'not_rehearsed', findings: [] };
  return {
    fault: await rehearsalFault(options, bundle, { receipt, planDigest }),
    findings: receipt.forward_twice === 'second_change' ? [secondChange(bundle.id)] : [],
  };
}

/** Why the rehearsal of a bundle does not speak for a run of this plan here; undefined where it does (M49). */
async function rehearsalFault(
  { root, environment, kinds }: RunnerOptions,
  bundle: Bundle,
  { receipt, planDigest }: { readonly receipt: RehearsalReceipt; readonly planDigest: string },
): Promise<string | undefined> {
  const checks: Readonly<Record<string, boolean>> = {
    rehearsed_with_other_files: receipt.bundle_digest === bundle.digest,
    rehearsed_in_another_environment: receipt.environment.name === environment,
    rehearsed_with_another_plan: receipt.plan_digest === planDigest,
    rehearsal_did_not_pass: receipt.validation.status === 'pass',
    way_back_not_rehearsed: receipt.rollback.rung !== null || !bundle.declaration.requires_rollback,
    // A governance-critical change asks for R4, wherever it runs (M105).
    way_back_not_probed:
      receipt.rollback.rung === 'R4' ||
      !bundle.declaration.requires_rollback ||
      bundle.declaration.approvals.change_class !== 'governance-critical' ||
      !canProbe(kinds, bundle),
    rehearsal_not_signed: !demandsSignature(environment) || (await isSigned(root, bundle, receipt)),
  };
  return Object.keys(checks).find((name) => checks[name] === false);
}

/** The receipt that a bundle shows; undefined where there is none, or one that varve did not store. */
async function readRehearsal(root: string, bundle: Bundle): Promise<RehearsalReceipt | undefined> {
  const bytes = await readIfThere(join(bundle.folder, REHEARSAL_PATH));
  if (bytes === undefined || (await readEvidence(root, sha256(bytes))) === undefined) return undefined;
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  if ('reason' in parsed) return undefined;
  const faults = await validateSchema('rehearsal_receipt.v1', parsed.value);
  const receipt = parsed.value as unknown as RehearsalReceipt;
  return faults.length === 0 && receipt.migration_id === bundle.id ? receipt : undefined;
}

/** Whether a runner key that was valid there and then signed exactly this receipt (M117). */
async function isSigned(root: string, bundle: Bundle, receipt: RehearsalReceipt): Promise<boolean> {
  const bytes = await readIfThere(join(bundle.folder, REHEARSAL_ENVELOPE_PATH));
  const keys = await readKeyRegister(root);
  if (bytes === undefined || keys.status === 'refused') return false;
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  if ('reason' in parsed) return false;
  const opened = await openEnvelope(parsed.value, STATEMENT_TYPE, {
    publicKeyById: publicKeys(keys.register),
    check: checkSignature,
  });
  if (opened.status === 'refused' || opened.body['predicateType'] !== REHEARSAL_PREDICATE) return false;
  const key = keys.register.keys.find(({ key_id: id }) => id === opened.keyId);
  return (
    key?.role === 'runner' &&
    key.environments.includes(receipt.environment.name) &&
    isKeyValid(key, Date.parse(receipt.finished_at)) &&
    isSame(opened.body['predicate'], receipt)
  );
}

function isSame(left: Json | undefined, right: JsonObject): boolean {
  return left !== undefined && sha256(canonicalBytes(left)) === sha256(canonicalBytes(right));
}

/**
 * The receipt of a rehearsal that a bundle shows, from files alone. No ledger has it, for a rehearsal is no execution (M38), so
 * what it rests on is the evidence that it names and the signature of a runner key.
 *
 * | said | held against |
 * |---|---|
 * | a pass, a rung | its own checks |
 * | inputs, outputs | the store |
 * | equality after the way back and after the second way forward | the baselines, compared again |
 * | who signed | the envelope beside it, by a key that was a runner's there and then |
 */
import type { Finding } from '../../base/index.ts';
import type { Baseline } from '../baseline.ts';
import { proveEqual } from '../diff.ts';
import { sha256 } from '../digest.ts';
import { REHEARSAL_ENVELOPE_PATH, REHEARSAL_PATH } from '../product-path.ts';
import type { RehearsalReceipt } from '../receipt.ts';
import { rehearsalStatement } from '../rehearsal-statement.ts';
import { storePath } from '../store-path.ts';
import {
  changed,
  invalid,
  missing,
  parseObject,
  readStored,
  schemaFindings,
  type Evidence,
  type VerifiedReceipt,
} from './file.ts';
import { signatureFault } from './receipt.ts';

/** What was looked at, and what is wrong with it; undefined where the bundle shows no rehearsal. */
export async function verifyRehearsal(
  evidence: Evidence,
  folder: string,
): Promise<
  { readonly receipts: readonly VerifiedReceipt[]; readonly findings: readonly Finding[] } | undefined
> {
  const path = `${folder}/${REHEARSAL_PATH}`;
  const bytes = await evidence.reader.read(path);
  if (bytes === undefined) return undefined;
  const value = parseObject(bytes);
  if (value === undefined) return { receipts: [], findings: [invalid(path, 'not_canonical')] };
  const faults = await schemaFindings('rehearsal_receipt.v1', value, path);
  if (faults.length > 0) return { receipts: [], findings: faults };
  const receipt = value as unknown as RehearsalReceipt;
  const findings = [
    ...selfFaults(receipt, folder).map((reason) => invalid(path, reason)),
    ...(await artifactFindings(evidence, receipt)),
    ...(await equalityFaults(evidence, receipt)).map((reason) => invalid(path, reason)),
    ...(await envelopeFindings(evidence, folder, receipt)),
  ];
  const verified: VerifiedReceipt = {
    path,
    runId: receipt.run_id,
    migrationId: receipt.migration_id,
    digest: sha256(bytes),
    outcome: receipt.validation.status === 'pass' ? 'rehearsed' : 'failed',
    status: findings.length === 0 ? 'verified' : 'refuted',
  };
  return { receipts: [verified], findings };
}

/** What it says of itself that cannot be (M40, M127). */
function selfFaults(receipt: RehearsalReceipt, folder: string): readonly string[] {
  const { validation, rollback } = receipt;
  const status = (name: string): string =>
    validation.checks.find((check) => check.name === name)?.status ?? 'not_run';
  const passes = validation.checks.every((check) => check.status === 'pass' || check.required === false);
  const isThereAndBack = ['rollback', 'equal_to_pre', 'second_forward', 'equal_to_first_post'].every(
    (name) => status(name) === 'pass',
  );
  const isRungTrue =
    rollback.rung === null ||
    (passes && isThereAndBack && (rollback.rung === 'R3' || status('new_writes') === 'pass'));
  const faults: Readonly<Record<string, boolean>> = {
    subject: receipt.migration_id === folder.split('/')[1],
    validation_status: (validation.status === 'pass') === passes,
    rung: isRungTrue,
    time: Date.parse(receipt.finished_at) >= Date.parse(receipt.started_at),
  };
  return Object.keys(faults).filter((name) => faults[name] === false);
}

async function artifactFindings(evidence: Evidence, receipt: RehearsalReceipt): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { path, digest } of [...receipt.inputs, ...receipt.outputs]) {
    const bytes = await readStored(evidence, digest);
    if (bytes === undefined) findings.push(missing(storePath(digest), `${receipt.run_id} ${path}`));
    else if (sha256(bytes) !== digest) findings.push(changed(storePath(digest), 'content'));
  }
  return findings;
}

/** Which check says that two baselines are equal. */
const EQUALITIES = [
  ['equal_to_pre', 'rehearsal/pre.json', 'rehearsal/after_rollback.json'],
  ['equal_to_first_post', 'rehearsal/post.json', 'rehearsal/second_post.json'],
] as const;

async function equalityFaults(evidence: Evidence, receipt: RehearsalReceipt): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const [check, left, right] of EQUALITIES) {
    const isSaid = receipt.validation.checks.some(({ name, status }) => name === check && status === 'pass');
    if (!isSaid) continue;
    const [expected, found] = [
      await baselineAt(evidence, receipt, left),
      await baselineAt(evidence, receipt, right),
    ];
    if (expected === undefined || found === undefined || proveEqual(expected, found, []).status !== 'equal')
      faults.push(check);
  }
  return faults;
}

async function baselineAt(
  evidence: Evidence,
  { outputs }: RehearsalReceipt,
  path: string,
): Promise<Baseline | undefined> {
  const artifact = outputs.find((output) => output.path === path);
  const bytes = artifact === undefined ? undefined : await readStored(evidence, artifact.digest);
  const value = bytes === undefined ? undefined : parseObject(bytes);
  if (value === undefined || (await schemaFindings('baseline.v1', value, path)).length > 0) return undefined;
  return value as unknown as Baseline;
}

/** Dev goes without a signature. */
async function envelopeFindings(
  evidence: Evidence,
  folder: string,
  receipt: RehearsalReceipt,
): Promise<readonly Finding[]> {
  const path = `${folder}/${REHEARSAL_ENVELOPE_PATH}`;
  const bytes = await evidence.reader.read(path);
  if (bytes === undefined) {
    const isDemanded = receipt.environment.name !== 'dev' || receipt.signed_by !== null;
    return isDemanded ? [invalid(`${folder}/${REHEARSAL_PATH}`, 'unsigned')] : [];
  }
  const reason = await signatureFault(evidence, parseObject(bytes) ?? null, {
    receipt,
    statement: rehearsalStatement(receipt),
  });
  return reason === undefined ? [] : [invalid(path, reason)];
}

import type { Finding, Json, JsonObject } from '../../base/index.ts';
import {
  APPROVAL_TYPE,
  approvalFaults,
  invalidApproval,
  isKeyValid,
  publicKeys,
  type Approval,
} from '../approval.ts';
import { digestOf, sha256, type Digest } from '../digest.ts';
import { openEnvelope } from '../dsse.ts';
import { manifestDigest, manifestEntry, type ManifestEntry } from '../manifest.ts';
import { isProduct } from '../product-path.ts';
import { provDocument } from '../prov.ts';
import { readReceiptValue } from '../read-receipt.ts';
import { receiptReference } from '../receipt-ref.ts';
import { policyDocuments, validationStatus, type Receipt } from '../receipt.ts';
import { receiptStatement, STATEMENT_TYPE } from '../statement.ts';
import { storePath } from '../store-path.ts';
import { validateSchema } from '../validate.ts';
import { changed, invalid, missing, parseObject, readStored, schemaFindings, type Evidence } from './file.ts';
import { closingLine, envelopeOf, type Ledgers } from './ledger.ts';

/** A receipt with the digest of its bytes. */
export interface ReadReceipt {
  readonly receipt: Receipt;
  readonly digest: Digest;
}

/** Reads a receipt, and what it says of itself. */
export async function readReceipt(
  { reader }: Evidence,
  path: string,
): Promise<ReadReceipt | { readonly findings: readonly Finding[] }> {
  const bytes = await reader.read(path);
  if (bytes === undefined) return { findings: [missing(path, path)] };
  const value = parseObject(bytes);
  if (value === undefined) return { findings: [invalid(path, 'not_canonical')] };
  const receipt = readReceiptValue(value);
  const faults = await schemaFindings('run_receipt.v1', receipt, path);
  if (faults.length > 0) return { findings: faults };
  const findings = checkReceipt(receipt, path);
  return findings.length > 0 ? { findings } : { receipt, digest: sha256(bytes) };
}

/** What a receipt says of itself that cannot be: a pass without all its checks passing (M40), an end before its start (M127). */
export function checkReceipt(receipt: Receipt, subject: string): readonly Finding[] {
  const findings: Finding[] = [];
  const { status, checks } = receipt.validation;
  if (status !== validationStatus(receipt.outcome, checks))
    findings.push(invalid(subject, 'validation_status'));
  if (Date.parse(receipt.finished_at) < Date.parse(receipt.started_at))
    findings.push(invalid(subject, 'time'));
  return findings;
}

/** A receipt against the ledger, its envelope, its approvals and what it names, all from the store. */
export async function receiptFindings(
  evidence: Evidence,
  path: string,
  read: ReadReceipt,
  ledgers: Ledgers,
): Promise<readonly Finding[]> {
  const unbound = ledgerFindings(path, read, ledgers);
  // What follows from a receipt that no ledger knows proves nothing, one way or the other.
  if (unbound.length > 0) return unbound;
  return [
    ...(await envelopeFindings(evidence, path, read, ledgers)),
    ...(await storedArtifacts(evidence, read.receipt, envelopeOf(closingLine(ledgers, read.receipt.run_id)))),
    ...(await authoredFindings(evidence, path, read.receipt)),
    ...(await approvalFindings(evidence, read.receipt)),
  ];
}

/** A receipt against the ledger that names it. */
export function ledgerFindings(path: string, read: ReadReceipt, { lines }: Ledgers): readonly Finding[] {
  const { receipt, digest } = read;
  const ofRun = lines.filter((line) => line['run_id'] === receipt.run_id);
  const deciding = ofRun.find((line) => line.seq === receipt.chain.seq);
  const closing = ofRun.find((line) => line['phase'] === 'closed');
  const reasons: string[] = [];
  if (deciding === undefined) reasons.push('deciding_entry_missing');
  else if (deciding.digest !== receipt.chain.digest || deciding.prev !== receipt.chain.prev)
    reasons.push('deciding_entry');
  if (closing === undefined) reasons.push('closing_entry_missing');
  else if (closing['receipt_digest'] !== digest) reasons.push('receipt_digest');
  for (const line of ofRun) {
    if (line['bundle_digest'] !== receipt.bundle_digest || line['plan_digest'] !== receipt.plan_digest)
      reasons.push('bound_digests');
    if (line['migration_id'] !== receipt.migration_id || line['environment'] !== receipt.environment.name)
      reasons.push('subject');
  }
  return [...new Set(reasons)].map((reason) => invalid(path, reason));
}

/**
 * The envelope that closed the run: a signature of a runner key over the statement of this receipt, by a key that was valid
 * when the run ended (M117, M118). Dev goes without one.
 */
async function envelopeFindings(
  evidence: Evidence,
  path: string,
  { receipt }: ReadReceipt,
  ledgers: Ledgers,
): Promise<readonly Finding[]> {
  const line = closingLine(ledgers, receipt.run_id);
  if (line === undefined) return [];
  const digest = envelopeOf(line);
  if (digest === null) {
    const isDemanded = receipt.environment.name !== 'dev' || typeof receipt.signed_by === 'string';
    return isDemanded ? [invalid(path, 'unsigned')] : [];
  }
  const bytes = await readStored(evidence, digest);
  if (bytes === undefined) return [missing(storePath(digest), receipt.run_id)];
  const reason = await envelopeFault(evidence, parseObject(bytes) ?? null, receipt);
  return reason === undefined ? [] : [invalid(storePath(digest), reason)];
}

/** Why an envelope is not one over the statement of this receipt; undefined when it is. */
export async function envelopeFault(
  evidence: Evidence,
  value: Json,
  receipt: Receipt,
): Promise<string | undefined> {
  return await signatureFault(evidence, value, { receipt, statement: receiptStatement(receipt) });
}

/** The same of any receipt: its statement, by a key that was a runner's there and then. */
export async function signatureFault(
  { register, check }: Evidence,
  value: Json,
  about: {
    readonly receipt: Pick<Receipt, 'finished_at' | 'signed_by'> & {
      readonly environment: { readonly name: string };
    };
    readonly statement: JsonObject;
  },
): Promise<string | undefined> {
  const { receipt, statement } = about;
  const opened = await openEnvelope(value, STATEMENT_TYPE, { publicKeyById: publicKeys(register), check });
  if (opened.status === 'refused') return opened.reason;
  const key = register.keys.find(({ key_id: id }) => id === opened.keyId);
  if (key?.role !== 'runner') return 'role';
  if (!key.environments.includes(receipt.environment.name)) return 'key_environment';
  if (!isKeyValid(key, Date.parse(receipt.finished_at))) return 'key_validity';
  if (receipt.signed_by !== opened.keyId) return 'signed_by';
  return digestOf(opened.body) === digestOf(statement) ? undefined : 'statement';
}

/** Inputs and outputs of an older run are in the store only: the bundle's folder shows the latest run. */
async function storedArtifacts(
  evidence: Evidence,
  receipt: Receipt,
  envelope: Digest | null,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { path, digest } of [
    ...receipt.inputs,
    ...receipt.outputs,
    ...policyDocuments(receipt),
    ...writtenWith(receipt, envelope),
  ]) {
    const bytes = await readStored(evidence, digest);
    if (bytes === undefined) findings.push(missing(storePath(digest), `${receipt.run_id} ${path}`));
    else if (sha256(bytes) !== digest) findings.push(changed(storePath(digest), 'content'));
  }
  return findings;
}

/** The authored files that the store keeps of a run are all that its bundle digest covers, whatever the folder shows by now (M115). */
async function authoredFindings(
  evidence: Evidence,
  path: string,
  receipt: Receipt,
): Promise<readonly Finding[]> {
  const entries: ManifestEntry[] = [];
  for (const input of receipt.inputs.filter((each) => !isProduct(each.path))) {
    const bytes = await readStored(evidence, input.digest);
    // What is gone or spoilt is told as such.
    if (bytes === undefined || sha256(bytes) !== input.digest) return [];
    entries.push(manifestEntry(input.path, bytes));
  }
  return manifestDigest(entries) === receipt.bundle_digest ? [] : [invalid(path, 'bundle_digest')];
}

/** What follows from a receipt and is written with it; a receipt of an earlier release has none. */
export function writtenWith(
  receipt: Receipt,
  envelope: Digest | null,
): readonly { readonly path: string; readonly digest: Digest }[] {
  if (receipt.signed_by === undefined) return [];
  return [
    { path: 'receipts/prov.jsonld', digest: digestOf(provDocument(receipt)) },
    { path: 'receipts/receipt_ref.json', digest: digestOf(receiptReference(receipt, envelope)) },
  ];
}

/** The approvals that a receipt names: there, of this bundle, plan and environment, and signed by a registered key. */
async function approvalFindings(evidence: Evidence, receipt: Receipt): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const digest of receipt.approvals) {
    const path = storePath(digest);
    const bytes = await evidence.reader.read(path);
    const value = bytes === undefined ? undefined : parseObject(bytes);
    if (bytes === undefined) findings.push(missing(path, receipt.run_id));
    else {
      const reasons = await approvalReasons(evidence, value, receipt);
      if (reasons.length > 0) findings.push(invalidApproval(path, reasons));
    }
  }
  return findings;
}

async function approvalReasons(
  { register, check }: Evidence,
  value: JsonObject | undefined,
  receipt: Receipt,
): Promise<readonly string[]> {
  if (value === undefined) return ['not_canonical'];
  const opened = await openEnvelope(value, APPROVAL_TYPE, { publicKeyById: publicKeys(register), check });
  if (opened.status === 'refused') return [opened.reason];
  const key = register.keys.find(({ key_id: id }) => id === opened.keyId);
  const faults = await validateSchema('approval.v1', opened.body);
  if (key === undefined || faults.length > 0) return ['schema'];
  return approvalFaults(opened.body as unknown as Approval, key, {
    migrationId: receipt.migration_id,
    bundleDigest: receipt.bundle_digest,
    planDigest: receipt.plan_digest,
    environment: receipt.environment.name,
    grant: receipt.direction === 'retire' ? 'retire' : 'apply',
    nowMs: Date.parse(receipt.started_at),
  });
}

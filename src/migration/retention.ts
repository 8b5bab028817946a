/** Taking content out of the evidence store, once its time is over (M122). */
import { chmod, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { refusal, type Clock, type JsonObject } from '../base/index.ts';
import {
  digestOf,
  fromBase64,
  isDigest,
  policyDocuments,
  provDocument,
  readChain,
  receiptReference,
  sha256,
  storePath,
  type ChainLine,
  type Digest,
  type Receipt,
  type RehearsalReceipt,
} from '../evidence/index.ts';
import { syncFolder } from './durable.ts';
import { readEvidence } from './evidence-store.ts';
import { folderReader } from './file-reader.ts';
import type { Refused } from './refused.ts';
import { parseStrictJson } from './strict-json.ts';

/**
 * Removes content from the store. Whatever a receipt is or names stays until the time that the receipt says; content that no
 * receipt names, such as a plan that never ran, may go.
 *
 * Errors: refuses with `evidence_retained`, and with `evidence_missing` where the store does not have it, or where a receipt that might name it
 * cannot be read.
 */
export async function removeEvidence(
  root: string,
  digest: Digest,
  clock: Clock,
): Promise<{ readonly status: 'removed' } | Refused> {
  const path = storePath(digest);
  if ((await readEvidence(root, digest)) === undefined) return missing(path);
  for (const line of await closingLines(root)) {
    const { receipt_digest: receiptDigest, body_digest: bodyDigest } = line;
    if (!isDigest(receiptDigest)) continue;
    const bytes = await readEvidence(root, receiptDigest);
    if (bytes === undefined) return missing(storePath(receiptDigest));
    const receipt = JSON.parse(new TextDecoder().decode(bytes)) as Receipt;
    const envelope = isDigest(bodyDigest) && bodyDigest !== receiptDigest ? bodyDigest : null;
    if (isOver(receipt, clock) || !namedBy(receipt, receiptDigest, envelope).has(digest)) continue;
    return retained(path, receipt);
  }
  const rehearsal = await rehearsalThatNames(root, digest, clock);
  if (rehearsal !== undefined) return retained(path, rehearsal);
  await chmod(join(root, path), 0o644);
  await rm(join(root, path));
  await syncFolder(dirname(join(root, path)));
  return { status: 'removed' };
}

/** A receipt that sets no end is kept for good. */
function isOver({ retention_until: until }: Pick<Receipt, 'retention_until'>, clock: Clock): boolean {
  return until !== undefined && Date.parse(until) <= clock.nowMs();
}

function retained(
  path: string,
  { run_id: run, retention_until: until }: Pick<Receipt, 'run_id' | 'retention_until'>,
): Refused {
  const hint = 'Wait until then: what a receipt names is evidence for as long as the receipt says.';
  const detail = { run, until: until ?? null };
  return { status: 'refused', findings: [refusal('evidence_retained', path, { detail, hint })] };
}

/**
 * A rehearsal whose time is not over and that is, or names, this content, or whose envelope it is. No ledger lists rehearsals, so
 * the whole store is looked through.
 */
async function rehearsalThatNames(
  root: string,
  digest: Digest,
  clock: Clock,
): Promise<RehearsalReceipt | undefined> {
  const reader = folderReader(root);
  for (const path of await reader.list('evidence/store')) {
    const bytes = await reader.read(path);
    const found = bytes === undefined ? undefined : rehearsalIn(bytes);
    if (bytes === undefined || found === undefined || isOver(found, clock)) continue;
    const named = [...found.inputs, ...found.outputs].map((artifact) => artifact.digest);
    if (sha256(bytes) === digest || named.includes(digest)) return found;
  }
  return undefined;
}

/** The receipt of a rehearsal that this content is, or that it is the envelope of. */
function rehearsalIn(bytes: Uint8Array): RehearsalReceipt | undefined {
  const value = parsed(new TextDecoder().decode(bytes));
  const payload = value?.['payload'];
  const signed = typeof payload === 'string' ? fromBase64(payload) : undefined;
  const receipt = signed === undefined ? value : parsed(new TextDecoder().decode(signed))?.['predicate'];
  if (typeof receipt !== 'object' || receipt === null || Array.isArray(receipt)) return undefined;
  const { direction, run_receipt_version: version } = receipt as JsonObject;
  return direction === 'rehearsal' && version === 'v1' ? (receipt as RehearsalReceipt) : undefined;
}

function parsed(text: string): JsonObject | undefined {
  if (!text.startsWith('{')) return undefined;
  const read = parseStrictJson(text);
  return 'reason' in read || typeof read.value !== 'object' ? undefined : (read.value as JsonObject);
}

/** Everything that a receipt is the reason to keep. */
function namedBy(receipt: Receipt, digest: Digest, envelope: Digest | null): ReadonlySet<Digest> {
  return new Set([
    digest,
    ...(envelope === null ? [] : [envelope]),
    ...[...receipt.inputs, ...receipt.outputs, ...policyDocuments(receipt)].map(
      (artifact) => artifact.digest,
    ),
    ...receipt.approvals,
    digestOf(provDocument(receipt)),
    digestOf(receiptReference(receipt, envelope)),
  ]);
}

async function closingLines(root: string): Promise<readonly ChainLine[]> {
  const reader = folderReader(root);
  const paths = (await reader.list('evidence/ledger')).filter((path) => path.endsWith('.jsonl'));
  const texts = await Promise.all(
    paths.map(async (path) => new TextDecoder().decode(await reader.read(path))),
  );
  return texts.flatMap((text) => readChain(text).lines).filter((line) => line['phase'] === 'closed');
}

function missing(path: string): Refused {
  const hint = 'Take this file back from version control or a backup first.';
  return { status: 'refused', findings: [refusal('evidence_missing', path, { hint })] };
}

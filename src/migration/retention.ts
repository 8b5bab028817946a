/** Taking content out of the evidence store, once its time is over (M122). */
import { chmod, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { refusal, type Clock } from '../base/index.ts';
import {
  digestOf,
  isDigest,
  policyDocuments,
  provDocument,
  readChain,
  receiptReference,
  storePath,
  type ChainLine,
  type Digest,
  type Receipt,
} from '../evidence/index.ts';
import { syncFolder } from './durable.ts';
import { readEvidence } from './evidence-store.ts';
import { folderReader } from './file-reader.ts';
import type { Refused } from './refused.ts';

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
    const until = receipt.retention_until;
    // A receipt that sets no end is kept for good.
    const isOver = until !== undefined && Date.parse(until) <= clock.nowMs();
    if (isOver || !namedBy(receipt, receiptDigest, envelope).has(digest)) continue;
    const hint = 'Wait until then: what a receipt names is evidence for as long as the receipt says.';
    const detail = { run: receipt.run_id, until: until ?? null };
    return { status: 'refused', findings: [refusal('evidence_retained', path, { detail, hint })] };
  }
  await chmod(join(root, path), 0o644);
  await rm(join(root, path));
  await syncFolder(dirname(join(root, path)));
  return { status: 'removed' };
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

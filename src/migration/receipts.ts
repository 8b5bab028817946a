import { existsSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { nearestName, refusal, type JsonObject } from '../base/index.ts';
import {
  isDigest,
  readChain,
  verifyAll,
  verifyReceipt,
  type Digest,
  type Receipt,
  type Verification,
  type VerifyOptions,
} from '../evidence/index.ts';
import { RECEIPT_PATH, REFERENCE_PATH } from './closing.ts';
import { checkSignature } from './ed25519.ts';
import { readEvidence } from './evidence-store.ts';
import { folderReader } from './file-reader.ts';
import { mergeStateOf } from './merged.ts';
import type { Refused } from './refused.ts';

/** One closed run, as its ledger file tells it. */
export interface ReceiptLine extends JsonObject {
  readonly runId: string;
  readonly migrationId: string;
  readonly environment: string;
  readonly direction: string;
  readonly digest: Digest;
  readonly at: string;
}

/** Every receipt that the ledger files under `root` name, oldest first. Reads files only. */
export async function listReceipts(root: string): Promise<readonly ReceiptLine[]> {
  const reader = folderReader(root);
  const found = new Map<string, ReceiptLine>();
  for (const path of await reader.list('evidence/ledger')) {
    const { lines } = readChain(new TextDecoder().decode(await reader.read(path)));
    for (const line of lines) {
      const digest = line['receipt_digest'];
      if (!isDigest(digest)) continue;
      const text = (name: string): string => (typeof line[name] === 'string' ? line[name] : '');
      found.set(digest, {
        runId: text('run_id'),
        migrationId: text('migration_id'),
        environment: text('environment'),
        direction: text('direction'),
        digest,
        at: text('at'),
      });
    }
  }
  return [...found.values()].sort((a, b) => (a.at < b.at ? -1 : 1));
}

/** The receipt of a run, by run id, digest or migration id (its latest run). Errors: throws `evidence_changed`. */
export async function showReceipt(
  root: string,
  which: string,
): Promise<{ readonly status: 'ok'; readonly digest: Digest; readonly receipt: Receipt } | Refused> {
  const lines = await listReceipts(root);
  const line = lines.findLast(
    ({ runId, digest, migrationId }) => runId === which || digest === which || migrationId === which,
  );
  const bytes = line === undefined ? undefined : await readEvidence(root, line.digest);
  if (line !== undefined && bytes !== undefined) {
    const receipt = JSON.parse(new TextDecoder().decode(bytes)) as Receipt;
    return { status: 'ok', digest: line.digest, receipt };
  }
  const nearest = nearestName(which, new Set(lines.map(({ migrationId }) => migrationId)));
  const hint = nearest === undefined ? 'See `varve receipts list`.' : `Ask for ${nearest}.`;
  return { status: 'refused', findings: [refusal('evidence_missing', which, { hint })] };
}

/**
 * Verifies offline: a receipt by the path of its file, or everything in a folder that holds `evidence/`. The evidence
 * that a receipt is held against is that of the nearest such folder above it.
 */
export async function verifyReceipts(
  path: string,
  options: Pick<VerifyOptions, 'keptHead'> = {},
): Promise<Verification> {
  const absolute = resolve(path);
  const root = evidenceRoot(absolute);
  if (root === undefined) {
    const hint = 'Name a migrations folder with its evidence, or a receipt inside one.';
    return { files: 0, receipts: [], findings: [refusal('evidence_missing', path, { hint })] };
  }
  const inside = relative(root, absolute).split(sep).join('/');
  const isFolder = statSync(absolute, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const given = { ...options, check: checkSignature, mergeOf: (id: string) => mergeStateOf(root, id) };
  if (inside === '') return verifyAll(folderReader(root), given);
  return verifyReceipt(folderReader(root), isFolder ? receiptIn(root, inside) : inside, given);
}

/** A bundle shows its receipt, or a reference to it. */
function receiptIn(root: string, folder: string): string {
  const path = `${folder}/${RECEIPT_PATH}`;
  return existsSync(join(root, path)) ? path : `${folder}/${REFERENCE_PATH}`;
}

function evidenceRoot(path: string): string | undefined {
  for (let folder = path; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'evidence/store')) || existsSync(join(folder, 'evidence/ledger')))
      return folder;
    if (dirname(folder) === folder) return undefined;
  }
}

import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import type { Baseline } from '../baseline.ts';
import { diffBaselines } from '../diff.ts';
import { digestOf, sha256, type Digest } from '../digest.ts';
import { EDIT_HINTS, type EditFault } from '../edit-fault.ts';
import { manifestDigest, manifestEntry, type ManifestEntry } from '../manifest.ts';
import { isProduct } from '../product-path.ts';
import type { ReceiptReference } from '../receipt-ref.ts';
import type { Artifact, Receipt } from '../receipt.ts';
import { storePath } from '../store-path.ts';
import { folderEditFault } from './edited.ts';
import {
  changed,
  missing,
  parseObject,
  readStored,
  schemaFindings,
  type Evidence,
  type VerifiedReceipt,
} from './file.ts';
import { closingLine, envelopeOf, type Ledgers } from './ledger.ts';
import { ledgerFindings, readReceipt, receiptFindings, writtenWith, type ReadReceipt } from './receipt.ts';
import { verifyRehearsal } from './rehearsal.ts';

/** The bundles among the files. */
export function bundleFolders(files: readonly string[]): readonly string[] {
  const folders = files.flatMap((file) => /^([a-z]+\/[A-Z]+-MIG-[0-9-]+)\//u.exec(file)?.[1] ?? []);
  return [...new Set(folders)].sort();
}

type Looked = { readonly receipts: readonly VerifiedReceipt[]; readonly findings: readonly Finding[] };

/** A run, with its inputs where the authored files were edited since, as they may be; none where they are those that ran. */
type LookedAtRun = Looked & { readonly inputs: readonly Artifact[] };

/** A bundle: its plan, its products, the receipts of its latest rehearsal and run, its authored files. */
export async function verifyBundle(evidence: Evidence, folder: string, ledgers: Ledgers): Promise<Looked> {
  const bundle = await readBundleFiles(evidence, folder);
  const rehearsed = await verifyRehearsal(evidence, folder);
  const ran = await verifyRun(evidence, bundle, ledgers);
  return {
    receipts: [...(rehearsed?.receipts ?? []), ...ran.receipts],
    findings: [
      ...(await verifyPlan(evidence, bundle, ran.inputs)),
      ...(await unknownProducts(evidence, bundle)),
      ...(rehearsed?.findings ?? []),
      ...ran.findings,
    ],
  };
}

async function verifyRun(evidence: Evidence, bundle: BundleFiles, ledgers: Ledgers): Promise<LookedAtRun> {
  const { folder } = bundle;
  const shown = await shownReceipt(evidence, bundle);
  if (shown === undefined) return { receipts: [], findings: lostReceipt(folder, ledgers), inputs: [] };
  if ('findings' in shown) return { receipts: [], findings: shown.findings, inputs: [] };
  const { receipt, path } = shown;
  const unbound = ledgerFindings(path, shown, ledgers);
  if (unbound.length > 0)
    return { receipts: [verified(path, shown, unbound)], findings: unbound, inputs: [] };
  const isEdited = receipt.bundle_digest !== bundle.digest;
  const fault = isEdited ? await folderEditFault(evidence, bundle, ledgers) : undefined;
  // Of files that may be others by now the store alone tells what ran.
  const inputs = isEdited && fault === undefined ? receipt.inputs : [];
  const findings = [
    ...(await receiptFindings(evidence, path, shown, ledgers)),
    ...(await artifactFindings(evidence, bundle, shown, { ledgers, stored: inputs })),
    ...(await derivedFindings(evidence, folder, receipt)),
    ...(fault === undefined ? [] : [bundleChanged(bundle, receipt, fault)]),
  ];
  return { receipts: [verified(path, shown, findings)], findings, inputs };
}

/** What became of looking at a receipt. */
export function verified(path: string, read: ReadReceipt, findings: readonly Finding[]): VerifiedReceipt {
  return {
    path,
    runId: read.receipt.run_id,
    migrationId: read.receipt.migration_id,
    digest: read.digest,
    outcome: read.receipt.outcome,
    status: findings.length === 0 ? 'verified' : 'refuted',
  };
}

interface BundleFiles {
  readonly folder: string;
  readonly present: readonly string[];
  readonly authored: readonly ManifestEntry[];
  readonly digest: Digest;
}

async function readBundleFiles({ reader, files }: Evidence, folder: string): Promise<BundleFiles> {
  const present = files
    .filter((file) => file.startsWith(`${folder}/`))
    .map((file) => file.slice(folder.length + 1));
  const authored: ManifestEntry[] = [];
  for (const path of present.filter((name) => !isProduct(name))) {
    const bytes = await reader.read(`${folder}/${path}`);
    if (bytes !== undefined) authored.push(manifestEntry(path, bytes));
  }
  return { folder, present, authored, digest: manifestDigest(authored) };
}

/** The receipt of the latest run: in the bundle, or where its reference says (M44). */
async function shownReceipt(
  evidence: Evidence,
  { folder, present }: BundleFiles,
): Promise<
  (ReadReceipt & { readonly path: string }) | { readonly findings: readonly Finding[] } | undefined
> {
  if (present.includes('receipts/run_receipt.json')) {
    const path = `${folder}/receipts/run_receipt.json`;
    const read = await readReceipt(evidence, path);
    return 'findings' in read ? read : { ...read, path };
  }
  if (!present.includes('receipts/receipt_ref.json')) return undefined;
  const path = `${folder}/receipts/receipt_ref.json`;
  const bytes = await evidence.reader.read(path);
  const value = bytes === undefined ? undefined : parseObject(bytes);
  if (value === undefined) return { findings: [changed(path, 'not_canonical')] };
  const faults = await schemaFindings('receipt_ref.v1', value, path);
  if (faults.length > 0) return { findings: faults };
  const read = await readReceipt(evidence, storePath((value as unknown as ReceiptReference).digest));
  return 'findings' in read ? { findings: [...read.findings, changed(path, 'receipt')] } : { ...read, path };
}

function lostReceipt(folder: string, { lines }: Ledgers): readonly Finding[] {
  const id = folder.split('/')[1];
  const line = lines.find((entry) => entry['migration_id'] === id && entry['phase'] === 'closed');
  return line === undefined ? [] : [missing(`${folder}/receipts/run_receipt.json`, line['run_id'] ?? null)];
}

/** `ran`: inputs of a run of other files than there are now, whose plan may still lie there. */
async function verifyPlan(
  evidence: Evidence,
  bundle: BundleFiles,
  ran: readonly Artifact[],
): Promise<readonly Finding[]> {
  const { folder, present } = bundle;
  if (!present.includes('plan.json')) return [];
  const path = `${folder}/plan.json`;
  const bytes = await evidence.reader.read(path);
  const plan = bytes === undefined ? undefined : parseObject(bytes);
  if (bytes === undefined || plan === undefined) return [changed(path, 'not_canonical')];
  const faults = await schemaFindings('plan.v1', plan, path);
  if (faults.length > 0) return faults;
  const findings: Finding[] = [];
  if (digestOf(plan['bound'] ?? null) !== plan['plan_digest']) findings.push(changed(path, 'plan_digest'));
  const isOfThatRun = ran.some((input) => input.path === 'plan.json' && input.digest === sha256(bytes));
  if (plan['bundle_digest'] !== bundle.digest && !isOfThatRun) {
    const hint = 'The authored files are not those that were planned: take them back, or plan again.';
    const detail = { planned: plan['bundle_digest'] ?? null, found: bundle.digest };
    findings.push(refusal('bundle_changed', folder, { detail, hint }));
  }
  return findings;
}

/** Every product was stored before it was written to the bundle (M7), also one of an earlier run or a plan not yet run. */
async function unknownProducts(
  evidence: Evidence,
  { folder, present }: BundleFiles,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const path of present.filter((name) => isProduct(name))) {
    const bytes = await evidence.reader.read(`${folder}/${path}`);
    const stored = bytes === undefined ? undefined : await readStored(evidence, sha256(bytes));
    if (stored === undefined) findings.push(changed(`${folder}/${path}`, 'not_in_store'));
  }
  return findings;
}

/** What the bundle shows of the run: inputs, outputs, the envelope, and what follows from the receipt. */
async function artifactFindings(
  evidence: Evidence,
  { folder, present }: BundleFiles,
  { receipt, path: receiptPath }: ReadReceipt & { readonly path: string },
  { ledgers, stored }: { readonly ledgers: Ledgers; readonly stored: readonly Artifact[] },
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const envelope = envelopeOf(closingLine(ledgers, receipt.run_id));
  const isWhole = receiptPath.endsWith('/run_receipt.json');
  const shown = [
    ...receipt.inputs.filter((input) => isProduct(input.path) || !stored.includes(input)),
    ...receipt.outputs,
    ...writtenWith(receipt, envelope),
    ...(envelope === null || !isWhole ? [] : [{ path: ENVELOPE, digest: envelope }]),
  ];
  for (const { path, digest } of shown) {
    const bytes = await evidence.reader.read(`${folder}/${path}`);
    if (bytes === undefined) findings.push(missing(`${folder}/${path}`, receipt.run_id));
    // A later plan may stand in the folder; the one that ran is in the store.
    else if (path !== 'plan.json' && sha256(bytes) !== digest)
      findings.push(changed(`${folder}/${path}`, 'content'));
  }
  if (envelope === null && present.includes(ENVELOPE))
    findings.push(changed(`${folder}/${ENVELOPE}`, 'of_another_run'));
  return findings;
}

const ENVELOPE = 'receipts/run_receipt.dsse.json';

/** The derived part of the summary, computed again from the two baselines (M34). */
async function derivedFindings(
  evidence: Evidence,
  folder: string,
  receipt: Receipt,
): Promise<readonly Finding[]> {
  const pre = await product(evidence, receipt, 'baselines/pre.json');
  const post = await product(evidence, receipt, 'baselines/post.json');
  const summary = await product(evidence, receipt, 'diffs/summary.json');
  if (pre === undefined || post === undefined || summary === undefined) return [];
  const path = `${folder}/diffs/summary.json`;
  const faults = [
    ...(await schemaFindings('baseline.v1', pre, `${folder}/baselines/pre.json`)),
    ...(await schemaFindings('baseline.v1', post, `${folder}/baselines/post.json`)),
    ...(await schemaFindings('diff_summary.v1', summary, path)),
  ];
  if (faults.length > 0) return faults;
  const derived = diffBaselines(pre as unknown as Baseline, post as unknown as Baseline);
  return digestOf(derived) === digestOf(summary['derived'] ?? null) ? [] : [changed(path, 'derived')];
}

async function product(evidence: Evidence, receipt: Receipt, path: string): Promise<JsonObject | undefined> {
  const artifact = receipt.outputs.find((output) => output.path === path);
  const bytes = artifact === undefined ? undefined : await readStored(evidence, artifact.digest);
  return bytes === undefined ? undefined : parseObject(bytes);
}

function bundleChanged({ folder, authored }: BundleFiles, receipt: Receipt, reason: EditFault): Finding {
  const known = new Map(receipt.inputs.map(({ path, digest }) => [path, digest]));
  const differing = authored.filter(({ path, digest }) => known.get(path) !== digest).map(({ path }) => path);
  return refusal('bundle_changed', folder, {
    detail: { files: differing, ran: receipt.bundle_digest, reason },
    hint: EDIT_HINTS[reason],
  });
}

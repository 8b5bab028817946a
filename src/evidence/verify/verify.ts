/**
 * Offline verification: from the files under `migrations/` alone, without a database, a network or the runner (M41).
 *
 * | file | held against |
 * |---|---|
 * | `evidence/store/sha256/ab/<hex>` | its own address |
 * | `evidence/ledger/*.jsonl` | its chain, its environment, its signed head, and each closed run's receipt in the store |
 * | a kept head | the ledger that it was the head of |
 * | `runs/<run>/intent.jsonl` | its chain |
 * | `<kind>/<ID>/receipts/run_receipt.json` | schema, canonical bytes, the ledger line that closed its run, its own validation status |
 * | `<kind>/<ID>/receipts/rehearsal_receipt.json` | schema, canonical bytes, its own checks, the baselines it names compared again |
 * | `receipts/*.dsse.json` | the signature, the runner key, the statement that follows from the receipt |
 * | `receipts/prov.jsonld`, `receipt_ref.json` | the ones that follow from the receipt |
 * | `<kind>/<ID>/plan.json`, authored files | the plan's digests; the receipt's inputs, in the store alone where the files may be others by now (`edit-fault.ts`) |
 * | a receipt's authored files, in the store | the bundle digest that the receipt and its ledger lines bind |
 * | approvals that a receipt names | bundle, plan, environment and start of the run; `registry/keys.v1.json` and the signature |
 * | `<kind>/<ID>/baselines, diffs` | the receipt's outputs; the derived part of the summary is computed again |
 *
 * What the files alone cannot show: a ledger and every file that mentions its lost tail, all cut back together, head
 * included. A head that was kept elsewhere does. What everything rests on is the register of keys, which is read with every
 * approval and kept in version control.
 */
import { refusal, type Finding } from '../../base/index.ts';
import { isDigest, sha256 } from '../digest.ts';
import type { CheckSignature } from '../dsse.ts';
import { readChain } from '../chain.ts';
import { STORE_PATH, storePath } from '../store-path.ts';
import { bundleFolders, verified, verifyBundle } from './bundle.ts';
import {
  changed,
  missing,
  readRegister,
  readText,
  type Evidence,
  type FileReader,
  type MergeState,
  type VerifiedReceipt,
} from './file.ts';
import { brokenChain, keptHeadFindings, readLedgers, type Ledgers } from './ledger.ts';
import { readReceipt, receiptFindings } from './receipt.ts';

/** What was looked at and what is wrong with it. */
export interface Verification {
  readonly files: number;
  readonly receipts: readonly VerifiedReceipt[];
  readonly findings: readonly Finding[];
}

/** What verification can be given beside the files. */
export interface VerifyOptions {
  /** Checks signatures; without it, those of registered keys are believed, and only what was signed is looked at. */
  readonly check?: CheckSignature;
  /** What version control says of a bundle that was edited since it ran; without it, the registry alone does. */
  readonly mergeOf?: (migrationId: string) => Promise<MergeState>;
  /** A ledger head that was kept elsewhere, such as in a tag of version control. */
  readonly keptHead?: { readonly path: string; readonly bytes: Uint8Array };
}

/** Verifies everything under `migrations/`. Findings name the file that does not hold. */
export async function verifyAll(reader: FileReader, options: VerifyOptions = {}): Promise<Verification> {
  const evidence = await openEvidence(reader, options);
  const ledgers = await readLedgers(evidence);
  const findings = [
    ...ledgers.findings,
    ...(await keptFindings(evidence, ledgers, options)),
    ...(await verifyStore(evidence)),
    ...(await verifyIntents(evidence)),
    ...(await verifyStoredReceipts(evidence, ledgers)),
  ];
  const receipts: VerifiedReceipt[] = [];
  for (const folder of bundleFolders(evidence.files)) {
    const result = await verifyBundle(evidence, folder, ledgers);
    findings.push(...result.findings);
    receipts.push(...result.receipts);
  }
  return { files: evidence.files.length, receipts, findings: withoutTwins(findings) };
}

/** Verifies the bundle that one receipt belongs to, and the ledger that it stands in. */
export async function verifyReceipt(
  reader: FileReader,
  receiptPath: string,
  options: VerifyOptions = {},
): Promise<Verification> {
  const evidence = await openEvidence(reader, options);
  const { files } = evidence;
  if (!files.includes(receiptPath)) {
    const hint = 'Name a run_receipt.json under migrations/, or verify --all.';
    const finding = refusal('receipt_invalid', receiptPath, { detail: { reason: 'missing' }, hint });
    return { files: 0, receipts: [], findings: [finding] };
  }
  const ledgers = await readLedgers(evidence);
  const around = [...ledgers.findings, ...(await keptFindings(evidence, ledgers, options))];
  if (STORE_PATH.test(receiptPath)) {
    const one = await verifyOneStored(evidence, receiptPath, ledgers);
    return { ...one, findings: withoutTwins([...around, ...one.findings]) };
  }
  const folder = receiptPath.split('/').slice(0, 2).join('/');
  const result = await verifyBundle(evidence, folder, ledgers);
  return {
    files: files.filter((file) => file.startsWith(`${folder}/`)).length,
    receipts: result.receipts,
    findings: withoutTwins([...around, ...result.findings]),
  };
}

async function openEvidence(reader: FileReader, { check, mergeOf }: VerifyOptions): Promise<Evidence> {
  return {
    reader,
    files: await reader.list(''),
    register: await readRegister(reader),
    check: check ?? (() => Promise.resolve(true)),
    mergeOf: mergeOf ?? (() => Promise.resolve('not_merged')),
  };
}

async function keptFindings(
  evidence: Evidence,
  ledgers: Ledgers,
  { keptHead }: VerifyOptions,
): Promise<readonly Finding[]> {
  return keptHead === undefined ? [] : keptHeadFindings(evidence, keptHead, ledgers);
}

async function verifyStore({ reader, files }: Evidence): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const path of files.filter((file) => file.startsWith('evidence/store/'))) {
    const address = STORE_PATH.exec(path)?.[2];
    const bytes = await reader.read(path);
    if (address === undefined || bytes === undefined || sha256(bytes) !== `sha256:${address}`) {
      findings.push(changed(path, address === undefined ? 'no_address' : 'content'));
    }
  }
  return findings;
}

async function verifyIntents({ reader, files }: Evidence): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const path of files.filter((file) => /^runs\/[^/]+\/intent\.jsonl$/u.test(file))) {
    const { broken } = readChain(await readText(reader, path));
    // A line that a kill cut short announces nothing; the run's recovery cuts it off.
    if (broken !== undefined) findings.push(brokenChain('evidence_changed', path, broken));
  }
  return findings;
}

/** Every run that the ledger calls closed has its receipt, with the digest that the ledger holds. */
async function verifyStoredReceipts(evidence: Evidence, ledgers: Ledgers): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const line of ledgers.lines) {
    const digest = line['receipt_digest'];
    if (!isDigest(digest)) continue;
    const path = storePath(digest);
    if ((await evidence.reader.read(path)) === undefined)
      findings.push(missing(path, line['run_id'] ?? null));
    else findings.push(...(await verifyOneStored(evidence, path, ledgers)).findings);
  }
  return findings;
}

async function verifyOneStored(evidence: Evidence, path: string, ledgers: Ledgers): Promise<Verification> {
  const read = await readReceipt(evidence, path);
  if ('findings' in read) return { files: 1, receipts: [], findings: read.findings };
  const findings = await receiptFindings(evidence, path, read, ledgers);
  return { files: 1, receipts: [verified(path, read, findings)], findings };
}

/** The latest receipt is looked at in its bundle and in the store; what is wrong with both is said once. */
function withoutTwins(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()];
}

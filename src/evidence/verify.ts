import { refusal, type Finding, type Json, type JsonObject } from '../base/index.ts';
import {
  APPROVAL_TYPE,
  approvalFaults,
  invalidApproval,
  publicKeys,
  type Approval,
  type KeyRegister,
} from './approval.ts';
import type { Baseline } from './baseline.ts';
import { readChain, type ChainLine } from './chain.ts';
import { diffBaselines } from './diff.ts';
import { canonicalBytes, digestOf, isDigest, sha256, type Digest } from './digest.ts';
import { openEnvelope, type CheckSignature } from './dsse.ts';
import { manifestDigest, manifestEntry, type ManifestEntry } from './manifest.ts';
import { validationStatus, type Receipt } from './receipt.ts';
import type { SchemaName } from './schema.ts';
import { validateSchema } from './validate.ts';

/**
 * Offline verification: from the files under `migrations/` alone, without a database, a network or the runner.
 *
 * | file | held against |
 * |---|---|
 * | `evidence/store/sha256/ab/<hex>` | its own address |
 * | `evidence/ledger/*.jsonl` | its chain, and each closed run's receipt in the store |
 * | `runs/<run>/intent.jsonl` | its chain |
 * | `<kind>/<ID>/receipts/run_receipt.json` | schema, canonical bytes, the ledger line that closed its run, its own validation status |
 * | `<kind>/<ID>/plan.json`, authored files | the plan's digests; the receipt's inputs |
 * | approvals that a receipt names | bundle, plan, environment and start of the run; `registry/keys.v1.json` and the signature |
 * | `<kind>/<ID>/baselines, diffs` | the receipt's outputs; the derived part of the summary is computed again |
 *
 * What this cannot see: a ledger and every file that mentions its lost tail, all cut back together.
 */
export interface FileReader {
  /** The bytes of a file under `migrations/`, undefined when it is not there. */
  readonly read: (path: string) => Promise<Uint8Array | undefined>;
  /** All regular files below a folder, relative to `migrations/`, with `/`. */
  readonly list: (folder: string) => Promise<readonly string[]>;
}

/** What was looked at and what is wrong with it. */
export interface Verification {
  readonly files: number;
  readonly receipts: readonly VerifiedReceipt[];
  readonly findings: readonly Finding[];
}

/** One receipt that was looked at; `status` is that of the verification, not of the run. */
export interface VerifiedReceipt {
  readonly path: string;
  readonly runId: string;
  readonly migrationId: string;
  readonly digest: Digest;
  readonly outcome: string;
  readonly status: 'verified' | 'refuted';
}

/** Verifies everything under `migrations/`. Findings name the file that does not hold. */
export async function verifyAll(reader: FileReader, options: VerifyOptions = {}): Promise<Verification> {
  const files = await reader.list('');
  const ledger = await readLedgers(reader, files, options);
  const findings = [
    ...ledger.findings,
    ...(await verifyStore(reader, files)),
    ...(await verifyIntents(reader, files)),
    ...(await verifyStoredReceipts(reader, ledger)),
  ];
  const receipts: VerifiedReceipt[] = [];
  for (const folder of bundleFolders(files)) {
    const result = await verifyBundle(reader, folder, files, ledger);
    findings.push(...result.findings);
    receipts.push(...result.receipts);
  }
  return { files: files.length, receipts, findings };
}

/** Verifies the bundle that one receipt belongs to, and the ledger that it stands in. */
export async function verifyReceipt(
  reader: FileReader,
  receiptPath: string,
  options: VerifyOptions = {},
): Promise<Verification> {
  const files = await reader.list('');
  if (!files.includes(receiptPath)) {
    const hint = 'Name a run_receipt.json under migrations/, or verify --all.';
    return {
      files: 0,
      receipts: [],
      findings: [refusal('receipt_invalid', receiptPath, { detail: { reason: 'missing' }, hint })],
    };
  }
  const ledger = await readLedgers(reader, files, options);
  const stored = STORE_PATH.test(receiptPath);
  if (stored) return verifyOneStored(reader, receiptPath, ledger);
  const folder = receiptPath.split('/').slice(0, 2).join('/');
  const result = await verifyBundle(reader, folder, files, ledger);
  return {
    files: files.filter((file) => file.startsWith(`${folder}/`)).length,
    ...result,
    findings: [...ledger.findings, ...result.findings],
  };
}

/** Where the evidence store keeps the content of a digest, relative to `migrations/`. */
export function storePath(digest: Digest): string {
  const hexDigits = digest.slice('sha256:'.length);
  return `evidence/store/sha256/${hexDigits.slice(0, 2)}/${hexDigits}`;
}

const STORE_PATH = /^evidence\/store\/sha256\/([0-9a-f]{2})\/([0-9a-f]{64})$/u;

/** What verification can be given beside the files. */
export interface VerifyOptions {
  /** Checks signatures; without it, approvals are held against their receipts by content alone. */
  readonly check?: CheckSignature;
}

interface Ledgers extends VerifyOptions {
  readonly lines: readonly ChainLine[];
  readonly findings: readonly Finding[];
}

async function readLedgers(
  reader: FileReader,
  files: readonly string[],
  options: VerifyOptions,
): Promise<Ledgers> {
  const lines: ChainLine[] = [];
  const findings: Finding[] = [];
  for (const path of files.filter((file) => /^evidence\/ledger\/[^/]+\.jsonl$/u.test(file))) {
    const reading = readChain(await readText(reader, path));
    lines.push(...reading.lines);
    if (reading.broken !== undefined) findings.push(brokenChain('ledger_broken', path, reading.broken));
    for (const line of reading.lines)
      findings.push(...(await schemaFindings('ledger_entry.v1', line, `${path}:${line.seq}`)));
  }
  return { ...options, lines, findings };
}

function brokenChain(
  code: 'ledger_broken' | 'evidence_changed',
  path: string,
  broken: { readonly line: number; readonly reason: string },
): Finding {
  return refusal(code, `${path}:${broken.line}`, {
    detail: { line: broken.line, reason: broken.reason },
    hint: 'Take this file back from version control or a backup; nothing after this line is evidence.',
  });
}

async function verifyStore(reader: FileReader, files: readonly string[]): Promise<readonly Finding[]> {
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

async function verifyIntents(reader: FileReader, files: readonly string[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const path of files.filter((file) => /^runs\/[^/]+\/intent\.jsonl$/u.test(file))) {
    const { broken } = readChain(await readText(reader, path));
    // A line that a kill cut short announces nothing; the run's recovery cuts it off.
    if (broken !== undefined) findings.push(brokenChain('evidence_changed', path, broken));
  }
  return findings;
}

/** Every run that the ledger calls closed has its receipt, with the digest that the ledger holds. */
async function verifyStoredReceipts(reader: FileReader, ledger: Ledgers): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const line of ledger.lines) {
    const digest = line['receipt_digest'];
    if (!isDigest(digest)) continue;
    const path = storePath(digest);
    if ((await reader.read(path)) === undefined) findings.push(missing(path, line['run_id'] ?? null));
    else findings.push(...(await verifyOneStored(reader, path, ledger)).findings);
  }
  return findings;
}

async function verifyOneStored(reader: FileReader, path: string, ledger: Ledgers): Promise<Verification> {
  const read = await readReceipt(reader, path);
  if ('findings' in read) return { files: 1, receipts: [], findings: read.findings };
  const findings = [
    ...ledgerFindings(path, read, ledger),
    ...(await storedArtifacts(reader, read.receipt)),
    ...(await approvalFindings(reader, read.receipt, ledger)),
  ];
  return { files: 1, receipts: [verified(path, read, findings)], findings };
}

/** Inputs and outputs of an older run are in the store only: the bundle's folder shows the latest run. */
async function storedArtifacts(reader: FileReader, receipt: Receipt): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { path, digest } of [...receipt.inputs, ...receipt.outputs]) {
    const bytes = await reader.read(storePath(digest));
    if (bytes === undefined) findings.push(missing(storePath(digest), `${receipt.run_id} ${path}`));
    else if (sha256(bytes) !== digest) findings.push(changed(storePath(digest), 'content'));
  }
  return findings;
}

function bundleFolders(files: readonly string[]): readonly string[] {
  const folders = files.flatMap((file) => /^([a-z]+\/[A-Z]+-MIG-[0-9-]+)\//u.exec(file)?.[1] ?? []);
  return [...new Set(folders)].sort();
}

/** Products of a run. */
const PRODUCT_PATHS: readonly string[] = [
  'plan.json',
  'rollback_plan.json',
  'retire_plan.json',
  'baselines/pre.json',
  'baselines/post.json',
  'diffs/summary.json',
  'diffs/touched.csv',
  'receipts/run_receipt.json',
];

/** Whether a file of a bundle is a product: written by varve, and no part of what is signed. */
export function isProduct(path: string): boolean {
  return PRODUCT_PATHS.includes(path) || /^approvals\/[^/]+\.dsse\.json$/u.test(path);
}

async function verifyBundle(
  reader: FileReader,
  folder: string,
  files: readonly string[],
  ledger: Ledgers,
): Promise<{ readonly receipts: readonly VerifiedReceipt[]; readonly findings: readonly Finding[] }> {
  const present = files
    .filter((file) => file.startsWith(`${folder}/`))
    .map((file) => file.slice(folder.length + 1));
  const authored = await manifestOf(
    reader,
    folder,
    present.filter((path) => !isProduct(path)),
  );
  const bundleDigest = manifestDigest(authored);
  const findings = [
    ...(await verifyPlan(reader, folder, present, bundleDigest)),
    ...(await unknownProducts(reader, folder, present)),
  ];
  const receiptPath = `${folder}/receipts/run_receipt.json`;
  if (!present.includes('receipts/run_receipt.json')) {
    return { receipts: [], findings: [...findings, ...lostReceipt(folder, ledger)] };
  }
  const read = await readReceipt(reader, receiptPath);
  if ('findings' in read) return { receipts: [], findings: [...findings, ...read.findings] };
  findings.push(
    ...ledgerFindings(receiptPath, read, ledger),
    ...(await artifactFindings(reader, folder, read.receipt)),
    ...(await derivedFindings(reader, folder, read.receipt)),
    ...(await approvalFindings(reader, read.receipt, ledger)),
  );
  if (read.receipt.bundle_digest !== bundleDigest)
    findings.push(bundleChanged(folder, authored, read.receipt));
  return { receipts: [verified(receiptPath, read, findings)], findings };
}

function verified(path: string, read: ReadReceipt, findings: readonly Finding[]): VerifiedReceipt {
  return {
    path,
    runId: read.receipt.run_id,
    migrationId: read.receipt.migration_id,
    digest: read.digest,
    outcome: read.receipt.outcome,
    status: findings.length === 0 ? 'verified' : 'refuted',
  };
}

function lostReceipt(folder: string, ledger: Ledgers): readonly Finding[] {
  const id = folder.split('/')[1];
  const line = ledger.lines.find((entry) => entry['migration_id'] === id && entry['phase'] === 'closed');
  return line === undefined ? [] : [missing(`${folder}/receipts/run_receipt.json`, line['run_id'] ?? null)];
}

async function manifestOf(
  reader: FileReader,
  folder: string,
  paths: readonly string[],
): Promise<readonly ManifestEntry[]> {
  const entries: ManifestEntry[] = [];
  for (const path of paths) {
    const bytes = await reader.read(`${folder}/${path}`);
    if (bytes !== undefined) entries.push(manifestEntry(path, bytes));
  }
  return entries;
}

async function verifyPlan(
  reader: FileReader,
  folder: string,
  present: readonly string[],
  bundleDigest: Digest,
): Promise<readonly Finding[]> {
  if (!present.includes('plan.json')) return [];
  const path = `${folder}/plan.json`;
  const bytes = await reader.read(path);
  const plan = bytes === undefined ? undefined : parseObject(bytes);
  if (bytes === undefined || plan === undefined) return [changed(path, 'not_canonical')];
  const faults = await schemaFindings('plan.v1', plan, path);
  if (faults.length > 0) return faults;
  const findings: Finding[] = [];
  if (digestOf(plan['bound'] ?? null) !== plan['plan_digest']) findings.push(changed(path, 'plan_digest'));
  if (plan['bundle_digest'] !== bundleDigest) {
    const hint = 'The authored files are not those that were planned: take them back, or plan again.';
    findings.push(
      refusal('bundle_changed', folder, {
        detail: { planned: plan['bundle_digest'] ?? null, found: bundleDigest },
        hint,
      }),
    );
  }
  if ((await reader.read(storePath(sha256(bytes)))) === undefined)
    findings.push(changed(path, 'not_in_store'));
  return findings;
}

/** Every product was stored before it was written to the bundle (M7), also one of an earlier run or a plan not yet run. */
async function unknownProducts(
  reader: FileReader,
  folder: string,
  present: readonly string[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const path of present.filter((name) => isProduct(name))) {
    const bytes = await reader.read(`${folder}/${path}`);
    const stored = bytes === undefined ? undefined : await reader.read(storePath(sha256(bytes)));
    if (stored === undefined) findings.push(changed(`${folder}/${path}`, 'not_in_store'));
  }
  return findings;
}

interface ReadReceipt {
  readonly receipt: Receipt;
  readonly digest: Digest;
}

async function readReceipt(
  reader: FileReader,
  path: string,
): Promise<ReadReceipt | { readonly findings: readonly Finding[] }> {
  const bytes = await reader.read(path);
  if (bytes === undefined) return { findings: [missing(path, path)] };
  const value = parseObject(bytes);
  if (value === undefined) return { findings: [invalid(path, 'not_canonical')] };
  const faults = await schemaFindings('run_receipt.v1', value, path);
  if (faults.length > 0) return { findings: faults };
  const receipt = value as unknown as Receipt;
  const findings = checkReceipt(receipt, path);
  return findings.length > 0 ? { findings } : { receipt, digest: sha256(bytes) };
}

/** What a receipt says of itself that cannot be: a pass without all its checks passing, an end before its start. */
export function checkReceipt(receipt: Receipt, subject: string): readonly Finding[] {
  const findings: Finding[] = [];
  const { status, checks } = receipt.validation;
  if (status !== validationStatus(receipt.outcome, checks))
    findings.push(invalid(subject, 'validation_status'));
  if (Date.parse(receipt.finished_at) < Date.parse(receipt.started_at))
    findings.push(invalid(subject, 'time'));
  return findings;
}

function ledgerFindings(path: string, read: ReadReceipt, ledger: Ledgers): readonly Finding[] {
  const { receipt, digest } = read;
  const ofRun = ledger.lines.filter((line) => line['run_id'] === receipt.run_id);
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

async function artifactFindings(
  reader: FileReader,
  folder: string,
  receipt: Receipt,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { path, digest } of [...receipt.inputs, ...receipt.outputs]) {
    const stored = await reader.read(storePath(digest));
    if (stored === undefined) findings.push(missing(storePath(digest), `${folder}/${path}`));
    const bytes = await reader.read(`${folder}/${path}`);
    if (bytes === undefined) findings.push(missing(`${folder}/${path}`, receipt.run_id));
    // A later plan may stand in the folder; the one that ran is in the store.
    else if (path !== 'plan.json' && sha256(bytes) !== digest)
      findings.push(changed(`${folder}/${path}`, 'content'));
  }
  return findings;
}

/** The approvals that a receipt names: there, of this bundle, plan and environment, and signed by a registered key. */
async function approvalFindings(
  reader: FileReader,
  receipt: Receipt,
  { check }: VerifyOptions,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const digest of receipt.approvals) {
    const path = storePath(digest);
    const bytes = await reader.read(path);
    const value = bytes === undefined ? undefined : parseObject(bytes);
    if (bytes === undefined) findings.push(missing(path, receipt.run_id));
    else {
      const reasons = await approvalReasons(reader, value, receipt, check);
      if (reasons.length > 0) findings.push(invalidApproval(path, reasons));
    }
  }
  return findings;
}

async function approvalReasons(
  reader: FileReader,
  value: JsonObject | undefined,
  receipt: Receipt,
  check: CheckSignature | undefined,
): Promise<readonly string[]> {
  if (value === undefined) return ['not_canonical'];
  const register = parseRegister(await readText(reader, 'registry/keys.v1.json'));
  const opened = await openEnvelope(value, APPROVAL_TYPE, {
    publicKeyById: publicKeys(register),
    // Without a way to check, a registered key's name is believed.
    check: check ?? (() => Promise.resolve(true)),
  });
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

function parseRegister(text: string): KeyRegister {
  try {
    const value = JSON.parse(text) as KeyRegister;
    return Array.isArray(value.keys) ? value : { keys_version: 'v1', keys: [] };
  } catch {
    return { keys_version: 'v1', keys: [] };
  }
}

/** The derived part of the summary, computed again from the two baselines (M34). */
async function derivedFindings(
  reader: FileReader,
  folder: string,
  receipt: Receipt,
): Promise<readonly Finding[]> {
  const pre = await product(reader, receipt, 'baselines/pre.json');
  const post = await product(reader, receipt, 'baselines/post.json');
  const summary = await product(reader, receipt, 'diffs/summary.json');
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

async function product(reader: FileReader, receipt: Receipt, path: string): Promise<JsonObject | undefined> {
  const artifact = receipt.outputs.find((output) => output.path === path);
  const bytes = artifact === undefined ? undefined : await reader.read(storePath(artifact.digest));
  return bytes === undefined ? undefined : parseObject(bytes);
}

function bundleChanged(folder: string, authored: readonly ManifestEntry[], receipt: Receipt): Finding {
  const known = new Map(receipt.inputs.map(({ path, digest }) => [path, digest]));
  const differing = authored.filter(({ path, digest }) => known.get(path) !== digest).map(({ path }) => path);
  return refusal('bundle_changed', folder, {
    detail: { files: differing, ran: receipt.bundle_digest },
    hint: 'Authored files never change after a run: take them back from version control and write a new bundle.',
  });
}

async function schemaFindings(name: SchemaName, value: Json, subject: string): Promise<readonly Finding[]> {
  const faults = await validateSchema(name, value);
  return faults.map(({ pointer, rule }) =>
    refusal('receipt_invalid', subject, {
      detail: { reason: 'schema', schema: name, pointer, rule },
      hint: 'Take this file back from version control or the evidence store.',
    }),
  );
}

/** An artifact's object; undefined when its bytes are not the canonical ones of a JSON object. */
function parseObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    ) as Json;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return sha256(canonicalBytes(value)) === sha256(bytes) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

async function readText(reader: FileReader, path: string): Promise<string> {
  return new TextDecoder().decode((await reader.read(path)) ?? new Uint8Array());
}

function changed(path: string, reason: string): Finding {
  const hint =
    'This file is not what the run wrote: take it back from the evidence store or version control.';
  return refusal('evidence_changed', path, { detail: { reason }, hint });
}

function missing(path: string, neededBy: Json): Finding {
  return refusal('evidence_missing', path, {
    detail: { neededBy },
    hint: 'Take this file back from version control or a backup.',
  });
}

function invalid(path: string, reason: string): Finding {
  const hint =
    'This receipt does not hold: take it back from the evidence store, and look for who changed it.';
  return refusal('receipt_invalid', path, { detail: { reason }, hint });
}

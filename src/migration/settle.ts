import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isoTime, VarveError, type Finding, type JsonObject } from '../base/index.ts';
import {
  buildReceipt,
  canonicalBytes,
  isDigest,
  redactJson,
  sha256,
  splitDifference,
  type Baseline,
  type Check,
  type Digest,
  type Receipt,
  type ReceiptBody,
  type ReceiptEnd,
} from '../evidence/index.ts';
import { allDone } from './all-done.ts';
import { runAfterSteps, type AfterEnd } from './after.ts';
import type { Bundle } from './bundle.ts';
import {
  closeReceipt,
  closingBody,
  closingFiles,
  ENVELOPE_PATH,
  isByReference,
  readClosing,
  RECEIPT_PATH,
  REFERENCE_PATH,
  type Closing,
} from './closing.ts';
import { takeBackLent } from './deciding-session.ts';
import { writeDurable } from './durable.ts';
import type { RunnerOptions } from './environment.ts';
import { findingJson, productBytes } from './evidence-body.ts';
import { readEvidence, readIfThere, storeEvidences } from './evidence-store.ts';
import { openIntentLog, type IntentLog } from './intent-log.ts';
import { syncLedgerFile } from './ledger-file.ts';
import {
  appendLedger,
  ledgerRuns,
  readBody,
  readLedger,
  type LedgerEntry,
  type LedgerRun,
} from './ledger.ts';
import type { MigrationKind } from './kind.ts';
import { parseMigrationId } from './migration-id.ts';
import { hit, loadRun, releaseRoom, type DecidedBody, type OpenedBody } from './run.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

/** Where a receipt is, and what it says. */
export interface ReceiptRef {
  /** Relative to the folder `migrations`; the latest run of a bundle has its receipt there too. */
  readonly path: string;
  readonly digest: Digest;
  readonly receipt: Receipt;
}

/** What is needed to settle a decided run; without kind or bundle its committed state cannot be read back. */
export interface Settling {
  readonly runId: string;
  readonly kind: MigrationKind | undefined;
  readonly bundle: Bundle | undefined;
  /** The state at which recovery found it; undefined when its own runner settles it. */
  readonly resolvedFrom: string | undefined;
  /** Aborted on request, or when the lock's session is gone. */
  readonly signal: AbortSignal;
}

/** A settled run. */
export interface Settled {
  readonly ref: ReceiptRef;
  /** Such as a forked ledger file in dev. */
  readonly findings: readonly Finding[];
}

/**
 * Ends a run that the database has decided: does its work after the decision, reads the committed state back, builds the
 * receipt from the ledger row, stores it, closes the run, writes the products and the ledger file. Everything is named
 * by its digest, so repeating any part is harmless, and a run has one receipt however often its end was killed.
 *
 * Errors: throws `after_incomplete` while a step after cannot be done yet; the run stays open.
 */
export async function settleRun(options: RunnerOptions, settling: Settling): Promise<Settled> {
  const known = await knownRun(options, settling.runId);
  const intents = await openIntentLog(options.root, settling.runId, options.clock);
  const body = await decidedOf(options, known);
  const closing = await closeRun(options, { known, body }, intents, settling);
  const { receipt } = closing;
  const digest = sha256(canonicalBytes(receipt));
  const entries = await readLedger(options.store);
  const kept = isLatest(known, ledgerRuns(entries))
    ? await writeProducts(options, { known, body }, closing)
    : [];
  await hit({ options }, 'F20_products_written');
  const { findings } = await syncLedgerFile(options, entries);
  await hit({ options }, 'F21_ledger_file');
  await releaseRoom(options.root, settling.runId);
  if (intents.lines().at(-1)?.['state'] !== 'closed') await intents.announce('closed', { receipt: digest });
  const path = receiptPath(options, known.subject.migrationId);
  return { ref: { path, digest, receipt }, findings: [...kept, ...findings] };
}

/** Where a bundle shows the receipt of its latest run, or the reference to it; relative to the folder `migrations`. */
export function receiptPath(
  { settings = DEFAULT_SETTINGS, environment }: RunnerOptions,
  migrationId: string,
): string {
  const name = isByReference(settings, environment) ? REFERENCE_PATH : RECEIPT_PATH;
  return `${bundlePath(migrationId)}/${name}`;
}

/** Where a bundle lies, relative to the folder `migrations`. */
export function bundlePath(migrationId: string): string {
  return `${parseMigrationId(migrationId)?.kind ?? 'other'}/${migrationId}`;
}

async function knownRun(options: RunnerOptions, runId: string): Promise<LedgerRun> {
  const runs = ledgerRuns(await readLedger(options.store));
  const known = runs.find(({ subject }) => subject.runId === runId);
  if (known !== undefined) return known;
  throw new VarveError('internal', {
    detail: { run: runId },
    hint: 'Report this: a run to settle is not in the ledger.',
  });
}

/** What closes the run: what did already, the receipt that was announced, or a new one. */
async function closeRun(
  options: RunnerOptions,
  { known, body }: DecidedRun,
  intents: IntentLog,
  settling: Settling,
): Promise<Closing> {
  const closed = await readClosing(options.store, settling.runId);
  if (closed !== undefined) {
    await storeAll(options, settling, body, closed);
    return closed;
  }
  const receipt =
    (await announced(options, intents)) ?? (await newReceipt(options, known, body, intents, settling));
  const closing = await closeReceipt(receipt, options.signer);
  await releaseRoom(options.root, settling.runId);
  const digest = await storeAll(options, settling, body, closing);
  await hit({ options }, 'F18_receipt_stored');
  await options.store.transaction({}, (transaction) =>
    appendLedger(
      transaction,
      { subject: known.subject, phase: 'closed', body: closingBody(closing), receiptDigest: digest },
      options.clock,
    ),
  );
  await hit({ options }, 'F19_ledger_closed');
  return closing;
}

/** A run with the body of its decision, which never changes. */
interface DecidedRun {
  readonly known: LedgerRun;
  readonly body: DecidedBody;
}

async function decidedOf(options: RunnerOptions, known: LedgerRun): Promise<DecidedBody> {
  const phase = known.entries.committed === undefined ? 'undone' : 'committed';
  return (await readBody(options.store, known.subject.runId, phase)) as DecidedBody;
}

/** A receipt that an earlier try had announced and stored, with the key that is here now. */
async function announced(options: RunnerOptions, intents: IntentLog): Promise<Receipt | undefined> {
  const digest = intents.lines().findLast(({ state }) => state === 'receipted')?.['receipt'];
  const bytes = isDigest(digest) ? await readEvidence(options.root, digest) : undefined;
  if (bytes === undefined) return undefined;
  const receipt = JSON.parse(new TextDecoder().decode(bytes)) as Receipt;
  return receipt.signed_by === signedBy(options) ? receipt : undefined;
}

function signedBy({ signer }: RunnerOptions): Digest | null {
  return signer?.keyId ?? null;
}

/** The key was held against the register, and signed on trial, when the session began; dev goes without. */
function signatureCheck({ signer }: RunnerOptions): Check {
  return signer === undefined
    ? { name: 'signature', status: 'not_run', required: false }
    : { name: 'signature', status: 'pass' };
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Until when what a receipt names is kept. */
export function retentionUntil({ settings = DEFAULT_SETTINGS }: RunnerOptions, finishedAt: string): string {
  return isoTime(Date.parse(finishedAt) + (settings.retentionDays ?? 3653) * DAY_MS);
}

async function newReceipt(
  options: RunnerOptions,
  known: LedgerRun,
  body: DecidedBody,
  intents: IntentLog,
  settling: Settling,
): Promise<Receipt> {
  const deciding = (known.entries.committed ?? known.entries.undone) as LedgerEntry;
  const { seq, prev, digest } = deciding;
  const after = await workAfter(options, known, intents, settling);
  const readBack = deciding.phase === 'committed' ? await readCommitted(options, body, settling) : NOT_NEEDED;
  await intents.announce('verified', { checks: readBack.checks });
  await hit({ options }, 'F16_verified');
  const { resolvedFrom } = settling;
  const decided = body.receipt as unknown as ReceiptBody;
  const built = buildReceipt(decided, {
    checks: [...after.checks, ...readBack.checks, signatureCheck(options)],
    findings: [...after.findings, ...readBack.findings],
    chain: { seq, prev, digest },
    resolvedFrom,
    signedBy: signedBy(options),
    retentionUntil: retentionUntil(options, decided.finished_at),
  });
  // Every run ends in a receipt, so that what may not stand in it is withheld.
  const receipt = await redactJson(built);
  await intents.announce('receipted', { receipt: sha256(canonicalBytes(receipt)) });
  await hit({ options }, 'F17_receipt_announced');
  return receipt;
}

/** The steps after. Without kind or bundle nobody knows which there are; a receipt then lacks its read-back as well. */
async function workAfter(
  options: RunnerOptions,
  known: LedgerRun,
  intents: IntentLog,
  { kind, bundle, signal }: Settling,
): Promise<AfterEnd> {
  await takeBackLent(options, known.subject);
  if (kind === undefined || bundle === undefined) return { checks: [], findings: [] };
  const run = await loadRun(options, known, { kind, bundle, signal, intents });
  return runAfterSteps(run, known.entries.committed === undefined ? 'undone' : 'committed');
}

type ReadBack = Pick<ReceiptEnd, 'checks' | 'findings'>;

/** The state after a run that was undone was measured in the transaction that undid it. */
const NOT_NEEDED: ReadBack = { checks: [], findings: [] };

/**
 * Reads the committed state back (M73). The shape must be the one that was judged; rows may have been written by
 * others since the commit, which is told and not blamed.
 */
async function readCommitted(
  options: RunnerOptions,
  body: DecidedBody,
  settling: Settling,
): Promise<ReadBack> {
  const { kind, bundle } = settling;
  const { settings = DEFAULT_SETTINGS } = options;
  const judged = body.products['baselines/post.json'] as unknown as Baseline | undefined;
  if (kind === undefined || bundle === undefined || judged === undefined) return readBackOf('not_run', []);
  const rollsBack = body.receipt['rolls_back'];
  const forward =
    typeof rollsBack === 'string' ? await readBody(options.store, rollsBack, 'committed') : undefined;
  const bound = ((forward ?? body) as DecidedBody).bound;
  const found = await options.store.transaction(
    { isolation: 'repeatable read', readOnly: true },
    (transaction) => kind.baseline({ bundle, settings, bound, algorithm: judged.algorithm }, transaction),
  );
  const { own, others } = shapeDifference(body, judged, found);
  const digests = new Map(judged.tables.map(({ table, digest }) => [table, digest]));
  const moved = found.tables
    .filter(({ table, digest }) => digests.get(table) !== digest)
    .map(({ table }) => table);
  return readBackOf(own.length === 0 ? 'pass' : 'fail', [...moved, ...others]);
}

/** Which objects are others than were judged; of a kind that lists none, all of them are the run's own. */
function shapeDifference(
  { products, objects }: DecidedBody,
  judged: Baseline,
  found: Baseline,
): ReturnType<typeof splitDifference> {
  if (found.schema_fingerprint.logical === judged.schema_fingerprint.logical) return { own: [], others: [] };
  const pre = products['baselines/pre.json'] as unknown as Baseline | undefined;
  if ([pre?.objects, judged.objects, found.objects].includes(undefined) || pre === undefined)
    return { own: ['shape'], others: [] };
  return splitDifference({ pre, post: judged, touched: objects }, found);
}

function readBackOf(status: Check['status'], moved: readonly string[]): ReadBack {
  const hint = 'Others changed this after the run began; nothing has to be done.';
  const findings = moved.map((subject): Finding & JsonObject =>
    findingJson({ code: 'concurrent_change', severity: 'info', subject, detail: {}, hint }),
  );
  return { checks: [{ name: 'read_back', status }], findings };
}

/** Everything that the receipt names, as far as this machine has it, then the receipt itself. */
async function storeAll(
  options: RunnerOptions,
  { runId, bundle }: Settling,
  body: DecidedBody,
  closing: Closing,
): Promise<Digest> {
  const opened = (await readBody(options.store, runId, 'opened')) as OpenedBody;
  const named = new Set(opened.inputs.map(({ digest }) => digest));
  const files = (bundle?.files ?? []).filter(({ digest }) => named.has(digest));
  await storeEvidences(options.root, [
    ...files.map(({ bytes }) => bytes),
    canonicalBytes(opened.plan),
    ...(opened.policy_documents ?? []).map(canonicalBytes),
    ...Object.values(body.products).map(productBytes),
  ]);
  await storeEvidences(options.root, Object.values(closingFiles(closing)).map(canonicalBytes));
  return sha256(canonicalBytes(closing.receipt));
}

/** The bundle's folder shows the latest run only (M7). */
function isLatest(known: LedgerRun, runs: readonly LedgerRun[]): boolean {
  const last = runs.findLast(({ subject }) => subject.migrationId === known.subject.migrationId);
  return last?.subject.runId === known.subject.runId;
}

/**
 * Shows the products of a run in its bundle. One that somebody changed, so that it is not in the evidence store, is left
 * as it is and told (M7).
 */
async function writeProducts(
  options: RunnerOptions,
  { known, body }: DecidedRun,
  closing: Closing,
): Promise<readonly Finding[]> {
  const { settings = DEFAULT_SETTINGS, environment, root } = options;
  const folder = join(root, bundlePath(known.subject.migrationId));
  const hidden = isByReference(settings, environment) ? [RECEIPT_PATH, ENVELOPE_PATH] : [];
  const shown = { ...body.products, ...closingFiles(closing) };
  const paths = [...new Set([...Object.keys(shown), ...RUN_PRODUCTS])];
  const isShown = await allDone(
    paths.map((path) => {
      const product = hidden.includes(path) ? undefined : shown[path];
      const bytes = product === undefined ? undefined : productBytes(product);
      return showProduct(root, join(folder, path), bytes);
    }),
  );
  return paths.filter((_, index) => isShown[index] === false).map((path) => keptProduct(known.subject, path));
}

/** What an earlier run may have shown and this one may not have. */
const RUN_PRODUCTS = [
  'baselines/pre.json',
  'baselines/post.json',
  'diffs/summary.json',
  'diffs/touched.csv',
  RECEIPT_PATH,
  ENVELOPE_PATH,
];

/** Writes a product, or takes away what an earlier run showed in its place; false where that is of somebody's own making. */
export async function showProduct(
  root: string,
  path: string,
  bytes: Uint8Array | undefined,
): Promise<boolean> {
  const there = await readIfThere(path);
  if (there !== undefined) {
    const digest = sha256(there);
    if (bytes !== undefined && sha256(bytes) === digest) return true;
    if ((await readEvidence(root, digest)) === undefined) return false;
  }
  if (bytes !== undefined) await writeDurable(path, bytes);
  else await rm(path, { force: true });
  return true;
}

/** The warning of a product that was left as it is. */
export function keptProduct(
  { migrationId, runId }: { readonly migrationId: string; readonly runId: string },
  path: string,
): Finding {
  return {
    code: 'evidence_changed',
    severity: 'warning',
    subject: `${bundlePath(migrationId)}/${path}`,
    detail: { reason: 'not_in_store', run: runId },
    hint: 'This file is none that varve wrote, so it was left as it is; the product of the run is in the evidence store. Move yours away, then run `varve recover`.',
  };
}

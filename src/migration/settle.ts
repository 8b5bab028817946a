import { join } from 'node:path';
import { VarveError, type Finding, type JsonObject } from '../base/index.ts';
import {
  buildReceipt,
  canonicalBytes,
  isDigest,
  redactJson,
  sha256,
  type Baseline,
  type Check,
  type Digest,
  type Receipt,
  type ReceiptBody,
  type ReceiptEnd,
} from '../evidence/index.ts';
import { runAfterSteps, type AfterEnd } from './after.ts';
import type { Bundle } from './bundle.ts';
import { writeDurable } from './durable.ts';
import type { RunnerOptions } from './environment.ts';
import { findingJson, productBytes } from './evidence-body.ts';
import { readEvidence, storeEvidence } from './evidence-store.ts';
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
import { DEFAULT_SETTINGS } from './settings.ts';
import { hit, loadRun, releaseRoom, type DecidedBody, type OpenedBody } from './run.ts';

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
  const receipt = await closedReceipt(options, known, intents, settling);
  const digest = sha256(canonicalBytes(receipt));
  const entries = await readLedger(options.store);
  if (isLatest(known, ledgerRuns(entries))) await writeProducts(options, known, receipt);
  await hit({ options }, 'F20_products_written');
  const { findings } = await syncLedgerFile(options.root, options.environment, entries);
  await hit({ options }, 'F21_ledger_file');
  await releaseRoom(options.root, settling.runId);
  if (intents.lines().at(-1)?.['state'] !== 'closed') await intents.announce('closed', { receipt: digest });
  const path = `${bundlePath(known.subject.migrationId)}/receipts/run_receipt.json`;
  return { ref: { path, digest, receipt }, findings };
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

/** The receipt of the run: the one that closed it, the one that was announced, or a new one. */
async function closedReceipt(
  options: RunnerOptions,
  known: LedgerRun,
  intents: IntentLog,
  settling: Settling,
): Promise<Receipt> {
  const closed = await readBody(options.store, settling.runId, 'closed');
  const body = await decidedOf(options, known);
  if (closed !== undefined) {
    await storeAll(options, settling, body, closed as unknown as Receipt);
    return closed as unknown as Receipt;
  }
  const receipt =
    (await announced(options, intents)) ?? (await newReceipt(options, known, body, intents, settling));
  await releaseRoom(options.root, settling.runId);
  const digest = await storeAll(options, settling, body, receipt);
  await hit({ options }, 'F18_receipt_stored');
  await options.store.transaction({}, (transaction) =>
    appendLedger(
      transaction,
      { subject: known.subject, phase: 'closed', body: receipt, receiptDigest: digest },
      options.clock,
    ),
  );
  await hit({ options }, 'F19_ledger_closed');
  return receipt;
}

async function decidedOf(options: RunnerOptions, known: LedgerRun): Promise<DecidedBody> {
  const phase = known.entries.committed === undefined ? 'undone' : 'committed';
  return (await readBody(options.store, known.subject.runId, phase)) as DecidedBody;
}

/** A receipt that an earlier try had announced and stored. */
async function announced(options: RunnerOptions, intents: IntentLog): Promise<Receipt | undefined> {
  const digest = intents.lines().findLast(({ state }) => state === 'receipted')?.['receipt'];
  const bytes = isDigest(digest) ? await readEvidence(options.root, digest) : undefined;
  return bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as Receipt);
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
  const receipt = buildReceipt(body.receipt as unknown as ReceiptBody, {
    checks: [...after.checks, ...readBack.checks],
    findings: await redactJson([...after.findings, ...readBack.findings]),
    chain: { seq, prev, digest },
    resolvedFrom,
  });
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
  const sameShape = found.schema_fingerprint.logical === judged.schema_fingerprint.logical;
  const digests = new Map(judged.tables.map(({ table, digest }) => [table, digest]));
  const moved = found.tables
    .filter(({ table, digest }) => digests.get(table) !== digest)
    .map(({ table }) => table);
  return readBackOf(sameShape ? 'pass' : 'fail', moved);
}

function readBackOf(status: Check['status'], moved: readonly string[]): ReadBack {
  const hint = 'Others wrote to this table after the commit; nothing has to be done.';
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
  receipt: Receipt,
): Promise<Digest> {
  const opened = (await readBody(options.store, runId, 'opened')) as OpenedBody;
  const named = new Set(opened.inputs.map(({ digest }) => digest));
  for (const file of bundle?.files ?? [])
    if (named.has(file.digest)) await storeEvidence(options.root, file.bytes);
  await storeEvidence(options.root, canonicalBytes(opened.plan));
  for (const product of Object.values(body.products))
    await storeEvidence(options.root, productBytes(product));
  return storeEvidence(options.root, canonicalBytes(receipt));
}

/** The bundle's folder shows the latest run only (M7). */
function isLatest(known: LedgerRun, runs: readonly LedgerRun[]): boolean {
  const last = runs.findLast(({ subject }) => subject.migrationId === known.subject.migrationId);
  return last?.subject.runId === known.subject.runId;
}

async function writeProducts(options: RunnerOptions, known: LedgerRun, receipt: Receipt): Promise<void> {
  const folder = join(options.root, bundlePath(known.subject.migrationId));
  const body = await decidedOf(options, known);
  for (const [path, product] of Object.entries(body.products)) {
    await writeDurable(join(folder, path), productBytes(product));
  }
  await writeDurable(join(folder, 'receipts/run_receipt.json'), canonicalBytes(receipt));
}

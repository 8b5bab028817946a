/**
 * Documents in a column to another version: built beside the old ones, counted, then put in place batch by batch.
 *
 * ```text
 * build     pages of the old documents, by key        what was built, and how far, in one transaction a page
 * hold      counts against what is allowed            above it, nothing is put in place
 * cut over  batches of what was built                 original to history, new text: one transaction a batch, by
 *                                                     compare-and-swap on the digest of the old text
 * settle    what others changed or held meanwhile     built and put in place again, until a snapshot has none of it
 * ```
 *
 * A batch is as large as fits well below the longest lock that a writer should meet.
 */
import { hostname } from 'node:os';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { isoTime, refusal, type Finding } from '../../../base/index.ts';
import type { BatchCounts } from '../../batch.ts';
import { typeDigest } from '../../digest.ts';
import type { Model } from '../../model.ts';
import { ok, refused, type Refused, type Result } from '../../result.ts';
import type { Version } from '../../version.ts';
import type { AllowedPaths } from '../changed-pointer.ts';
import { keepPages, type BuiltPage } from './keep-pages.ts';
import { buildDocument, textDigest, type BuildOptions } from './build-document.ts';
import type {
  BuiltDocument,
  DocumentTable,
  RowKey,
  StoredDocument,
  UnsettledDocument,
  WorkState,
} from './document-table.ts';

/** What a run may leave out or lose. */
export interface TableLimits {
  /** Default 0, all of them. */
  readonly quarantined?: number;
  readonly lossy?: number;
  readonly assumed?: number;
  /** Default: any number. */
  readonly documents?: number;
}

/** How a column is migrated. */
export interface MigrateTableOptions {
  /** Default: the current version. */
  readonly to?: Version;
  /** Its id. A run of the same id goes on where it was stopped. Default: the column and what is made of it. */
  readonly run?: string;
  /** What provenance says the run was. Default its id. */
  readonly named?: string;
  /** The time of the run. Default: the clock, read once. */
  readonly now?: string;
  readonly limits?: TableLimits;
  /** Where documents may change. Default: anywhere. */
  readonly allowedPaths?: AllowedPaths;
  /** Documents of one page that is built. Default 500. */
  readonly pageSize?: number;
  /** Connections that build at once, where the store has as many. Default 1. */
  readonly connections?: number;
  readonly signal?: AbortSignal;
  /** Called after each page and each batch. */
  readonly onBatch?: (phase: 'build' | 'cut over' | 'settle', documents: number) => void | Promise<void>;
}

/** What came of it. */
export type MigrateTableResult =
  | {
      readonly status: 'ok';
      readonly run: string;
      readonly counts: BatchCounts;
      readonly findings: readonly Finding[];
    }
  | (Refused & { readonly counts?: BatchCounts });

/** A run of a table, begun. */
export interface TableRun extends BuildOptions {
  readonly table: DocumentTable;
  readonly limits: TableLimits;
  readonly pageSize: number;
  readonly connections: number;
  readonly signal: AbortSignal | undefined;
  readonly onBatch: NonNullable<MigrateTableOptions['onBatch']>;
}

const PAGE = 500;

/** Migrates a column whole. Nothing is put in place before all of it is built and counted. */
export async function migrateTable(
  model: Model,
  table: DocumentTable,
  options: MigrateTableOptions = {},
): Promise<MigrateTableResult> {
  const to = options.to ?? model.current;
  if (!model.versions.has(to)) return refused(unknownVersion(model, to));
  const holder = `process ${process.pid} on ${hostname()}`;
  const lock = await table.lock();
  if (lock.status === 'refused') return lock;
  await using _lock = lock.value;
  const begun = await openTableRun(model, table, { ...options, to, holder });
  if (begun.status === 'refused') return begun;
  const { run, state } = begun.value;
  if (!state.isBuilt && !(await buildTable(run, state))) return refused(stopped(run));
  const built = await table.counts(run.run);
  const over = overLimits(run, built);
  if (over.length > 0) return { ...refused(...over), counts: built };
  const settled = await cutOverTable(run, { isSettling: true });
  const counts = await table.counts(run.run);
  if (settled.status === 'refused') return { ...settled, counts };
  await table.tidy(run.run, true);
  return { status: 'ok', run: run.run, counts, findings: [] };
}

/** What decides the result of a run. */
export interface TablePlan {
  readonly type: string;
  readonly to: Version;
  readonly allowLossy: boolean;
  readonly allowedPaths: AllowedPaths | null;
}

/** A plan as a run's table holds it. */
export function planOf(text: string): TablePlan {
  return JSON.parse(text) as TablePlan;
}

/** Begins a run, or goes on with one. */
export async function openTableRun(
  model: Model,
  table: DocumentTable,
  options: MigrateTableOptions & { readonly to: Version; readonly holder: string },
): Promise<Result<{ readonly run: TableRun; readonly state: WorkState }>> {
  const { to, holder, limits = {}, signal, allowedPaths } = options;
  const allowLossy = (limits.lossy ?? 0) > 0;
  const plan = JSON.stringify({
    type: typeDigest(model),
    to,
    allowLossy,
    allowedPaths: allowedPaths ?? null,
  } satisfies TablePlan);
  const run = options.run ?? `document ${textDigest(`${table.place} ${plan}`).slice(0, 16)}`;
  const now = options.now ?? isoTime(model.clock.nowMs());
  const state = await table.open({ run, plan, now, holder });
  if (state.status === 'refused') return state;
  return ok({
    state: state.value,
    run: {
      model,
      table,
      to,
      run,
      now: state.value.now,
      allowLossy,
      ...(allowedPaths === undefined ? {} : { allowedPaths }),
      ...(options.named === undefined ? {} : { named: options.named }),
      limits,
      pageSize: options.pageSize ?? PAGE,
      connections: Math.max(1, options.connections ?? 1),
      signal,
      onBatch: options.onBatch ?? (() => undefined),
    },
  });
}

/**
 * Builds page by page from where a run has come to; false where it was asked to stop. A page is made while the database
 * keeps the ones before; what is not kept when the run ends is made again.
 */
export async function buildTable(run: TableRun, state: WorkState): Promise<boolean> {
  const { table, pageSize, connections, onBatch } = run;
  await using keeper = keepPages(table, run.run, ({ documents }) => onBatch('build', documents.length));
  let before: BuiltPage | undefined;
  for (let place: RowKey | undefined = state.place; ;) {
    // One connection is the one that reads.
    await keeper.wait(connections - 1);
    if (run.signal?.aborted === true) {
      await keeper.wait(0);
      return false;
    }
    const documents = before?.isBuilt === true ? [] : await table.page(place, pageSize);
    if (before !== undefined) keeper.keep(before);
    if (before?.isBuilt === true) {
      await keeper.wait(0);
      return true;
    }
    place = documents.at(-1)?.key ?? place;
    const built = await buildPage(run, documents);
    before = { documents: built, place, isBuilt: documents.length < pageSize };
  }
}

/** Documents that are made before what the database has answered gets its turn. */
const TURN = 25;

async function buildPage(
  run: TableRun,
  documents: readonly StoredDocument[],
): Promise<readonly BuiltDocument[]> {
  const built: BuiltDocument[] = [];
  for (const document of documents) {
    if (built.length % TURN === 0) await nextTurn();
    built.push(buildDocument(document, run));
  }
  return built;
}

/** What of the counts is more than allowed. */
export function overLimits({ table, limits }: TableRun, counts: BatchCounts): readonly Finding[] {
  const { quarantined = 0, lossy = 0, assumed = 0, documents = Infinity } = limits;
  const over = (what: string, found: number, most: number): readonly Finding[] =>
    found <= most
      ? []
      : [
          refusal(what === 'quarantined' ? 'document_quarantined' : 'limit_exceeded', table.place, {
            detail: { what, found, most },
            hint: 'Correct the documents or the steps, or allow this many; nothing was changed.',
          }),
        ];
  return [
    ...over('quarantined', counts.quarantined, quarantined),
    ...over('lossy', counts.lossy, lossy),
    ...over('assumed', counts.assumed, assumed),
    ...over('documents', counts.migrated, documents),
  ];
}

/** Milliseconds that a batch should take at most; a writer waits no longer than one. */
const BATCH_MS = 80;
const [LEAST, MOST] = [20, 4_000] as const;

/** Puts all that was built in place, then what others changed or held meanwhile. */
export async function cutOverTable(
  run: TableRun,
  { isSettling }: { readonly isSettling: boolean },
): Promise<Result<null>> {
  const { table, onBatch } = run;
  let limit = 200;
  for (let after: RowKey | undefined; ;) {
    if (run.signal?.aborted === true) return refused(stopped(run));
    const startedAt = performance.now();
    const batch = await table.cutOver(run.run, { after, limit });
    if (batch.seen === 0) break;
    await onBatch('cut over', batch.written);
    limit = nextLimit(limit, performance.now() - startedAt);
    after = batch.last;
  }
  return isSettling ? settleTable(run) : ok(null);
}

/** Half after a slow batch, a half more after a quick one. */
function nextLimit(limit: number, tookMs: number): number {
  if (tookMs > BATCH_MS) return Math.max(LEAST, Math.floor(limit / 2));
  return tookMs < BATCH_MS / 2 ? Math.min(MOST, Math.ceil(limit * 1.5)) : limit;
}

/** What else than the documents of the run is settled, and how they are built. */
interface Settling {
  readonly of?: string;
  readonly build?: (document: UnsettledDocument) => BuiltDocument;
}

const SETTLE_PAGE = 1_000;
const SETTLE_BATCH = 200;
/** Passes in a row that found as many unsettled documents as the one before. */
const MOST_IDLE = 20;
const IDLE_MS = 50;

/**
 * Documents that are not settled are built again and put in place, until a snapshot has none. Those that others hold or
 * write without end are told of, with who writes them.
 */
export async function settleTable(
  run: TableRun,
  { of, build = (document) => buildDocument(document, run) }: Settling = {},
): Promise<Result<null>> {
  const { table, onBatch } = run;
  for (let idle = 0; idle < MOST_IDLE;) {
    if (run.signal?.aborted === true) return refused(stopped(run));
    const found = await table.unsettled(run.run, SETTLE_PAGE, { of });
    if (found.length === 0) return ok(null);
    const built = found.filter(({ isDue }) => !isDue).map(build);
    await table.keep(run.run, built);
    let written = 0;
    for (let at = 0; at < found.length; at += SETTLE_BATCH) {
      const keys = found.slice(at, at + SETTLE_BATCH).map(({ key }) => key);
      written += (await table.cutOver(run.run, { keys })).written;
    }
    await onBatch('settle', written);
    // A document that needs nothing is settled by being looked at.
    const isMoving = written > 0 || built.some(({ status }) => status !== 'migrated');
    idle = isMoving ? 0 : idle + 1;
    if (!isMoving) await sleep(IDLE_MS);
  }
  const [left, writers] = await Promise.all([table.unsettled(run.run, SETTLE_PAGE, { of }), table.writers()]);
  return left.length === 0 ? ok(null) : refused(stillWritten(table.place, left.length, writers));
}

/** Others hold or write documents of an old version, and do not stop. */
export function stillWritten(place: string, documents: number, writers: readonly string[]): Finding {
  return refusal('not_caught_up', place, {
    detail: { documents, writers },
    hint: 'Stop or upgrade what writes these documents, then run again: what is done stays done.',
  });
}

function unknownVersion(model: Model, version: Version): Finding {
  return refusal('unknown_version', `${model.name} ${version}`, {
    detail: { known: [...model.versions.keys()] },
    hint: 'Name a version of this document type.',
  });
}

function stopped({ table }: TableRun): Finding {
  return refusal('interrupted', table.place, { hint: 'Run it again to go on where it stopped.' });
}

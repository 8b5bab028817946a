/**
 * Populate: runs the make of every key that is due, table by table in dependency order, in batches.
 *
 * Stale keys of a table come first, then missing ones, so that what is computed below sees the present. A batch is one
 * read (inputs with their digests), the makes, and one write (rows with provenance), whatever its number of keys; no
 * database call is made per key. Computing happens outside any transaction. A key whose input moved between read and
 * write is read again; a key that fails is recorded with its error, and the rest goes on.
 */
import { refusal, VarveError, type Finding, type JsonObject } from '../base/index.ts';
import { closeRun, openRun, type Run, type RunEnvironment, type RunStatus } from '../run/index.ts';
import type { ObjectStore, Sql, Store } from '../store/index.ts';
import {
  computeBatch,
  openBatchContext,
  type Batch,
  type BatchContext,
  type BatchResult,
} from './compute-batch.ts';
import type { CodeIdentity } from './code-digest.ts';
import type { Definitions } from './definition-set.ts';
import { countComputations } from './computation-spec.ts';
import { forgetComputed } from './job.ts';
import { countMissing, missingKeys, staleKeys } from './key-source.ts';
import { loadRelations, mismatches, relationOf, type Relations } from './relation.ts';
import type { TableSpec } from './spec.ts';
import type { AnyTable } from './table.ts';
import { unknownTable } from './unknown-table.ts';

/** How much is done, for a progress bar. */
export interface PopulateProgress {
  readonly table: string;
  readonly computed: number;
  readonly failed: number;
  /** Keys that were due when the table's turn came. */
  readonly total: number;
}

/** What to populate, and with what. */
export interface PopulateOptions {
  readonly definitions: Definitions;
  readonly environment: RunEnvironment;
  readonly projectFolder: string;
  /** Where makes put objects and read them. Without it a make that does fails with `objects_unavailable`. */
  readonly objects?: ObjectStore | undefined;
  /** The present code of each computed table. */
  readonly codeByTable: ReadonlyMap<string, CodeIdentity>;
  /** Default: every computed and imported table. */
  readonly tables?: readonly string[];
  /** Narrows the keys of every table asked for; already checked to be one condition. */
  readonly where?: Sql;
  /** Keys to try at most, over all tables; those that fail count. */
  readonly max?: number;
  /** Keys a batch. Default 5000. */
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
  readonly progress?: (progress: PopulateProgress) => void;
  readonly log?: (message: string) => void;
  /** The world to compute in; default: what is live. An evolution builds beside it. */
  readonly relations?: Relations;
  /** What the run is recorded as. */
  readonly kind?: string;
}

/** What became of one table. */
export interface PopulatedTable extends JsonObject {
  readonly table: string;
  readonly computed: number;
  readonly failed: number;
  /** Keys that are still missing, whatever `where` and `max` said; failed ones are not among them. */
  readonly remaining: number;
  /** Keys that had a result with unchanged inputs and code. */
  readonly skippedUnchanged: number;
}

/** What a populate did. */
export type PopulateResult =
  | {
      readonly status: 'done' | 'failed' | 'interrupted';
      readonly tables: readonly PopulatedTable[];
      readonly run: string;
      readonly findings: readonly Finding[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Computes what is due.
 *
 * Invariant: a row is there if and only if its computation is recorded; both are written by one statement.
 * Errors: refuses with `unknown_table`, `not_deployed`; failed keys are findings of status `failed`, and nothing of them is kept.
 */
export async function populate(store: Store, options: PopulateOptions): Promise<PopulateResult> {
  const relations = options.relations ?? (await loadRelations(store));
  const targets = targetsOf(options, relations);
  if (targets.status === 'refused') return targets;
  const run = await openRun(store, options.environment, {
    kind: options.kind ?? 'populate',
    subject: options.tables?.join('+') ?? 'all',
    definitionDigest: options.definitions.digest,
    settings: { max: options.max ?? null, batchSize: options.batchSize ?? null },
  });
  const state: PopulateState = { store, options, relations, run, left: options.max ?? Infinity };
  const tables: PopulatedTable[] = [];
  const findings: Finding[] = [];
  let status: RunStatus = 'failed';
  try {
    for (const table of targets.tables) {
      const populated = await populateTable(state, table);
      tables.push(populated.table);
      findings.push(...populated.findings);
    }
    status = options.signal?.aborted === true ? 'interrupted' : findings.length > 0 ? 'failed' : 'done';
  } finally {
    await closeRun(store, run, options.environment.clock, status);
  }
  return { status, tables, run: run.name, findings };
}

interface PopulateState {
  readonly store: Store;
  readonly options: PopulateOptions;
  readonly relations: Relations;
  readonly run: Run;
  left: number;
}

function targetsOf(
  { definitions, tables }: PopulateOptions,
  relations: Relations,
):
  | { readonly status: 'ok'; readonly tables: readonly AnyTable[] }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] } {
  const computed = definitions.set.tables.filter(({ form }) => form !== undefined);
  const unknown = (tables ?? []).filter((name) => !computed.some((spec) => spec.name === name));
  if (unknown.length > 0) {
    return { status: 'refused', findings: unknown.map((name) => notComputed(name, definitions, computed)) };
  }
  const wanted = computed.filter(({ name }) => tables === undefined || tables.includes(name));
  const needed = definitions.set.tables.filter((spec) => wanted.some((target) => needs(target, spec)));
  const findings = mismatches(relations, needed);
  if (findings.length > 0) return { status: 'refused', findings };
  const found = wanted.flatMap(({ name }) => definitions.tableByName.get(name) ?? []);
  return { status: 'ok', tables: found };
}

function needs(target: TableSpec, spec: TableSpec): boolean {
  return (
    target.name === spec.name ||
    spec.master === target.name ||
    target.reads.some(({ table }) => table === spec.name) ||
    target.foreignKeys.some(({ to }) => to === spec.name)
  );
}

function notComputed(name: string, definitions: Definitions, computed: readonly TableSpec[]): Finding {
  const spec = definitions.set.tables.find((candidate) => candidate.name === name);
  if (spec === undefined)
    return unknownTable(
      name,
      computed.map((each) => each.name),
    );
  return refusal('unknown_table', name, {
    detail: { tier: spec.tier },
    hint: `Nothing computes ${name}: populate computed and imported tables.`,
  });
}

interface TableOutcome {
  readonly table: PopulatedTable;
  readonly findings: readonly Finding[];
}

async function populateTable(state: PopulateState, table: AnyTable): Promise<TableOutcome> {
  const { store, options, relations, run } = state;
  const relation = relationOf(relations, table.spec.name);
  const code = options.codeByTable.get(table.spec.name);
  if (code === undefined) {
    throw new VarveError('internal', {
      detail: { table: table.spec.name },
      hint: 'Pass the code of every computed table: `digestCode` gives it.',
    });
  }
  await using context = await openBatchContext({
    store,
    table,
    relation,
    relations,
    run,
    code,
    ...makingOf(options),
  });
  const restriction = { condition: options.where };
  const recorded = await countComputations(store, relation);
  const stale = recorded === 0 ? [] : await staleKeys(store, relation, relations, code, restriction);
  const missing = await countMissing(store, relation, relations, restriction);
  const tally = new Tally(table.spec.name, Math.min(stale.length + missing, state.left), options.progress);
  await computeKeys(state, context, tally, { keys: stale.map(({ key }) => key), mode: 'replace' });
  await computeMissing(state, context, tally, missing);
  await forgetComputed(store, relation, context.specId);
  return {
    table: {
      table: table.spec.name,
      computed: tally.computed,
      failed: tally.failed,
      remaining: await countMissing(store, relation, relations, { condition: undefined }),
      skippedUnchanged: recorded - stale.length,
    },
    findings: tally.findings(run.name),
  };
}

function makingOf(options: PopulateOptions) {
  const { projectFolder, objects, signal, log } = options;
  return {
    projectFolder,
    objects,
    signal: signal ?? new AbortController().signal,
    log: log ?? (() => undefined),
  };
}

/** Keys to fetch at once: enough that finding them costs little beside computing them. */
const CHUNK_KEYS = 50_000;

async function computeMissing(
  state: PopulateState,
  context: BatchContext,
  tally: Tally,
  missing: number,
): Promise<void> {
  let open = missing;
  while (open > 0 && state.left > 0 && state.options.signal?.aborted !== true) {
    const limit = Math.min(CHUNK_KEYS, state.left);
    const keys = await missingKeys(state.store, context.relation, state.relations, {
      condition: state.options.where,
      limit,
    });
    if (keys.length === 0) return;
    const before = tally.settled;
    await computeKeys(state, context, tally, { keys, mode: 'insert' });
    // Keys that neither got a row nor a job would come again for ever.
    if (tally.settled === before) return;
    open -= tally.settled - before;
    if (keys.length < limit) return;
  }
}

/** Batches under way at once where the store has several sessions: one is read and computed while another is written. */
const LANES = 2;

async function computeKeys(
  state: PopulateState,
  context: BatchContext,
  tally: Tally,
  { keys, mode }: Batch,
): Promise<void> {
  const size = state.options.batchSize ?? 5000;
  let start = 0;
  const lane = async (): Promise<void> => {
    while (start < keys.length && state.left > 0 && state.options.signal?.aborted !== true) {
      const batch = keys.slice(start, start + Math.min(size, state.left));
      start += batch.length;
      // Reserved before the work and given back after it, so that two lanes never pass `max`.
      state.left -= batch.length;
      const done = await computeBatch(context, { keys: batch, mode });
      // A key that failed was tried too; one that someone else computed was not.
      state.left += batch.length - done.computed - done.failures.length;
      tally.add(done, mode);
    }
  };
  const lanes = state.store.capabilities.concurrentSessions ? LANES : 1;
  const ends = await Promise.allSettled(Array.from({ length: lanes }, lane));
  const failed = ends.filter((end) => end.status === 'rejected');
  if (failed[0] !== undefined) throw failed[0].reason;
}

/** Counts, and what failed by code. */
class Tally {
  computed = 0;
  failed = 0;
  /** Keys that need not be looked at again in this run. */
  settled = 0;
  readonly #table: string;
  readonly #total: number;
  readonly #progress: PopulateOptions['progress'];
  readonly #failures = new Map<string, { keys: number; keptOldRows: number }>();

  constructor(table: string, total: number, progress: PopulateOptions['progress']) {
    this.#table = table;
    this.#total = total;
    this.#progress = progress;
  }

  add(done: BatchResult, mode: Batch['mode']): void {
    this.computed += done.computed;
    this.failed += done.failures.length;
    this.settled += done.computed + done.skipped + done.failures.length;
    for (const { code } of done.failures) {
      const { keys, keptOldRows } = this.#failures.get(code) ?? { keys: 0, keptOldRows: 0 };
      this.#failures.set(code, { keys: keys + 1, keptOldRows: keptOldRows + (mode === 'replace' ? 1 : 0) });
    }
    this.#progress?.({
      table: this.#table,
      computed: this.computed,
      failed: this.failed,
      total: this.#total,
    });
  }

  findings(run: string): readonly Finding[] {
    const list = `Run \`varve jobs list ${this.#table}\` to see each key and its error, then \`varve jobs retry ${this.#table}\`.`;
    return [...this.#failures].map(([code, { keys, keptOldRows }]) =>
      refusal(code as Finding['code'], this.#table, {
        // A key that was stale still has the row from before: old, but whole.
        detail: { keys, ...(keptOldRows === 0 ? {} : { keptOldRows }), run },
        hint:
          keptOldRows === 0 ? list : `${list} Keys that were computed before keep their old rows until then.`,
      }),
    );
  }
}

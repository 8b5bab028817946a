/**
 * Populate: runs the make of every key that is due, over the whole graph, alone or with other workers.
 *
 * ```text
 * targets      what is asked for, in dependency order                     populate.ts
 * upstream     which tables a table follows key by key, which it awaits   populate/upstream.ts
 * schedule     lanes that take a batch from the best table                populate/schedule.ts
 * table        what of it is due, in hand, finished                       populate/table-work.ts
 * due keys     stale, then missing, found a batch at a time               populate/due-keys.ts
 * reservation  who of several workers has which keys                      share/reservation.ts
 * batch        read, make, write                                          compute-batch.ts, batch/
 * ```
 *
 * A batch is one read (inputs with their digests), the makes, and one write (rows with provenance), whatever its number
 * of keys; no database call is made per key. Computing happens outside any transaction. A key whose input moved between
 * read and write is read again; a key that fails is recorded with its error, and the rest goes on.
 */
import { refusal, type Finding } from '../base/index.ts';
import { closeRun, openRun, type Run, type RunStatus } from '../run/index.ts';
import type { Store } from '../store/index.ts';
import { isMakeUnknown, makeUnknown } from './adopted-make.ts';
import { assertIsolated } from './batch/context.ts';
import type { Definitions } from './definition-set.ts';
import type { PopulatedTable, PopulateOptions, PopulateResult } from './populate/options.ts';
import { runSchedule } from './populate/schedule.ts';
import { TableWork, type PopulateWorld } from './populate/table-work.ts';
import { upstreamOf } from './populate/upstream.ts';
import { loadRelations, mismatches, type Relations } from './relation.ts';
import { aloneReservations, sharedReservations, type Reservations } from './share/reservation.ts';
import type { TableSpec } from './spec.ts';
import type { AnyTable } from './table.ts';
import { unknownTable } from './unknown-table.ts';

/**
 * Computes what is due.
 *
 * Invariant: a row is there if and only if its computation is recorded; both are written by one statement.
 * Errors: refuses with `unknown_table`, `not_deployed`, `make_unknown`; a table without a known make that was not asked for
 * by name is left out, with a warning; failed keys are findings of status `failed`, and nothing of them is kept.
 */
export async function populate(store: Store, options: PopulateOptions): Promise<PopulateResult> {
  const relations = options.relations ?? (await loadRelations(store));
  const targets = targetsOf(options, relations);
  if (targets.status === 'refused') return targets;
  for (const table of targets.tables) assertIsolated(table, options.runner);
  const run = await openRun(store, options.environment, {
    kind: options.kind ?? 'populate',
    subject: options.tables?.join('+') ?? 'all',
    definitionDigest: options.definitions.digest,
    settings: { max: options.max ?? null, batchSize: options.batchSize ?? null },
  });
  try {
    const { tables, findings } = await populateTables({ store, options, relations, run }, targets.tables);
    const status: RunStatus =
      options.signal?.aborted === true ? 'interrupted' : findings.length > 0 ? 'failed' : 'done';
    await closeRun(store, run, options.environment.clock, status);
    return { status, tables, run: run.name, findings: [...targets.findings, ...findings] };
  } catch (error) {
    // What went wrong is the first thing to say; a run that cannot be closed stays open for all to see.
    await closeRun(store, run, options.environment.clock, 'failed').catch(() => undefined);
    throw error;
  }
}

interface Populated {
  readonly tables: readonly PopulatedTable[];
  readonly findings: readonly Finding[];
}

async function populateTables(
  start: Omit<PopulateWorld, 'reservations'>,
  tables: readonly AnyTable[],
): Promise<Populated> {
  const { store, options, run } = start;
  await using reservations = await openReservations(store, options, run);
  const world: PopulateWorld = { ...start, reservations };
  await using works = new AsyncDisposableStack();
  const all = tables.map((table) => works.use(new TableWork(world, table)));
  await runSchedule({
    store,
    works: all,
    upstream: upstreamOf(
      options.definitions.set,
      tables.map(({ spec }) => spec),
    ),
    lanes: lanesOf(store, options),
    max: options.max ?? Infinity,
    signal: options.signal,
    patienceMs: (options.patienceSeconds ?? 60) * 1000,
    onLost: () => options.log?.('Others took over keys of this worker: it gave no sign of life for a lease.'),
  });
  const populated: PopulatedTable[] = [];
  for (const work of all) populated.push(await work.outcome());
  return { tables: populated, findings: all.flatMap(({ tally }) => tally.findings(run.name, options.kind)) };
}

/**
 * Batches under way at once where the store has several sessions: one is read and computed while another is written. A
 * make that reads by itself has one session, and runs in this thread: with more workers, more of them wait for the database.
 */
function lanesOf({ capabilities }: Store, { runner }: PopulateOptions): number {
  if (!capabilities.concurrentSessions) return 1;
  return Math.min(MOST_LANES, Math.max(2, runner?.slots ?? 1));
}

/** Sessions that a store has beside one for reservations. */
const MOST_LANES = 3;
const LEASE_SECONDS = 30;

function openReservations(store: Store, options: PopulateOptions, run: Run): Promise<Reservations> {
  // What is not live yet, or a copy, is one run's own.
  const isShared =
    options.isShared ?? (store.capabilities.sharedByProcesses && options.relations === undefined);
  if (!isShared) return Promise.resolve(aloneReservations(store));
  return sharedReservations(store, { runId: run.id, leaseSeconds: options.leaseSeconds ?? LEASE_SECONDS });
}

function targetsOf(
  { definitions, tables }: PopulateOptions,
  relations: Relations,
):
  | { readonly status: 'ok'; readonly tables: readonly AnyTable[]; readonly findings: readonly Finding[] }
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
  const unmade = found.filter(isMakeUnknown);
  if (tables !== undefined && unmade.length > 0) {
    return { status: 'refused', findings: unmade.map((table) => makeUnknown(table, 'error')) };
  }
  return {
    status: 'ok',
    tables: found.filter((table) => !unmade.includes(table)),
    findings: unmade.map((table) => makeUnknown(table, 'warning')),
  };
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

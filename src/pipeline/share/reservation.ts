/**
 * Who of several workers computes which keys.
 *
 * A worker takes the keys of a batch before it computes them, and lets go of them after. In between nobody else takes
 * them; once its heartbeat has been missing for a lease, everybody may, and what it writes then is refused.
 *
 * | step | by |
 * |---|---|
 * | take | one transaction in which nobody else takes keys of that table: find them, put them into the queue as a job, fetch that job |
 * | hold | a heartbeat each third of a lease |
 * | write | in the statement or transaction of the rows: the job is active, and the attempt is ours (the fence) |
 * | let go | the job is deleted: what became of each key is varve's own record; with keys still open it is failed |
 * | lapse | the library's supervision fails a job without a heartbeat; its keys are missing, and found, as before |
 *
 * A job is a lease on keys that one worker has found for itself, not a backlog: nothing waits in the queue, so that no
 * entry grows old there, and `where`, `max` and priority need no queue of their own. The library's `priority` carries
 * the number of the run, and a run fetches its own jobs only.
 *
 * Every time that counts is the database's: the clock of a worker's machine may say what it likes.
 */
import type { PgBoss } from 'pg-boss';
import { isVarveError, VarveError, type Json } from '../../base/index.ts';
import { isStoreError, sql, type Queryable, type Row, type Sql, type Store } from '../../store/index.ts';
import { encodeKey } from '../encode-row.ts';
import type { Key } from '../key-source.ts';
import type { Relation } from '../relation.ts';
import type { TableSpec } from '../spec.ts';
import { queueDatabase } from './queue-database.ts';
import { isStructureFault, queueFault, queueWork } from './queue-fault.ts';
import { QUEUE, QUEUE_SCHEMA } from './queue-name.ts';

/** Keys that are ours to compute. */
export interface Reservation {
  readonly keys: readonly Key[];
  /** Holds in a transaction only while the keys are ours, and keeps them ours until it ends; undefined: nobody shares. */
  readonly fence: Sql | undefined;
  /**
   * Lets go of them, `settled` or `open`: those who passed over open ones look for them again. Never fails: what cannot
   * be let go lapses.
   */
  readonly release: (as: 'settled' | 'open') => Promise<void>;
}

/** Keys that are in somebody's hands. */
export interface Taken {
  readonly jobs: readonly string[];
  /** A subquery with the columns of the source key. */
  readonly keys: Sql;
}

/** Finds keys to take, beside those that are taken. */
export type FindKeys = (queryable: Queryable, taken: Taken | undefined) => Promise<readonly Key[]>;

/** What keys are taken for. */
export interface Taking {
  readonly relation: Relation;
  /** Whether their rows are new, or take the place of stale ones. */
  readonly mode: 'insert' | 'replace';
  /** Seconds for which this worker may have no time to say that it lives, beside the lease. */
  readonly silentSeconds: number;
}

/** The keys that this run and others have in hand. */
export interface Reservations extends AsyncDisposable {
  /** Whether other workers may be at work: then a table is done only when nobody else has keys of it in hand. */
  readonly isShared: boolean;
  /** Takes what `find` gives; undefined when it gives nothing. */
  readonly take: (taking: Taking, find: FindKeys) => Promise<Reservation | undefined>;
  /** The jobs that other workers have under way on this table, with keys that fulfil the condition. */
  readonly others: (relation: Relation, condition?: Sql) => Promise<readonly string[]>;
  /** Whether others have stale keys of this table in hand: what lies below would read what is being replaced. */
  readonly areOthersReplacing: (relation: Relation) => Promise<boolean>;
  /** What a failure to write keys was about: where it was the queue, that is said. */
  readonly explain: (relation: Relation, error: unknown) => Promise<unknown>;
  /** Whether one of these jobs ended with open keys, which are to be looked for again. */
  readonly anyLapsed: (jobs: readonly string[]) => Promise<boolean>;
}

/** For a worker that shares with nobody. */
export const aloneReservations: (store: Store) => Reservations = (store) => ({
  isShared: false,
  take: async (_taking, find) => {
    const keys = await find(store, undefined);
    return keys.length === 0 ? undefined : { keys, fence: undefined, release: () => Promise.resolve() };
  },
  others: () => Promise.resolve([]),
  areOthersReplacing: () => Promise.resolve(false),
  explain: (_relation, error) => Promise.resolve(error),
  anyLapsed: () => Promise.resolve(false),
  [Symbol.asyncDispose]: () => Promise.resolve(),
});

/** How reservations are held. */
export interface SharedOptions {
  /** The number of the run: one worker, one run. */
  readonly runId: number;
  /** Seconds without a heartbeat after which others take the keys; at least {@link MIN_LEASE_SECONDS}. */
  readonly leaseSeconds: number;
}

/** The library takes no shorter one. */
export const MIN_LEASE_SECONDS = 10;
/** What a job that lapsed is kept for: that those who wait for it see so. */
const KEPT_SECONDS = 86_400;

interface JobData {
  readonly relation: number;
  readonly run: number;
  readonly mode: Taking['mode'];
  /** The values of each key, in the order of the source key. */
  readonly keys: readonly (readonly Json[])[];
}

/**
 * Opens the reservations of one run; makes the queue's tables where there are none.
 *
 * Errors: throws `lease_too_short`, and what the store throws.
 */
export async function sharedReservations(store: Store, options: SharedOptions): Promise<Reservations> {
  assertLease(options.leaseSeconds);
  const boss = await queueWork(() => openQueue(store));
  const held = new Map<string, Held>();
  const heart = startHeart({ store, boss, held, options });
  return {
    isShared: true,
    take: (taking, find) => take({ store, boss, held, options }, taking, find),
    others: (relation, condition) =>
      queueWork(() => others({ store, boss, held, options }, relation, condition)),
    areOthersReplacing: (relation) =>
      queueWork(async () => {
        const jobs = await liveJobs(store, relation);
        return jobs.some(({ id, mode }) => mode === 'replace' && !held.has(id));
      }),
    explain: (relation, error) => explain(store, relation, error),
    anyLapsed: (jobs) => queueWork(() => anyLapsed(store, jobs)),
    [Symbol.asyncDispose]: async () => {
      heart.stop();
      await Promise.all([...held.values()].map((each) => letGo(boss, held, each, 'open')));
      await boss.stop({ graceful: false, close: false });
    },
  };
}

function assertLease(seconds: number): void {
  if (Number.isInteger(seconds) && seconds >= MIN_LEASE_SECONDS) return;
  throw new VarveError('lease_too_short', {
    detail: { leaseSeconds: seconds, leastSeconds: MIN_LEASE_SECONDS },
    hint: `Give a lease of whole seconds, ${MIN_LEASE_SECONDS} or more. It bounds how long a killed worker's keys wait, not how long a make may take.`,
  });
}

/** Opens the queue; the library is loaded only here. */
async function openQueue(store: Store): Promise<PgBoss> {
  const { PgBoss } = await import('pg-boss');
  const boss = new PgBoss({
    db: queueDatabase(store),
    schema: QUEUE_SCHEMA,
    backend: store.capabilities.sharedByProcesses ? 'postgres' : 'pglite',
    // Its timers would go on while a store is closed; varve asks for each pass itself.
    supervise: false,
    schedule: false,
    monitorIntervalSeconds: 1,
    reindex: false,
    monitorVacuum: false,
  });
  // Statements fail to their caller; this event only says so again, and without a listener it would end the process.
  boss.on('error', () => undefined);
  await installed(boss);
  // Fills its cache: inside a transaction of a store with one session it could not be read.
  await boss.fetch(QUEUE, { minPriority: -1, maxPriority: -1 });
  return boss;
}

/** Of several workers that make the queue's tables at once one does it; the others find them. */
async function installed(boss: PgBoss): Promise<void> {
  for (let round = 1; ; round += 1) {
    try {
      await boss.start();
      await boss.createQueue(QUEUE, { retryLimit: 0, deleteAfterSeconds: KEPT_SECONDS });
      return;
    } catch (error) {
      if (round === INSTALL_ROUNDS || !isInstallRace(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50 * round));
    }
  }
}

const INSTALL_ROUNDS = 10;

/** Another session made the same schema, table, type or function a moment ago, or is at it. */
function isInstallRace(error: unknown): boolean {
  return (
    isStoreError(error) &&
    ['42P06', '42P07', '42710', '42723', '23505', '40P01', 'XX000'].includes(error.fields.sqlstate)
  );
}

interface Held {
  readonly id: string;
  readonly retryCount: number;
}

interface Hands {
  readonly store: Store;
  readonly boss: PgBoss;
  readonly held: Map<string, Held>;
  readonly options: SharedOptions;
}

async function take(
  { store, boss, held, options }: Hands,
  { relation, mode, silentSeconds }: Taking,
  find: FindKeys,
): Promise<Reservation | undefined> {
  const { runId } = options;
  const leaseSeconds = options.leaseSeconds + Math.ceil(silentSeconds);
  const taken = await taking(store, async (transaction) => {
    // One taker a table at a time: what one finds, no other finds too.
    await transaction.query(
      sql`select ${endWithLease(leaseSeconds)}, pg_advisory_xact_lock(hashtextextended(${`varve:take ${String(relation.id)}`}, 0))`,
    );
    const jobs = (await queueWork(() => liveJobs(transaction, relation))).map(({ id }) => id);
    const keys = await find(
      transaction,
      jobs.length === 0 ? undefined : { jobs, keys: keysOf(relation.spec, jobs) },
    );
    if (keys.length === 0) return undefined;
    const data: JobData = {
      relation: relation.id,
      run: runId,
      mode,
      keys: keys.map((key) => Object.values(orderedKey(relation.spec, key))),
    };
    const db = queueDatabase(transaction);
    const settings = {
      priority: runId,
      heartbeatSeconds: leaseSeconds,
      expireInSeconds: MAX_SECONDS,
    };
    const [job] = await queueWork(async () => {
      await boss.insert(QUEUE, [{ data, ...settings }], { db });
      return boss.fetch<JobData>(QUEUE, { minPriority: runId, maxPriority: runId, db });
    });
    if (job === undefined) throw queueFault();
    return { keys, job: { id: job.id, retryCount: job.retryCount } };
  });
  if (taken === undefined) return undefined;
  held.set(taken.job.id, taken.job);
  return {
    keys: taken.keys,
    fence: fenceOf(taken.job, leaseSeconds),
    release: (as) => letGo(boss, held, taken.job, as),
  };
}

/** A transaction that writes nothing but the queue: a constraint that is broken at its end is the queue's too. */
async function taking<T>(store: Store, work: (transaction: Queryable) => Promise<T>): Promise<T> {
  try {
    return await store.transaction({}, work);
  } catch (error) {
    throw isVarveError(error, 'constraint_violated') ? queueFault(error) : error;
  }
}

/**
 * The transaction holds what others need. Where the machine of its worker stalls or vanishes in the middle of it, the
 * server ends it after a lease; otherwise that would be when the network notices, which can take hours.
 */
function endWithLease(leaseSeconds: number): Sql {
  return sql`set_config('idle_in_transaction_session_timeout', ${String(leaseSeconds * 1000)}, true)`;
}

/** A day, until the first heartbeat. */
const MAX_SECONDS = 86_399;

function orderedKey(spec: TableSpec, key: Key): Readonly<Record<string, Json>> {
  const encoded = encodeKey(key);
  return Object.fromEntries(spec.sourceKey.map((column) => [column, encoded[column] ?? null]));
}

async function others(
  { store, boss, held, options }: Hands,
  relation: Relation,
  condition: Sql | undefined,
): Promise<readonly string[]> {
  await supervise(boss);
  const strange = (await liveJobs(store, relation)).filter(({ id }) => !held.has(id));
  // What became of a statement that a lost connection cut off was not told: such a job is ours, and nobody's.
  const forgotten = strange.filter(({ run }) => run === options.runId);
  await Promise.all(forgotten.map(({ id }) => boss.fail(QUEUE, id)));
  const jobs = strange.map(({ id }) => id);
  if (condition === undefined || jobs.length === 0) return jobs;
  const [met] = await store.query(
    sql`select from (${keysOf(relation.spec, jobs)}) s where (${condition}) limit 1`,
  );
  return met === undefined ? [] : jobs;
}

/** A statement that holds the queue's part and others' may fail for either: the queue's part is asked alone. */
async function explain(store: Store, relation: Relation, error: unknown): Promise<unknown> {
  if (!isStructureFault(error)) return error;
  try {
    await queueWork(async () => {
      const jobs = (await liveJobs(store, relation)).map(({ id }) => id);
      await store.query(sql`select count(k) from (${keysOf(relation.spec, jobs)}) k`);
      await store.query(sql`select from ${sql.id(QUEUE_SCHEMA, 'job')} where retry_count = 0 limit 0`);
    });
    return error;
  } catch (fault) {
    return fault;
  }
}

interface LiveJob extends Row {
  readonly id: string;
  readonly run: number;
  readonly mode: string | null;
}

/** The jobs under way on a table. */
async function liveJobs(queryable: Queryable, relation: Relation): Promise<readonly LiveJob[]> {
  return queryable.query<LiveJob>(sql`
    select id::text as id, priority as run, data->>'mode' as mode from ${sql.id(QUEUE_SCHEMA, 'job')}
    where name = ${QUEUE} and state = 'active' and (data->>'relation')::integer = ${relation.id}`);
}

async function anyLapsed(queryable: Queryable, jobs: readonly string[]): Promise<boolean> {
  if (jobs.length === 0) return false;
  const rows = await queryable.query(sql`
    select from ${sql.id(QUEUE_SCHEMA, 'job')} where name = ${QUEUE} and id = any(${jobs}::uuid[]) and state = 'failed' limit 1`);
  return rows.length > 0;
}

/** The keys of these jobs, as a subquery with the columns of the source key. */
function keysOf(spec: TableSpec, jobs: readonly string[]): Sql {
  const types = new Map(spec.columns.map(({ name, type }) => [name, type]));
  const columns = spec.sourceKey.map(
    (column, index) =>
      sql`(e.key->>${sql.raw(String(index))})::${sql.raw(types.get(column) ?? 'text')} as ${sql.id(column)}`,
  );
  return sql`select ${sql.join(columns)} from ${sql.id(QUEUE_SCHEMA, 'job')} j,
    jsonb_array_elements(j.data->'keys') as e(key) where j.name = ${QUEUE} and j.id = any(${jobs}::uuid[])`;
}

/**
 * The row is locked against being taken away: a job cannot lapse between this look and the end of the transaction that
 * looks. It is not locked against a heartbeat, nor does one that came since the transaction's snapshot conflict with it.
 */
function fenceOf({ id, retryCount }: Held, leaseSeconds: number): Sql {
  return sql`select ${endWithLease(leaseSeconds)} from ${sql.id(QUEUE_SCHEMA, 'job')}
    where name = ${QUEUE} and id = ${id}::uuid and state = 'active' and retry_count = ${retryCount} for key share`;
}

async function letGo(
  boss: PgBoss,
  held: Map<string, Held>,
  job: Held,
  as: 'settled' | 'open',
): Promise<void> {
  held.delete(job.id);
  try {
    // One that lapsed stays as it is, so that whoever passed over its keys sees that.
    await (as === 'settled' ? boss.deleteJob(QUEUE, job) : boss.fail(QUEUE, job));
  } catch {
    // Without a database it lapses by itself.
  }
}

interface Heart {
  readonly stop: () => void;
}

/** What ends a job is its heartbeat, never its age; the library itself knows none that is older than a day. */
function ageless(jobs: readonly string[]): Sql {
  return sql`update ${sql.id(QUEUE_SCHEMA, 'job')} set expire_seconds = ${NEVER_SECONDS}
    where name = ${QUEUE} and id = any(${jobs}::uuid[]) and expire_seconds < ${NEVER_SECONDS}`;
}

const NEVER_SECONDS = 2 ** 31 - 1;

function startHeart({ store, boss, held, options: { leaseSeconds } }: Hands): Heart {
  const beat = async (): Promise<void> => {
    try {
      if (held.size > 0) {
        await boss.touch(QUEUE, [...held.values()]);
        await store.execute(ageless([...held.keys()]));
      }
      await supervise(boss);
    } catch {
      // The database is away: the next beat tries again, and the fence says what was lost meanwhile.
    }
  };
  const timer = setInterval(() => void beat(), (leaseSeconds * 1000) / 3);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** Fails the jobs whose heartbeat is missing; of several that ask within a second one does it. */
async function supervise(boss: PgBoss): Promise<void> {
  await boss.supervise(QUEUE);
}

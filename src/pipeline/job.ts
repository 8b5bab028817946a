/**
 * Jobs: what varve keeps about keys that are not simply computed when they are due; see `sql/0004_jobs.sql`.
 *
 * Which keys a worker has in hand is the queue's matter (`share/reservation.ts`); what became of a key stands here or,
 * where it was computed, in its computation.
 */
import { VarveError, type JsonObject } from '../base/index.ts';
import { isStoreError, sql, type Queryable, type Row, type Sql } from '../store/index.ts';
import { readExactRow } from './exact-json.ts';
import { keyHash } from './read-plan.ts';
import { tableId, type Relation, type Relations } from './relation.ts';
import type { MakeFailure } from './run-make/make-outcome.ts';
import { JOB_IS_DUE, keySource, type Key } from './key-source.ts';
import type { RetryPolicy } from './retry-policy.ts';
import type { TableSpec } from './spec.ts';
import { keysRecordset } from './write-rows.ts';

/** A key that stands aside, as `varve jobs` shows it. */
export interface Job {
  readonly table: string;
  readonly key: JsonObject;
  /** `pending`: put first or off by a person; `error`: its make failed; `ignored`: left alone. */
  readonly state: 'pending' | 'error' | 'ignored';
  readonly priority: number;
  /** When it is due: a retry by the table's policy, or the end of a delay; null: at once, and for an error never by itself. */
  readonly notBefore: string | null;
  readonly code: string | null;
  readonly message: string | null;
  /** The make's own; null where it threw no error. */
  readonly stack: string | null;
  /** The run in which it last failed; of what a person said about it, who. */
  readonly run: string;
  readonly attempts: number;
  readonly changedAt: string;
}

/** What failed, and where. */
export interface FailedKey {
  readonly key: Key;
  readonly failure: MakeFailure;
  readonly run: string;
  /** Whether the key has a result, which stays. */
  readonly hasResult: boolean;
  /** By the table's policy. */
  readonly retry: RetryPolicy;
  /** Gives a row only while the key is ours to write. */
  readonly fence: Sql | undefined;
}

/**
 * Records that the make of a key failed; once more where it failed before. Returns false, and records nothing, where
 * someone else has computed the key meanwhile.
 */
export async function recordFailure(
  store: Queryable,
  relation: Relation,
  { key, failure, run, hasResult, retry, fence }: FailedKey,
): Promise<boolean> {
  const same = relation.spec.sourceKey.map((column) => sql`t.${sql.id(column)} = k.${sql.id(column)}`);
  const ours = fence === undefined ? sql`true` : sql`exists (${fence})`;
  const open = hasResult
    ? ours
    : sql`${ours} and not exists (select from ${tableId(relation.placement)} t where ${sql.join(same, sql` and `)})`;
  const columns = relation.spec.sourceKey.map((column) => sql`${column}::text, k.${sql.id(column)}`);
  const recorded = await store.execute(sql`
    insert into varve.job as j (relation, key_hash, key, state, code, message, stack, attempts, run, changed_at, not_before)
    select ${relation.id}, ${keyHash(sql`k`, relation.spec.sourceKey)}, jsonb_build_object(${sql.join(columns)}),
      'error', ${failure.code}, ${printable(failure.message)}, ${failure.stack === null ? null : printable(failure.stack)}, 1, ${run}, now(),
      ${retryAt(retry, sql`1`)}
    from (${keysRecordset(relation.spec, [key])}) k where ${open}
    on conflict (relation, key_hash) do update set state = 'error', code = excluded.code, message = excluded.message,
      stack = excluded.stack, attempts = j.attempts + 1, run = excluded.run, changed_at = excluded.changed_at,
      not_before = ${retryAt(retry, sql`(j.attempts + 1)`)}`);
  return recorded > 0;
}

/** When a key that failed for the n-th time is tried again; null: not by itself. */
function retryAt({ attempts, delaySeconds, factor }: RetryPolicy, tries: Sql): Sql {
  const delay = sql`${delaySeconds}::double precision * power(${factor}::double precision, ${tries} - 1)`;
  return sql`case when ${tries} < ${attempts}::integer then now() + make_interval(secs => least(${delay}, ${MAX_DELAY_SECONDS})) end`;
}

/** A week: a delay that doubles soon passes every calendar. */
const MAX_DELAY_SECONDS = 604_800;

/** The due keys that a person put first, most urgent first; what is behind them comes with the next pass. */
export async function urgentKeys(store: Queryable, relation: Relation): Promise<readonly Key[]> {
  const columns = typedKey(relation.spec, sql`j.key`);
  try {
    return await store.query(sql`
      select ${columns} from varve.job j where j.relation = ${relation.id} and j.priority > 0 and ${JOB_IS_DUE}
      order by j.priority desc, j.key_hash limit ${URGENT_KEYS}`);
  } catch (error) {
    if (!isStoreError(error) || !error.fields.sqlstate.startsWith('22')) throw error;
    throw new VarveError('value_invalid', {
      detail: { table: 'varve.job', of: relation.name },
      hint: `A key that was put first is no key of this table. Run \`varve jobs clear ${relation.name}\`, which forgets what was said of its keys.`,
      cause: error,
    });
  }
}

const URGENT_KEYS = 10_000;

function typedKey(spec: TableSpec, key: Sql): Sql {
  const typeByName = new Map(spec.columns.map(({ name, type }) => [name, type]));
  return sql.join(
    spec.sourceKey.map(
      (column) =>
        sql`(${key}->>${column}::text)::${sql.raw(typeByName.get(column) ?? 'text')} as ${sql.id(column)}`,
    ),
  );
}

/** Failed keys of a run that are still to be tried again by it: how many now, and how long until the next. */
export interface OpenRetries {
  readonly due: number;
  /** Milliseconds until the next one that is not due yet; null: there is none. */
  readonly nextInMs: number | null;
}

/** What is left to retry of the keys that failed in one run. */
export async function openRetries(store: Queryable, relation: Relation, run: string): Promise<OpenRetries> {
  const [row] = await store.query<{ due: number; next_ms: number | null }>(sql`
    select count(*) filter (where j.not_before <= now())::integer as due,
      (extract(epoch from min(j.not_before) filter (where j.not_before > now()) - now()) * 1000)::double precision as next_ms
    from varve.job j where j.relation = ${relation.id} and j.state = 'error' and j.run = ${run} and j.not_before is not null`);
  return { due: row?.due ?? 0, nextInMs: row?.next_ms ?? null };
}

/** The keys that failed in one run and did not succeed since, by code. */
export async function failedKeys(
  store: Queryable,
  relation: Relation,
  run: string,
): Promise<readonly { readonly code: string; readonly keys: number }[]> {
  return store.query<{ code: string; keys: number }>(sql`
    select coalesce(j.code, 'make_failed') as code, count(*)::integer as keys from varve.job j
    where j.relation = ${relation.id} and j.state = 'error' and j.run = ${run} group by 1 order by 1`);
}

/** Forgets the jobs of keys that this computation spec has computed, whoever recorded them. */
export async function forgetComputed(store: Queryable, relation: Relation, specId: number): Promise<void> {
  await store.execute(sql`
    delete from varve.job j using varve.computation c
    where j.relation = ${relation.id} and c.relation = j.relation and c.key_hash = j.key_hash and c.spec = ${specId}`);
}

/** A make's own message may hold what no text column can. */
function printable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\u{FFFD}');
}

/** Which jobs. */
export interface JobFilter {
  readonly state?: Job['state'];
  /** Default: all. */
  readonly limit?: number;
}

/** The jobs of these relations with message and stack, by table and time. */
export async function listJobs(
  store: Queryable,
  relations: readonly Relation[],
  filter: JobFilter = {},
): Promise<readonly Job[]> {
  const state = filter.state ?? null;
  const rows = await store.query<JobRow>(sql`
    select j.relation, j.key::text as key, j.state, j.priority, j.not_before, j.code, j.message, j.stack, j.run, j.attempts,
      j.changed_at
    from varve.job j join varve.relation r on r.id = j.relation
    where j.relation = any(${idsOf(relations)}::integer[]) and (${state}::text is null or j.state = ${state})
    order by r.name, j.changed_at, j.key_hash limit ${filter.limit ?? null}`);
  return rows.map(({ relation: id, key, changed_at: changedAt, not_before: notBefore, ...rest }) => {
    const { name, spec } = relations.find((relation) => relation.id === id) as Relation;
    return { table: name, key: readExactRow(key, spec), ...rest, notBefore, changedAt };
  });
}

interface JobRow extends Omit<Job, 'table' | 'key' | 'changedAt' | 'notBefore'>, Row {
  readonly relation: number;
  readonly key: string;
  readonly changed_at: string;
  readonly not_before: string | null;
}

function idsOf(relations: readonly Relation[]): readonly number[] {
  return relations.map(({ id }) => id);
}

/** Which keys of a relation; a condition over the columns of its key, already checked to be one condition. */
export interface JobScope {
  readonly relation: Relation;
  /** Undefined: all. */
  readonly condition: Sql | undefined;
}

/** The condition that a job `j` is of the scope. */
function inScope({ relation, condition }: JobScope): Sql {
  const own = sql`j.relation = ${relation.id}`;
  if (condition === undefined) return own;
  return sql`${own} and exists (select from (select ${typedKey(relation.spec, sql`j.key`)}) k where ${condition})`;
}

/** Lets failed keys be computed again: forgets their jobs. Returns how many. */
export async function retryJobs(store: Queryable, scope: JobScope): Promise<number> {
  return store.execute(sql`delete from varve.job j where ${inScope(scope)} and j.state = 'error'`);
}

/** Forgets every job, ignored and delayed ones included. Returns how many. */
export async function clearJobs(store: Queryable, scope: JobScope): Promise<number> {
  return store.execute(sql`delete from varve.job j where ${inScope(scope)}`);
}

/** What a person may say about keys. */
export type JobOrder =
  | { readonly state: 'ignored' }
  | { readonly state: 'pending'; readonly priority?: number; readonly delaySeconds?: number };

/** Who says so, and of which keys. */
export interface JobOrderOptions {
  readonly relations: Relations;
  readonly actor: string;
}

/**
 * Leaves keys alone, puts them first, or puts them off: those of the key source that the scope names, failed ones among
 * them; without a condition only those that have a job. Returns how many.
 */
export async function orderJobs(
  store: Queryable,
  scope: JobScope,
  order: JobOrder,
  { relations, actor }: JobOrderOptions,
): Promise<number> {
  const { relation, condition } = scope;
  const { spec } = relation;
  const priority = order.state === 'pending' ? (order.priority ?? null) : null;
  const delay = order.state === 'pending' ? (order.delaySeconds ?? null) : null;
  const notBefore = sql`case when ${delay}::double precision is not null then now() + make_interval(secs => ${delay}::double precision) end`;
  if (condition === undefined) {
    return store.execute(sql`
      update varve.job j set state = ${order.state}, changed_at = now(), priority = coalesce(${priority}::integer, j.priority),
        not_before = ${notBefore} where ${inScope(scope)} and j.state <> ${order.state === 'ignored' ? 'ignored' : 'pending'}`);
  }
  const key = sql.join(spec.sourceKey.map((column) => sql`${column}::text, k.${sql.id(column)}`));
  return store.execute(sql`
    insert into varve.job as j (relation, key_hash, key, state, attempts, run, changed_at, priority, not_before)
    select ${relation.id}, ${keyHash(sql`k`, spec.sourceKey)}, jsonb_build_object(${key}), ${order.state}, 0, ${actor}, now(),
      coalesce(${priority}::integer, 0), ${notBefore}
    from (select * from (${keySource(spec, relations)}) s where ${condition}) k
    on conflict (relation, key_hash) do update set state = excluded.state, changed_at = excluded.changed_at,
      priority = coalesce(${priority}::integer, j.priority), not_before = excluded.not_before`);
}

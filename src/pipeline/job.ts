/** Jobs: keys that are left out of populate for a reason, because their make failed or because someone said so. */
import type { JsonObject } from '../base/index.ts';
import { sql, type Queryable, type Row } from '../store/index.ts';
import { readExactRow } from './exact-json.ts';
import { keyHash } from './read-plan.ts';
import { tableId, type Relation } from './relation.ts';
import type { MakeFailure } from './run-make/make-outcome.ts';
import type { Key } from './key-source.ts';
import { keysRecordset } from './write-rows.ts';

/** A key that stands aside, as `varve jobs` shows it. */
export interface Job {
  readonly table: string;
  readonly key: JsonObject;
  readonly state: 'error' | 'ignored';
  readonly code: string | null;
  readonly message: string | null;
  /** The make's own; null where it threw no error. */
  readonly stack: string | null;
  /** The run in which it last failed. */
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
}

/**
 * Records that the make of a key failed; once more where it failed before. Returns false, and records nothing, where
 * someone else has computed the key meanwhile.
 */
export async function recordFailure(
  store: Queryable,
  relation: Relation,
  { key, failure, run, hasResult }: FailedKey,
): Promise<boolean> {
  const same = relation.spec.sourceKey.map((column) => sql`t.${sql.id(column)} = k.${sql.id(column)}`);
  const open = hasResult
    ? sql`true`
    : sql`not exists (select from ${tableId(relation.placement)} t where ${sql.join(same, sql` and `)})`;
  const columns = relation.spec.sourceKey.map((column) => sql`${column}::text, k.${sql.id(column)}`);
  const recorded = await store.execute(sql`
    insert into varve.job (relation, key_hash, key, state, code, message, stack, attempts, run, changed_at)
    select ${relation.id}, ${keyHash(sql`k`, relation.spec.sourceKey)}, jsonb_build_object(${sql.join(columns)}),
      'error', ${failure.code}, ${printable(failure.message)}, ${failure.stack === null ? null : printable(failure.stack)}, 1, ${run}, now()
    from (${keysRecordset(relation.spec, [key])}) k where ${open}
    on conflict (relation, key_hash) do update set state = 'error', code = excluded.code, message = excluded.message,
      stack = excluded.stack, attempts = varve.job.attempts + 1, run = excluded.run, changed_at = excluded.changed_at`);
  return recorded > 0;
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

/** Which jobs to list. */
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
    select j.relation, j.key::text as key, j.state, j.code, j.message, j.stack, j.run, j.attempts, j.changed_at
    from varve.job j join varve.relation r on r.id = j.relation
    where j.relation = any(${idsOf(relations)}::integer[]) and (${state}::text is null or j.state = ${state})
    order by r.name, j.changed_at, j.key_hash limit ${filter.limit ?? null}`);
  return rows.map(({ relation: id, key, changed_at: changedAt, ...rest }) => {
    const { name, spec } = relations.find((relation) => relation.id === id) as Relation;
    return { table: name, key: readExactRow(key, spec), ...rest, changedAt };
  });
}

interface JobRow extends Omit<Job, 'table' | 'key' | 'changedAt'>, Row {
  readonly relation: number;
  readonly key: string;
  readonly changed_at: string;
}

function idsOf(relations: readonly Relation[]): readonly number[] {
  return relations.map(({ id }) => id);
}

/** Lets keys be computed again: forgets their jobs. Returns how many. */
export async function retryJobs(store: Queryable, relations: readonly Relation[]): Promise<number> {
  return store.execute(sql`
    delete from varve.job where relation = any(${relations.map(({ id }) => id)}::integer[]) and state = 'error'`);
}

/** Leaves failed keys alone until they are retried by name. Returns how many. */
export async function ignoreJobs(store: Queryable, relations: readonly Relation[]): Promise<number> {
  return store.execute(sql`
    update varve.job set state = 'ignored', changed_at = now()
    where relation = any(${relations.map(({ id }) => id)}::integer[]) and state = 'error'`);
}

/** Forgets every job, ignored ones included. Returns how many. */
export async function clearJobs(store: Queryable, relations: readonly Relation[]): Promise<number> {
  return store.execute(sql`
    delete from varve.job where relation = any(${relations.map(({ id }) => id)}::integer[])`);
}

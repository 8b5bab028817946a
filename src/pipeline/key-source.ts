/**
 * The keys that a computed table ought to have, and those of them that are due.
 *
 * The key source is the join of the parents: equal where two foreign keys share a child column, free otherwise. A key is
 * due when it is missing (in the key source, without a row and without a job that says why), or stale (its recorded
 * inputs or code are no longer those of the present).
 */
import { sql, type Queryable, type Row, type Sql } from '../store/index.ts';
import { encodeKey } from './encode-row.ts';
import { keyHash, readPlan } from './read-plan.ts';
import { relationOf, tableId, type Relation, type Relations } from './relation.ts';
import { sameJson } from './same-json.ts';
import type { ForeignKeySpec, ReadSpec, TableSpec } from './spec.ts';

/** A key as the store decoded it, by column. */
export type Key = Row;

/** Narrows the keys. */
export interface KeyRestriction {
  /** An SQL condition over the columns of the key source, already checked to be one condition. */
  readonly condition: Sql | undefined;
  /** Only keys after this one, in key order. */
  readonly after?: Key | undefined;
  /** Only keys up to this one, itself included. */
  readonly upTo?: Key | undefined;
  /** Not these keys: a subquery with the columns of the source key. */
  readonly except?: Sql | undefined;
}

/** Why a key is computed again. */
export type StaleReason =
  | { readonly kind: 'inputs'; readonly reads: readonly string[] }
  | { readonly kind: 'code'; readonly recordedDigest: string }
  | { readonly kind: 'reads' };

/** A key whose recorded inputs or code are no longer those of the present. */
export interface StaleKey {
  readonly key: Key;
  readonly reasons: readonly StaleReason[];
}

/** The key source as a subquery with the columns of the source key. */
export function keySource(spec: TableSpec, relations: Relations): Sql {
  const keys = spec.foreignKeys.filter(({ kind }) => kind !== 'secondary');
  const bound = new Map<string, Sql>();
  const tables = keys.map((key, index) => {
    const alias = sql.raw(`p${String(index)}`);
    const table = tableId(relationOf(relations, key.to).placement);
    const on = bindColumns(key, alias, bound);
    if (index === 0) return sql`${table} ${alias}`;
    return on.length === 0
      ? sql`cross join ${table} ${alias}`
      : sql`join ${table} ${alias} on ${sql.join(on, sql` and `)}`;
  });
  const columns = spec.sourceKey.map((column) => sql`${bound.get(column) ?? sql`null`} as ${sql.id(column)}`);
  return sql`select ${sql.join(columns)} from ${sql.join(tables, sql` `)}`;
}

/** Binds the child columns of a foreign key; those bound before must be equal. */
function bindColumns(key: ForeignKeySpec, alias: Sql, bound: Map<string, Sql>): readonly Sql[] {
  return Object.entries(key.columns).flatMap(([child, parent]) => {
    const column = sql`${alias}.${sql.id(parent)}`;
    const before = bound.get(child);
    if (before !== undefined) return [sql`${before} = ${column}`];
    bound.set(child, column);
    return [];
  });
}

/** The condition that no row stands for key `s` and nothing keeps it from being computed now. */
async function missingCondition(
  store: Queryable,
  relation: Relation,
  restriction: KeyRestriction,
): Promise<Sql> {
  const { spec } = relation;
  const same = spec.sourceKey.map((column) => sql`t.${sql.id(column)} = s.${sql.id(column)}`);
  // Said of the row too: the planner carries an equality over to the other table, a range it does not, and would read
  // the table from its start for each chunk of keys.
  const absent = sql`not exists (select from ${tableId(relation.placement)} t
    where ${sql.join([...same, inRange(spec, sql`t`, restriction)], sql` and `)})`;
  // Finding a job takes the hash of each key; with no jobs at all, as mostly, that is work for nothing.
  if ((await countJobs(store, relation)) === 0) return absent;
  return sql`${absent} and ${notHeldBack(relation, sql`s`)}`;
}

/** That nothing keeps a key from being computed now: no failure that waits, no delay, nobody who said to leave it. */
function notHeldBack(relation: Relation, key: Sql): Sql {
  return sql`not exists (select from varve.job j
    where j.relation = ${relation.id} and j.key_hash = ${keyHash(key, relation.spec.sourceKey)} and not ${JOB_IS_DUE})`;
}

/** That the key of a job `j` may be computed now; see `sql/0004_jobs.sql`. */
export const JOB_IS_DUE: Sql = sql`(j.state = 'pending' and coalesce(j.not_before <= now(), true)
  or j.state = 'error' and coalesce(j.not_before <= now(), false))`;

/** The restriction for keys `s`. */
function restricted(spec: TableSpec, restriction: KeyRestriction): Sql {
  const { condition, except } = restriction;
  const same = spec.sourceKey.map((column) => sql`e.${sql.id(column)} = s.${sql.id(column)}`);
  return sql.join(
    [
      inRange(spec, sql`s`, restriction),
      ...(condition === undefined ? [] : [sql`(${condition})`]),
      ...(except === undefined
        ? []
        : [sql`not exists (select from (${except}) e where ${sql.join(same, sql` and `)})`]),
    ],
    sql` and `,
  );
}

/** That the key in `alias` lies within the bounds, in a form that an index over the key answers. */
function inRange(spec: TableSpec, alias: Sql, { after, upTo }: KeyRestriction): Sql {
  const bounds = [
    ...(after === undefined ? [] : [bound(spec, alias, after, '>')]),
    ...(upTo === undefined ? [] : [bound(spec, alias, upTo, '<=')]),
  ];
  return bounds.length === 0 ? sql`true` : sql.join(bounds, sql` and `);
}

function bound(spec: TableSpec, alias: Sql, key: Key, operator: '>' | '<='): Sql {
  const columns = spec.sourceKey.map((column) => sql`${alias}.${sql.id(column)}`);
  const values = keyValues(spec, key);
  const whole = sql`(${sql.join(columns)}) ${sql.raw(operator)} (${sql.join(values)})`;
  const [column] = columns;
  const [value] = values;
  if (columns.length === 1 || column === undefined || value === undefined) return whole;
  // Where the columns come from several tables, only a bound on one column reaches its table.
  return sql`${whole} and ${column} ${sql.raw(operator === '>' ? '>=' : '<=')} ${value}`;
}

/** The values of a key as typed parameters, in the order of the source key. */
function keyValues(spec: TableSpec, key: Key): readonly Sql[] {
  const encoded = encodeKey(key);
  const typeByName = new Map(spec.columns.map(({ name, type }) => [name, type]));
  return spec.sourceKey.map((column) => {
    const value = encoded[column] ?? null;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return sql`${text}::${sql.raw(typeByName.get(column) ?? 'text')}`;
  });
}

/** Up to `limit` missing keys in key order. */
export async function missingKeys(
  store: Queryable,
  relation: Relation,
  relations: Relations,
  options: KeyRestriction & { readonly limit: number },
): Promise<readonly Key[]> {
  const columns = sql.join(relation.spec.sourceKey.map((column) => sql`s.${sql.id(column)}`));
  return store.query(sql`
    select ${columns} from (${keySource(relation.spec, relations)}) s
    where ${restricted(relation.spec, options)} and ${await missingCondition(store, relation, options)}
    order by ${columns} limit ${options.limit}`);
}

/** How many keys are missing, of all or of the restricted ones; counted up to `limit`. */
export async function countMissing(
  store: Queryable,
  relation: Relation,
  relations: Relations,
  restriction: KeyRestriction & { readonly limit?: number },
): Promise<number> {
  const [row] = await store.query<{ count: bigint }>(sql`
    select count(*) as count from (
      select from (${keySource(relation.spec, relations)}) s
      where ${restricted(relation.spec, restriction)} and ${await missingCondition(store, relation, restriction)}
      limit ${restriction.limit ?? null}) c`);
  return Number(row?.count ?? 0n);
}

/** Keys that have a job, whatever its state. */
export async function countJobs(store: Queryable, relation: Relation): Promise<number> {
  const [row] = await store.query<{ count: bigint }>(
    sql.kept(sql`
    select count(*) as count from varve.job where relation = ${relation.id}`),
  );
  return Number(row?.count ?? 0n);
}

/** The last key of the next `size` recorded keys after one; undefined when there are fewer, so that all the rest is one page. */
export async function endOfPage(
  store: Queryable,
  relation: Relation,
  { after, size }: { readonly after: Key | undefined; readonly size: number },
): Promise<Key | undefined> {
  const { spec } = relation;
  const columns = sql.join(spec.sourceKey.map((column) => sql`t.${sql.id(column)}`));
  const distinct = spec.sourceKey.length === spec.primaryKey.length ? sql`` : sql`distinct`;
  const [row] = await store.query(sql`
    select ${distinct} ${columns} from ${tableId(relation.placement)} t
    where ${inRange(spec, sql`t`, { condition: undefined, after })} order by ${columns} offset ${size - 1} limit 1`);
  return row;
}

/** The present code of a table, as computations are compared with it. */
export interface PresentCode {
  readonly digest: string;
}

/**
 * The stale keys with the reasons: the present digest of every recorded key's inputs beside the recorded one; cost is
 * that of reading the inputs once.
 *
 * A computation is compared under the reads it was recorded with. Where the definition reads more columns by now (a
 * table above got one) and the code is the same, it cannot have used them, so they make nothing stale.
 */
export async function staleKeys(
  store: Queryable,
  relation: Relation,
  relations: Relations,
  code: PresentCode,
  restriction: KeyRestriction,
): Promise<readonly StaleKey[]> {
  const stale: StaleKey[] = [];
  for (const { reads } of await recordedReads(store, relation)) {
    const query = { relation, relations, code, restriction, reads };
    stale.push(
      ...(await (coversReads(relation.spec.reads, reads)
        ? staleOfReads(store, query)
        : movedReads(store, query))),
    );
  }
  return stale;
}

/** The reads that computations of a table are recorded with. */
async function recordedReads(
  store: Queryable,
  { id }: Relation,
): Promise<readonly { readonly reads: readonly ReadSpec[] }[]> {
  const all = await store.query<{ reads: readonly ReadSpec[] }>(
    sql`select distinct reads from varve.computation_spec where relation = ${id}`,
  );
  // Which of them computations are left of is told by going through all of these: not where nothing hangs on it.
  if (all.length <= 1) return all;
  return store.query<{ reads: readonly ReadSpec[] }>(sql`
    select distinct s.reads from varve.computation_spec s
    where s.id in (select spec from varve.computation where relation = ${id})`);
}

interface StaleQuery {
  readonly relation: Relation;
  readonly relations: Relations;
  readonly code: PresentCode;
  readonly restriction: KeyRestriction;
  readonly reads: readonly ReadSpec[];
}

/** Whether the present reads are the recorded ones, with more columns at most. */
function coversReads(present: readonly ReadSpec[], recorded: readonly ReadSpec[]): boolean {
  return (
    present.length === recorded.length &&
    recorded.every((read, index) => {
      const now = present[index];
      return (
        now !== undefined &&
        read.columns.every((column) => now.columns.includes(column)) &&
        sameJson({ ...read, columns: [] }, { ...now, columns: [] })
      );
    })
  );
}

async function staleOfReads(store: Queryable, query: StaleQuery): Promise<readonly StaleKey[]> {
  const { relation, relations, code, restriction, reads } = query;
  const spec = { ...relation.spec, reads };
  const plan = readPlan(spec, relations);
  const key = spec.sourceKey.map((column) => sql`k.${sql.id(column)}`);
  const moved = plan.digests.map(
    (digest, index) => sql`(${digest}) is distinct from substr(k."#inputs", ${1 + 32 * index}, 32)`,
  );
  const rows = await store.query<StaleRow>(sql`
    select ${sql.join(key)}, jsonb_build_object('code', nullif(k."#code", ${code.digest}),
      'moved', array[${sql.join([...moved, sql`null`])}]::boolean[]) as "#stale"
    from (${recordedKeys(relation, restriction)}) k ${plan.joins}
    where ${notHeldBack(relation, sql`k`)} and k."#reads" = ${JSON.stringify(reads)}::jsonb
      and (${sql.join([sql`k."#code" <> ${code.digest}`, ...moved], sql` or `)})
    order by ${sql.join(key)}`);
  return rows.map(({ '#stale': facts, ...rest }) => ({ key: rest, reasons: reasonsOf(reads, facts) }));
}

/** The keys whose computation was recorded with reads that the definition no longer has. */
async function movedReads(store: Queryable, query: StaleQuery): Promise<readonly StaleKey[]> {
  const { relation, restriction, reads } = query;
  const key = sql.join(relation.spec.sourceKey.map((column) => sql`k.${sql.id(column)}`));
  const rows = await store.query(sql`
    select ${key} from (${recordedKeys(relation, restriction)}) k
    where ${notHeldBack(relation, sql`k`)} and k."#reads" = ${JSON.stringify(reads)}::jsonb
    order by ${key}`);
  return rows.map((row) => ({ key: row, reasons: [{ kind: 'reads' }] }));
}

interface StaleRow extends Row {
  readonly '#stale': { readonly code: string | null; readonly moved: readonly (boolean | null)[] };
}

function reasonsOf(reads: readonly ReadSpec[], facts: StaleRow['#stale']): readonly StaleReason[] {
  const moved = reads.filter((_, index) => facts.moved[index] === true).map(({ name }) => name);
  return [
    ...(moved.length === 0 ? [] : [{ kind: 'inputs' as const, reads: moved }]),
    ...(facts.code === null ? [] : [{ kind: 'code' as const, recordedDigest: facts.code }]),
  ];
}

/**
 * The keys that have a computation, with what is recorded of it. A condition is put where the key's columns are the only
 * ones in sight: beside the tables that are read, a column of theirs with the same name would make it ambiguous. What
 * stands beside the key has names with a #, which no column of a definition can have.
 */
export function recordedKeys(
  relation: Relation,
  restriction: KeyRestriction = { condition: undefined },
): Sql {
  const { spec } = relation;
  const columns = sql.join(spec.sourceKey.map((column) => sql`t.${sql.id(column)}`));
  const distinct = spec.sourceKey.length === spec.primaryKey.length ? sql`` : sql`distinct`;
  return sql`
    select t.*, c.inputs as "#inputs", d.digest as "#code", s.reads as "#reads"
    from (select * from (select ${distinct} ${columns} from ${tableId(relation.placement)} t) s where ${restricted(spec, restriction)}) t
    join varve.computation c on c.relation = ${relation.id} and c.key_hash = ${keyHash(sql`t`, spec.sourceKey)}
    join varve.computation_spec s on s.id = c.spec
    join varve.code d on d.id = s.code`;
}

/** The reads as a computation's spec records them. */
export function readsText(spec: TableSpec): string {
  return JSON.stringify(spec.reads);
}

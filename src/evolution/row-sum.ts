/**
 * The sum of a table's rows, kept up to date while rows change (see `rowSumOf` in the store). So the digest of a table of
 * a million rows is there, exact, at the end of a cutover in which writers wait for a few rows only.
 */
import { rowDigest, tableId, type Relation } from '../pipeline/index.ts';
import {
  executeAll,
  rowSumOf,
  sql,
  UNMERGED,
  type Queryable,
  type RowSum,
  type Sql,
} from '../store/index.ts';
import { BUILD } from './building.ts';

/** Sums rows as `pipeline/2` did: the words are those of each row's sha256. */
export async function sumRowsEarlier(
  store: Queryable,
  from: Sql,
  columns: readonly string[],
): Promise<RowSum> {
  const digest = rowDigest(
    sql`t`,
    columns.toSorted((left, right) => (left < right ? -1 : 1)),
  );
  const word = (place: number): Sql =>
    sql`coalesce(sum(('x' || substr(h, ${sql.raw(String(1 + 16 * place))}, 16))::bit(64)::bigint), 0)`;
  const [row] =
    await store.query<SumRow>(sql`select count(*) as rows, ${word(0)} as first, ${word(1)} as second
    from (select encode(${digest}, 'hex') as h from ${from} t ${UNMERGED}) d`);
  return { rows: Number(row?.rows ?? 0n), first: row?.first ?? '0', second: row?.second ?? '0' };
}

/**
 * Sums a table that a run builds and keeps the result, instead of what was kept before. From then on whoever changes
 * the table takes the rows out of the sum before and puts them in after, in the transaction of the change.
 */
export async function keepSum(
  transaction: Queryable,
  building: Relation,
  columns: readonly string[],
): Promise<void> {
  const kept = keptIn(building);
  await executeAll(transaction, [
    sql`create schema if not exists ${sql.id(BUILD)}`,
    sql`drop table if exists ${kept}`,
    sql`create table ${kept} as ${rowSumOf({ from: tableId(building.placement), columns })}`,
  ]);
}

/** Takes rows out of the kept sum, or puts them in: `rows` is a SELECT of whole rows of the table. Without a kept sum it does nothing. */
export async function changeSum(
  transaction: Queryable,
  building: Relation,
  change: {
    readonly columns: readonly string[];
    readonly rows: Sql;
    readonly by: 'taking out' | 'putting in';
  },
): Promise<void> {
  if (!(await isKept(transaction, building))) return;
  const sign = change.by === 'taking out' ? sql`-` : sql`+`;
  const changed = (name: string): Sql => sql`${sql.id(name)} = k.${sql.id(name)} ${sign} d.${sql.id(name)}`;
  await transaction.execute(sql`
    update ${keptIn(building)} k set ${sql.join(['rows', 'first', 'second'].map(changed))}
    from (${rowSumOf({ from: sql`(${change.rows})`, columns: change.columns })}) d`);
}

/** The kept sum of a table; undefined where none is kept. */
export async function keptSum(store: Queryable, building: Relation): Promise<RowSum | undefined> {
  if (!(await isKept(store, building))) return undefined;
  const [row] = await store.query<SumRow>(sql`select rows, first, second from ${keptIn(building)}`);
  return row === undefined ? undefined : { ...row, rows: Number(row.rows) };
}

/** Takes the kept sum away. */
export async function forgetSum(transaction: Queryable, building: Relation): Promise<void> {
  // And what a run of an earlier release kept: sums of other hashes, which nothing asks for any more.
  const earlier = sql.id(BUILD, `sum of ${String(building.id)}`);
  await transaction.execute(sql`drop table if exists ${keptIn(building)}, ${earlier}`);
}

interface SumRow extends Record<string, unknown> {
  readonly rows: bigint;
  readonly first: string;
  readonly second: string;
}

async function isKept(store: Queryable, building: Relation): Promise<boolean> {
  const [row] = await store.query<{ is_kept: boolean }>(sql`
    select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${BUILD} and c.relname = ${keptName(building)}) as is_kept`);
  return row?.is_kept === true;
}

function keptName({ id }: Relation): string {
  return `row sum of ${String(id)}`;
}

function keptIn(building: Relation): Sql {
  return sql.id(BUILD, keptName(building));
}

/**
 * The digest of a table's rows as a sum, which can be kept up to date while rows change: taking a row out or putting one
 * in costs what digesting that row costs, however large the table is. So the digest of a table of a million rows is
 * there, exact, at the end of a cutover in which writers wait for a few rows only.
 *
 * ```text
 * row     sha256 of the text of its columns, in the order of their names; of it, the first two words of 64 bits, signed
 * table   count, sum of the first words, sum of the second words: exact whole numbers
 * digest  sha256 of "count first second"
 * ```
 *
 * Order does not matter and equal sets of rows give equal digests, whichever way they came to be. The digest finds
 * change; it is no proof against somebody who may choose the rows, for whom sums can be made to agree. Two words: 128
 * bits do not agree by accident, and each further word costs a sixth of digesting the row.
 */
import { createHash } from 'node:crypto';
import { rowDigest, tableId, type Relation } from '../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../store/index.ts';
import { BUILD } from './building.ts';

/** What is summed; all are whole numbers, the sums as text since they pass 64 bits. */
export interface RowSum {
  readonly rows: number;
  readonly first: string;
  readonly second: string;
}

/** The digest of summed rows. Shape: `sha256:...` */
export function sumDigest({ rows, first, second }: RowSum): string {
  return `sha256:${createHash('sha256')
    .update(`${String(rows)} ${first} ${second}`)
    .digest('hex')}`;
}

/** Sums rows: `from` stands after `from`, its columns without an alias of their own. */
export async function sumRows(store: Queryable, from: Sql, columns: readonly string[]): Promise<RowSum> {
  const [row] = await store.query<SumRow>(sumOf(from, columns));
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
  await transaction.execute(sql`create schema if not exists ${sql.id(BUILD)}`);
  await transaction.execute(sql`drop table if exists ${kept}`);
  await transaction.execute(sql`create table ${kept} as ${sumOf(tableId(building.placement), columns)}`);
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
    from (${sumOf(sql`(${change.rows})`, change.columns)}) d`);
}

/** The kept sum of a table; undefined where none is kept. */
export async function keptSum(store: Queryable, building: Relation): Promise<RowSum | undefined> {
  if (!(await isKept(store, building))) return undefined;
  const [row] = await store.query<SumRow>(sql`select rows, first, second from ${keptIn(building)}`);
  return row === undefined ? undefined : { ...row, rows: Number(row.rows) };
}

/** Takes the kept sum away. */
export async function forgetSum(transaction: Queryable, building: Relation): Promise<void> {
  await transaction.execute(sql`drop table if exists ${keptIn(building)}`);
}

interface SumRow extends Record<string, unknown> {
  readonly rows: bigint;
  readonly first: string;
  readonly second: string;
}

function sumOf(from: Sql, columns: readonly string[]): Sql {
  const digest = rowDigest(
    sql`t`,
    columns.toSorted((left, right) => (left < right ? -1 : 1)),
  );
  const word = (place: number): Sql =>
    sql`coalesce(sum(('x' || substr(h, ${sql.raw(String(1 + 16 * place))}, 16))::bit(64)::bigint), 0)`;
  // `offset 0` keeps the digest from being computed once for each word.
  return sql`select count(*) as rows, ${word(0)} as first, ${word(1)} as second
    from (select encode(${digest}, 'hex') as h from ${from} t offset 0) d`;
}

async function isKept(store: Queryable, building: Relation): Promise<boolean> {
  const [row] = await store.query<{ is_kept: boolean }>(sql`
    select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${BUILD} and c.relname = ${keptName(building)}) as is_kept`);
  return row?.is_kept === true;
}

function keptName({ id }: Relation): string {
  return `sum of ${String(id)}`;
}

function keptIn(building: Relation): Sql {
  return sql.id(BUILD, keptName(building));
}

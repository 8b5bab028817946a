/**
 * The digest of a table's rows as a sum, which can be kept up to date while rows change: taking a row out or putting one
 * in costs what digesting that row costs, however large the table is. So the digest of a table of a million rows is
 * there, exact, at the end of a cutover in which writers wait for a few rows only.
 *
 * ```text
 * row     the text of a record of its columns, in the order of their names; of it, two hashes of 64 bits by the database, with
 *         seeds 0 and 1 (in `pipeline/2`: sha256 of the texts of the columns; of it, the first two words)
 * table   count, sum of the first hashes, sum of the second ones: exact whole numbers
 * digest  sha256 of "count first second"
 * ```
 *
 * Order does not matter and equal sets of rows give equal digests, whichever way they came to be. The digest finds
 * change; it is no proof against somebody who may choose the rows, for whom sums can be made to agree, whatever the hash
 * of a row is: so it is the cheapest one that every server gives alike. Two of 64 bits do not agree by accident.
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

/** Which hashes of a row are summed: those of this release, or of the one before it. */
export type RowHash = 'database' | 'sha256';

/** Sums rows: `from` stands after `from`, its columns without an alias of their own. */
export async function sumRows(
  store: Queryable,
  from: Sql,
  columns: readonly string[],
  hash: RowHash = 'database',
): Promise<RowSum> {
  const [row] = await store.query<SumRow>(sumOf(from, columns, hash));
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
  // What a run of an earlier release kept: sums of other hashes, which nothing asks for any more.
  await transaction.execute(sql`drop table if exists ${sql.id(BUILD, `sum of ${String(building.id)}`)}`);
}

interface SumRow extends Record<string, unknown> {
  readonly rows: bigint;
  readonly first: string;
  readonly second: string;
}

function sumOf(from: Sql, columns: readonly string[], hash: RowHash = 'database'): Sql {
  const ordered = columns.toSorted((left, right) => (left < right ? -1 : 1));
  const { row, words } = hash === 'database' ? databaseHash(ordered) : sha256Hash(ordered);
  // `offset 0` keeps the row from being turned into text once for each word.
  return sql`select count(*) as rows, coalesce(sum(${words[0]}), 0) as first, coalesce(sum(${words[1]}), 0) as second
    from (select ${row} as h from ${from} t offset 0) d`;
}

interface Hashed {
  /** Of a row `t`. */
  readonly row: Sql;
  /** Of that, `h`: two numbers of 64 bits. */
  readonly words: readonly [Sql, Sql];
}

function databaseHash(columns: readonly string[]): Hashed {
  const values = sql.join(columns.map((column) => sql`t.${sql.id(column)}`));
  // Byte by byte, whatever collation the database has.
  const word = (seed: number): Sql => sql`hashtextextended(h, ${sql.raw(String(seed))})`;
  return { row: sql`row(${values})::text collate "C"`, words: [word(0), word(1)] };
}

function sha256Hash(columns: readonly string[]): Hashed {
  const word = (place: number): Sql =>
    sql`('x' || substr(h, ${sql.raw(String(1 + 16 * place))}, 16))::bit(64)::bigint`;
  return { row: sql`encode(${rowDigest(sql`t`, columns)}, 'hex')`, words: [word(0), word(1)] };
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

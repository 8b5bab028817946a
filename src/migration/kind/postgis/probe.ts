/**
 * Rows as others may write them between a run and the way back from it (M108), on a copy that is thrown away: in each table that
 * the run touched one row that was there is changed, column by column, and one comes that is like another but for its key.
 *
 * Nobody knows which values a table allows, so each is tried, within a savepoint, and what the table refuses stays as it was.
 * Values are made from those of the same column where there is one, so that a check or a foreign key that holds for one row
 * mostly holds for the next.
 */
import { isStoreError, sql, type Sql, type Transaction } from '../../../store/index.ts';
import { isUnreachable } from '../../failure.ts';
import type { ProbedTable } from '../../kind.ts';

/** Writes such rows to each of these tables that is an ordinary one and has a primary key. */
export async function writeProbe(
  transaction: Transaction,
  tables: readonly string[],
): Promise<readonly ProbedTable[]> {
  const probed: ProbedTable[] = [];
  for (const table of tables) {
    const columns = await readColumns(transaction, table);
    if (!columns.some(({ isKey }) => isKey)) continue;
    // The changed row is the first by its key, and the new one comes after it.
    const changed = await changeRow(transaction, table, columns);
    const added = await addRow(transaction, table, columns);
    probed.push({ table, rows: (changed ? 1 : 0) + (added ? 1 : 0) });
  }
  return probed;
}

type Column = {
  readonly name: string;
  /** As it is written in SQL. */
  readonly type: string;
  /** `N` numbers, `S` text, `B` truth values, `D` times; see `pg_type.typcategory`. */
  readonly category: string;
  readonly isUuid: boolean;
  readonly isKey: boolean;
  readonly isUnique: boolean;
  /** Points to another table. */
  readonly isForeign: boolean;
  /** Filled by the table itself. */
  readonly isGiven: boolean;
};

async function readColumns(transaction: Transaction, table: string): Promise<readonly Column[]> {
  return await transaction.query<Column>(sql`
    select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type, t.typcategory::text as category,
      a.atttypid = 'uuid'::regtype as "isUuid",
      exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey)) as "isKey",
      exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and a.attnum = any (i.indkey)) as "isUnique",
      exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'f' and a.attnum = any (k.conkey)) as "isForeign",
      a.attgenerated <> '' or a.attidentity = 'a' as "isGiven"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
      join pg_type t on t.oid = a.atttypid
    where n.nspname || '.' || c.relname = ${table} and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped order by a.attnum`);
}

async function changeRow(
  transaction: Transaction,
  table: string,
  columns: readonly Column[],
): Promise<boolean> {
  const key = columns.filter(({ isKey }) => isKey).map(({ name }) => sql.id(name));
  const list = sql.join(key, sql`, `);
  const first = sql`(${list}) = (select ${list} from ${idOf(table)} order by ${list} limit 1)`;
  let isChanged = false;
  for (const column of columns) {
    const { name, isKey, isGiven, isForeign } = column;
    if (isKey || isGiven || isForeign) continue;
    const value = anotherValue(column, sql.id(name));
    if (value === undefined) continue;
    const statement = sql`update ${idOf(table)} set ${sql.id(name)} = ${value} where ${first}`;
    isChanged = (await isDone(transaction, statement)) || isChanged;
  }
  return isChanged;
}

async function addRow(transaction: Transaction, table: string, columns: readonly Column[]): Promise<boolean> {
  const given = columns.filter(({ isGiven }) => !isGiven);
  const names = sql.join(
    given.map(({ name }) => sql.id(name)),
    sql`, `,
  );
  // Of a key that points to another table, the other columns tell rows apart; where all do, it is tried with all.
  const own = given.filter(({ isUnique, isForeign }) => isUnique && !isForeign);
  const valueOf = (column: Column): Sql => {
    const old = sql`r.${sql.id(column.name)}`;
    if (own.includes(column)) return freshValue(column, table) ?? old;
    const sample = anotherValue(column, sql`null::${sql.raw(column.type)}`);
    return sample === undefined || column.isForeign ? old : sql`coalesce(${old}, ${sample})`;
  };
  const values = sql.join(given.map(valueOf), sql`, `);
  return await isDone(
    transaction,
    sql`insert into ${idOf(table)} (${names}) select ${values}
      from (select true) one left join (select * from ${idOf(table)} order by random() limit 1) r on true`,
  );
}

/** Another value of the column than this one; undefined: of such a type nobody here knows one. */
function anotherValue({ category, isUuid, type }: Column, old: Sql): Sql | undefined {
  const as = sql.raw(type);
  if (isUuid) return sql`gen_random_uuid()`;
  if (category === 'N') return sql`(coalesce(${old}, 0::${as}) + 1)::${as}`;
  if (category === 'S') return sql`md5(random()::text)::${as}`;
  if (category === 'B') return sql`not coalesce(${old}, false)`;
  if (category === 'D') return sql`(coalesce(${old}, now()::${as}) + interval '1 day')::${as}`;
  return undefined;
}

/** A value that no row has. */
function freshValue(column: Column, table: string): Sql | undefined {
  const { category, name } = column;
  if (category !== 'N' && category !== 'D') return anotherValue(column, sql`null`);
  return anotherValue(column, sql`(select max(m.${sql.id(name)}) from ${idOf(table)} m)`);
}

function idOf(table: string): Sql {
  const dot = table.indexOf('.');
  return sql.id(table.slice(0, dot), table.slice(dot + 1));
}

/** Whether a statement wrote a row; one that the table refuses is as if it had not been tried. */
async function isDone(transaction: Transaction, statement: Sql): Promise<boolean> {
  try {
    return (await transaction.savepoint(() => transaction.execute(statement))) > 0;
  } catch (error) {
    if (!isStoreError(error) || isUnreachable(error)) throw error;
    return false;
  }
}

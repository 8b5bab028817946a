/**
 * Retired structures: tables that an evolution replaced stay, whole, in a schema of their own, under a name that says
 * what they were and which generation. They keep primary key and checks, and lose foreign keys, for history must not
 * hold back what the present deletes.
 */
import { tableId, type Placement, type Relation } from '../pipeline/index.ts';
import { quoteIdentifier, sql, type Queryable } from '../store/index.ts';

const HISTORY = 'varve_history';

/** Moves a live table to history. */
export async function retire(transaction: Queryable, relation: Relation, runId: string): Promise<Placement> {
  const placement = { schema: HISTORY, table: historyName(relation) };
  await transaction.execute(sql`create schema if not exists ${sql.id(HISTORY)}`);
  await dropForeignKeys(transaction, relation.placement);
  await move(transaction, relation.placement, placement);
  await transaction.execute(sql`
    update varve.relation set state = 'retired', until_run = ${runId}, until_at = now(),
      physical_schema = ${placement.schema}, physical_name = ${placement.table} where id = ${relation.id}`);
  return placement;
}

/** How many rows went to history with the structure of this table that the run retired. */
export async function retiredRows(transaction: Queryable, table: string, runId: string): Promise<number> {
  const [relation] = await transaction.query<{ schema: string; name: string }>(sql`
    select physical_schema as schema, physical_name as name from varve.relation
    where name = ${table} and until_run = ${runId} and state = 'retired'`);
  if (relation === undefined) return 0;
  const [row] = await transaction.query<{ count: bigint }>(
    sql`select count(*) as count from ${sql.id(relation.schema, relation.name)}`,
  );
  return Number(row?.count ?? 0n);
}

/** Moves a table to another schema and name; its indexes and constraints go with it. */
export async function move(transaction: Queryable, from: Placement, to: Placement): Promise<void> {
  // In two steps, since a schema and a name cannot be set at once; the name is free in neither schema for sure.
  const passing = `${from.table.slice(0, 40)} moving`;
  await transaction.execute(sql`alter table ${tableId(from)} rename to ${sql.id(passing)}`);
  await transaction.execute(sql`alter table ${sql.id(from.schema, passing)} set schema ${sql.id(to.schema)}`);
  await transaction.execute(sql`alter table ${sql.id(to.schema, passing)} rename to ${sql.id(to.table)}`);
}

/** Drops the foreign keys that a table itself has. */
export async function dropForeignKeys(transaction: Queryable, placement: Placement): Promise<void> {
  const rows = await transaction.query<{ name: string }>(sql`
    select conname as name from pg_constraint where contype = 'f' and conrelid = ${regclass(placement)}::regclass`);
  for (const { name } of rows) {
    await transaction.execute(sql`alter table ${tableId(placement)} drop constraint ${sql.id(name)}`);
  }
}

/** The text that the database reads back as this table. */
export function regclass({ schema, table }: Placement): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}

/** `audit.license_verdict@17`, within 63 bytes. */
function historyName(relation: Relation): string {
  const suffix = `@${String(relation.id)}`;
  const bytes = new TextEncoder().encode(relation.name).slice(0, 63 - suffix.length);
  return `${new TextDecoder().decode(bytes).replaceAll('\u{FFFD}', '')}${suffix}`;
}

/** The statements that make a table as its definition says. */
import { quoteLiteral, sql, type Sql } from '../store/index.ts';
import type { DefinitionSet } from './definition-set.ts';
import { tableId, type Placement } from './relation.ts';
import type { ColumnSpec, ForeignKeySpec, TableSpec } from './spec.ts';

/** Where each table that a foreign key may name stands. */
export type PlacementOf = (table: string) => Placement;

/** Creates the table, its constraints and its comments; indexes apart, since filling comes first. */
export function createTable(spec: TableSpec, placement: Placement, placementOf: PlacementOf): readonly Sql[] {
  const id = tableId(placement);
  const lines = [
    ...spec.columns.map(columnDdl),
    sql`primary key (${names(spec.primaryKey)})`,
    ...spec.unique.map((columns) => sql`unique (${names(columns)})`),
    ...spec.foreignKeys.map(
      (key) => sql`foreign key (${names(Object.keys(key.columns))}) ${referencesDdl(key, placementOf)}`,
    ),
    ...spec.foreignKeys
      .filter((key) => key.unique)
      .map((key) => sql`unique (${names(Object.keys(key.columns))})`),
  ];
  return [
    sql`create schema if not exists ${sql.id(placement.schema)}`,
    sql`create table ${id} (${sql.join(lines)})`,
    ...comments(spec, id),
  ];
}

/**
 * Indexes beside the primary key: for each foreign key and each declared match whose columns do not lead the primary
 * key, so that cascades and reads by match follow an index.
 */
export function createIndexes(spec: TableSpec, placement: Placement, set: DefinitionSet): readonly Sql[] {
  const wanted = [
    ...spec.foreignKeys.map(({ columns }) => Object.keys(columns)),
    ...set.tables.flatMap(({ reads }) =>
      reads.filter(({ table }) => table === spec.name).map(({ match }) => Object.keys(match)),
    ),
  ].filter((columns) => columns.length > 0 && !leads(spec.primaryKey, columns));
  const distinct = new Map(wanted.map((columns) => [columns.toSorted().join('\0'), columns]));
  return [...distinct.values()].map(
    (columns) => sql`create index on ${tableId(placement)} (${names(columns)})`,
  );
}

/** What follows the columns of a foreign key. */
export function referencesDdl(key: ForeignKeySpec, placementOf: PlacementOf): Sql {
  return sql`references ${tableId(placementOf(key.to))} (${names(Object.values(key.columns))})`;
}

/** Quoted names with commas. */
export function names(columns: readonly string[]): Sql {
  return sql.join(columns.map((column) => sql.id(column)));
}

/** A column as `create table` and `add column` take it. */
export function columnDdl(column: ColumnSpec): Sql {
  const parts = [sql`${sql.id(column.name)} ${sql.raw(column.type)}`];
  if (!column.nullable) parts.push(sql`not null`);
  if (column.default !== undefined) parts.push(sql`default ${sql.raw(literal(column))}`);
  if (column.unique === true) parts.push(sql`unique`);
  // A check is SQL that the definition's author wrote, as trusted as the definition itself.
  if (column.check !== undefined) parts.push(sql`check (${sql.raw(column.check)})`);
  if (column.object === true && column.type === 'jsonb') {
    const id = sql.id(column.name);
    parts.push(
      sql`check (${id} ->> 'digest' ~ '^sha256:[0-9a-f]{64}$' and jsonb_typeof(${id} -> 'sizeBytes') = 'number')`,
    );
  }
  if (column.members !== undefined) {
    parts.push(
      sql`check (${sql.id(column.name)} in (${sql.raw(column.members.map(quoteLiteral).join(', '))}))`,
    );
  }
  return sql.join(parts, sql` `);
}

function literal(column: ColumnSpec): string {
  const value = column.default;
  const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
  return `${quoteLiteral(text)}::${column.type}`;
}

function comments(spec: TableSpec, id: Sql): readonly Sql[] {
  const table =
    spec.comment === undefined ? [] : [sql`comment on table ${id} is ${sql.raw(quoteLiteral(spec.comment))}`];
  const columns = spec.columns.flatMap(({ name, comment }) =>
    comment === undefined
      ? []
      : [sql`comment on column ${id}.${sql.id(name)} is ${sql.raw(quoteLiteral(comment))}`],
  );
  return [...table, ...columns];
}

/** Whether these columns are, in any order, the first ones of the key. */
function leads(key: readonly string[], columns: readonly string[]): boolean {
  const first = new Set(key.slice(0, columns.length));
  return columns.every((column) => first.has(column));
}

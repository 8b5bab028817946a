/** How far something is that a run builds, told by comments: they go with what they tell of. */
import type { Placement } from '../../pipeline/index.ts';
import { quoteLiteral, sql, type Queryable } from '../../store/index.ts';

/** What tells how far something is: a table, one of its columns where two things are done to it at once, or a sequence. */
export interface Marked extends Placement {
  readonly column?: string;
  readonly kind?: 'sequence';
}

/** How far a structure is, told by its comment: set in the transaction of the work that it tells of. */
export async function markOf(
  store: Queryable,
  { schema, table, column }: Marked,
): Promise<string | undefined> {
  const mark =
    column === undefined
      ? sql`obj_description(c.oid, 'pg_class')`
      : sql`(select col_description(c.oid, a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attname = ${column})`;
  const [row] = await store.query<{ mark: string | null }>(sql`
    select ${mark} as mark from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${table}`);
  return row?.mark ?? undefined;
}

/** The same of several tables, in their order. */
export async function marksOf(
  store: Queryable,
  places: readonly Placement[],
): Promise<readonly (string | undefined)[]> {
  if (places.length === 0) return [];
  const named = JSON.stringify(places);
  const rows = await store.query<{ mark: string | null }>(
    sql.kept(sql`
    select obj_description(c.oid, 'pg_class') as mark
    from rows from (json_to_recordset(${named}::json) as (schema text, "table" text)) with ordinality w (schema, "table", place)
    left join pg_namespace n on n.nspname = w.schema
    left join pg_class c on c.relnamespace = n.oid and c.relname = w.table order by w.place`),
  );
  return rows.map(({ mark }) => mark ?? undefined);
}

/** See `markOf`. */
export async function setMark(
  store: Queryable,
  { schema, table, column, kind }: Marked,
  mark: string,
): Promise<void> {
  const what =
    column === undefined
      ? sql`${kind === 'sequence' ? sql`sequence` : sql`table`} ${sql.id(schema, table)}`
      : sql`column ${sql.id(schema, table)}.${sql.id(column)}`;
  await store.execute(sql`comment on ${what} is ${sql.raw(quoteLiteral(mark))}`);
}

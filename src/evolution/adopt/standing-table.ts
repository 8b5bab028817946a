/**
 * Tables as they stand in a database, read from its catalog alone: what adoption writes definitions from, and what it
 * compares definitions with.
 */
import { sql, type Queryable } from '../../store/index.ts';
import { withBarePath } from '../bare-path.ts';

/** One table that stands there. */
export interface StandingTable {
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'partitioned' | 'partition';
  readonly comment: string | null;
  readonly columns: readonly StandingColumn[];
  /** In the order of the key; empty where there is none. */
  readonly primaryKey: readonly string[];
  /** Sets of columns of which no two rows hold the same values, the primary key left out. */
  readonly uniques: readonly (readonly string[])[];
  readonly foreignKeys: readonly StandingKey[];
  readonly checks: readonly StandingCheck[];
}

/** One column. */
export interface StandingColumn {
  readonly name: string;
  /** As `format_type` writes it, every type outside `pg_catalog` with its schema. */
  readonly type: string;
  /** The type below a domain; of others the type itself. */
  readonly baseType: string;
  readonly nullable: boolean;
  /** The expression, as PostgreSQL prints it. */
  readonly default: string | null;
  /** Filled by the database: an identity or a generated column. */
  readonly isGenerated: boolean;
  /** The labels of an enum type, in their order. */
  readonly labels: readonly string[] | null;
  readonly comment: string | null;
}

/** One foreign key. */
export interface StandingKey {
  readonly name: string;
  readonly to: { readonly schema: string; readonly name: string };
  /** Child column to parent column. */
  readonly columns: Readonly<Record<string, string>>;
  /** What a deletion above does here: `a` nothing, `r` restrict, `c` cascade, `n` null, `d` default. */
  readonly onDelete: string;
}

/** One check. */
export interface StandingCheck {
  readonly name: string;
  /** The condition, without the word and its parentheses. */
  readonly condition: string;
  readonly columns: readonly string[];
}

/** Which tables to read. */
export type StandingQuestion =
  | { readonly schemas: readonly string[] | undefined }
  | { readonly tables: readonly { readonly schema: string; readonly name: string }[] };

/** Reads tables of these schemas, of all that are not the system's or varve's own where none are named, or these very tables. */
export async function readStandingTables(
  store: Queryable,
  question: StandingQuestion,
): Promise<readonly StandingTable[]> {
  // With nothing else on the path every type but PostgreSQL's own is printed with its schema.
  const [row] = await withBarePath(store, () =>
    store.query<{ tables: readonly StandingTable[] | null }>(statement(question)),
  );
  return (row?.tables ?? []).map(withOrderedKeys);
}

/** JSON has no order of members that the database would promise. */
function withOrderedKeys(table: StandingTable): StandingTable {
  const keys = table.foreignKeys.map((key) => ({
    ...key,
    columns: Object.fromEntries(key.columns as unknown as readonly (readonly [string, string])[]),
  }));
  return { ...table, foreignKeys: keys };
}

function wanted(question: StandingQuestion): ReturnType<typeof sql> {
  if ('tables' in question) {
    const pairs = JSON.stringify(question.tables);
    return sql`exists (select from json_to_recordset(${pairs}::json) as w(schema text, name text)
      where w.schema = n.nspname and w.name = c.relname)`;
  }
  if (question.schemas !== undefined) return sql`n.nspname = any(${[...question.schemas]}::text[])`;
  return sql`n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname !~ '^varve($|_)'`;
}

function statement(question: StandingQuestion): ReturnType<typeof sql> {
  return sql`
    with relation as (
      select c.oid, n.nspname, c.relname, c.relkind, c.relispartition
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and c.relpersistence <> 't' and ${wanted(question)}
    )
    select json_agg(json_build_object(
      'schema', r.nspname, 'name', r.relname,
      'kind', case when r.relispartition then 'partition' when r.relkind = 'p' then 'partitioned' else 'table' end,
      'comment', obj_description(r.oid, 'pg_class'),
      'columns', coalesce((select json_agg(json_build_object(
          'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
          'baseType', case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod)
            else format_type(a.atttypid, a.atttypmod) end,
          'nullable', not a.attnotnull,
          'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
          'isGenerated', a.attidentity <> '' or a.attgenerated <> '',
          'labels', (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = a.atttypid),
          'comment', col_description(r.oid, a.attnum)) order by a.attnum)
        from pg_attribute a join pg_type t on t.oid = a.atttypid
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped), '[]'),
      'primaryKey', coalesce((select ${columnsOf(sql`k.conrelid`, sql`k.conkey`)} from pg_constraint k
        where k.conrelid = r.oid and k.contype = 'p'), '[]'),
      'uniques', coalesce((select json_agg(${columnsOf(sql`i.indrelid`, sql`i.indkey::int2[]`)} order by i.indexrelid)
        from pg_index i where i.indrelid = r.oid and i.indisunique and not i.indisprimary and i.indpred is null
          and i.indexprs is null and i.indisvalid and i.indnkeyatts = i.indnatts), '[]'),
      'foreignKeys', coalesce((select json_agg(json_build_object(
          'name', k.conname, 'to', json_build_object('schema', pn.nspname, 'name', p.relname),
          'columns', (select json_agg(json_build_array(ca.attname, pa.attname) order by u.place)
            from unnest(k.conkey, k.confkey) with ordinality as u(child, parent, place)
            join pg_attribute ca on ca.attrelid = k.conrelid and ca.attnum = u.child
            join pg_attribute pa on pa.attrelid = k.confrelid and pa.attnum = u.parent),
          'onDelete', k.confdeltype) order by k.conname)
        from pg_constraint k join pg_class p on p.oid = k.confrelid join pg_namespace pn on pn.oid = p.relnamespace
        where k.conrelid = r.oid and k.contype = 'f' and k.conparentid = 0), '[]'),
      'checks', coalesce((select json_agg(json_build_object(
          'name', k.conname, 'condition', pg_get_expr(k.conbin, k.conrelid),
          'columns', coalesce(${columnsOf(sql`k.conrelid`, sql`k.conkey`)}, '[]')) order by k.conname)
        from pg_constraint k where k.conrelid = r.oid and k.contype = 'c'), '[]')
    ) order by r.nspname, r.relname) as tables
    from relation r`;
}

/** The names of numbered columns as a JSON array, in the order of their numbers. */
function columnsOf(table: ReturnType<typeof sql>, numbers: ReturnType<typeof sql>): ReturnType<typeof sql> {
  return sql`(select json_agg(a.attname order by u.place) from unnest(${numbers}) with ordinality as u(number, place)
    join pg_attribute a on a.attrelid = ${table} and a.attnum = u.number)`;
}

/**
 * What the catalog says of a relation that a statement names.
 *
 * These queries run while the search path begins with the views, and a read may be named `pg_class`: the catalog is
 * always named in full.
 */
import { sql, type Queryable } from '../../store/index.ts';
import type { TableSpec } from '../spec.ts';
import { placementOf, type Placement } from './read-view.ts';

/** A relation as it stands. */
export interface Relation {
  readonly placed: Placement;
  /** `schema.table` as the definitions call it, where they know it. */
  readonly name: string;
  readonly isView: boolean;
  readonly columns: readonly string[];
  /** Columns of the primary key with their types; empty where it has none. */
  readonly primaryKey: readonly { readonly name: string; readonly type: string }[];
}

/** How names of a statement become relations. */
export interface NameSpace {
  /** Schemas in which a name without one is looked up, in order. */
  readonly schemas: readonly string[];
  readonly specByName: ReadonlyMap<string, TableSpec>;
  readonly placementByTable: ReadonlyMap<string, Placement>;
}

/** The schemas of the pipelines, the computed table's own first, then `public`. */
export function nameSpaceOf(
  own: string,
  specByName: ReadonlyMap<string, TableSpec>,
  placementByTable: ReadonlyMap<string, Placement>,
): NameSpace {
  const schemas = [...specByName.keys()].map((name) => name.slice(0, name.indexOf('.'))).toSorted();
  return { schemas: [...new Set([own, ...schemas, 'public'])], specByName, placementByTable };
}

/** The relation that a name means; undefined where there is none. */
export async function findRelation(
  store: Queryable,
  space: NameSpace,
  schema: string | undefined,
  name: string,
): Promise<Relation | undefined> {
  for (const candidate of schema === undefined ? space.schemas : [schema]) {
    const found = await lookUp(store, space, placementOf(space.placementByTable, `${candidate}.${name}`));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The tables at the bottom of a view, through views on views; the relation itself where it is a table. */
export async function tablesUnder(
  store: Queryable,
  space: NameSpace,
  relation: Relation,
): Promise<readonly Relation[]> {
  if (!relation.isView) return [relation];
  const rows = await store.query<{ schema: string; table: string }>(sql`
    with recursive below(oid) as (
      select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${relation.placed.schema} and c.relname = ${relation.placed.table}
      union
      select d.refobjid from below b
      join pg_catalog.pg_rewrite w on w.ev_class = b.oid
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass
    )
    select n.nspname::text as schema, c.relname::text as table
    from below join pg_catalog.pg_class c on c.oid = below.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f') order by 1, 2`);
  const tables: Relation[] = [];
  for (const placed of rows) {
    const table = await lookUp(store, space, placed);
    if (table !== undefined) tables.push(table);
  }
  return tables.length === 0 ? [relation] : tables;
}

async function lookUp(store: Queryable, space: NameSpace, placed: Placement): Promise<Relation | undefined> {
  const [row] = await store.query<{
    kind: string;
    columns: string[];
    keyNames: string[];
    keyTypes: string[];
  }>(sql`
    select c.relkind::text as kind,
      array(select a.attname::text from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) as columns,
      array(select a.attname::text ${KEY_COLUMNS}) as "keyNames",
      array(select format_type(a.atttypid, a.atttypmod) ${KEY_COLUMNS}) as "keyTypes"
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary
    where n.nspname = ${placed.schema} and c.relname = ${placed.table} and c.relkind in ('r', 'p', 'f', 'v', 'm')`);
  if (row === undefined) return undefined;
  return {
    placed,
    name: logicalName(space, placed),
    isView: row.kind === 'v' || row.kind === 'm',
    columns: row.columns,
    primaryKey: row.keyNames.map((name, index) => ({ name, type: row.keyTypes[index] ?? 'text' })),
  };
}

const KEY_COLUMNS = sql`from unnest(i.indkey::smallint[]) with ordinality k(attnum, place)
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum order by k.place`;

function logicalName(space: NameSpace, placed: Placement): string {
  for (const [name, { schema, table }] of space.placementByTable) {
    if (schema === placed.schema && table === placed.table) return name;
  }
  return `${placed.schema}.${placed.table}`;
}

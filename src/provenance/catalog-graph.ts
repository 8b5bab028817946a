import { sql, type Queryable } from '../store/index.ts';
import { createGraph, tableName, type GraphEdge, type GraphTable, type TableGraph } from './graph.ts';

/** What the catalog cannot say by itself. */
export interface CatalogGraphOptions {
  /** Parts that neither varve's definitions nor their names tell: part and master, `schema.table` each. */
  readonly parts?: readonly { readonly part: string; readonly master: string }[];
}

/**
 * The graph of any PostgreSQL database, read from its catalog in one query: tables, partitioned tables (a partition is
 * its parent's rows), every foreign key with its column map, across schemas, composite, renamed, several to one parent.
 *
 * Left out: system schemas, temporary tables, varve's own catalog, and tables of others' sessions.
 * A table `master__part` whose key holds that of `master`, or of another part of `master`, is taken for a part.
 */
export async function catalogGraph(
  database: Queryable,
  options: CatalogGraphOptions = {},
): Promise<TableGraph> {
  const [row] = await database.query<CatalogRow>(CATALOG);
  const tables = (row?.tables ?? []).map(toTable);
  const tableByOid = new Map((row?.tables ?? []).map(([oid], at) => [oid, tables[at]]));
  const edges = (row?.keys ?? []).flatMap((key) => toEdge(key, tableByOid));
  return createGraph(...withParts(tables, edges, options.parts ?? []));
}

type CatalogRow = {
  readonly tables: readonly TableRow[] | null;
  readonly keys: readonly KeyRow[] | null;
};
type TableRow = readonly [
  oid: number,
  schema: string,
  name: string,
  columns: readonly string[] | null,
  primaryKey: readonly string[] | null,
  rowEstimate: number,
  pageEstimate: number,
];
type KeyRow = readonly [
  name: string,
  fromOid: number,
  toOid: number,
  fromPartition: string | null,
  toPartition: string | null,
  columns: readonly (readonly [child: string, parent: string, operatorSchema: string])[],
  nullable: boolean,
  primary: boolean,
  indexed: boolean,
];

// `root` maps a partition to the partitioned table whose rows it holds. A constraint that a partition merely inherits
// has `conparentid`; one that stands on a partition alone is kept, with that partition as a condition.
const CATALOG = sql.raw(`
with recursive visible as (
  select c.oid, n.nspname, c.relname, c.relkind, c.relispartition, c.reltuples, c.relpages
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'varve', 'varve_queue', 'varve_build')
), root(part, oid) as (
  select oid, oid from visible where not relispartition
  union all
  select i.inhrelid, root.oid from root join pg_catalog.pg_inherits i on i.inhparent = root.part
  join visible v on v.oid = i.inhrelid and v.relispartition
), attribute as (
  select a.attrelid, a.attnum, a.attname, a.attnotnull from pg_catalog.pg_attribute a
  where a.attnum > 0 and not a.attisdropped and a.attrelid in (select oid from visible)
), index_lead as (
  select i.indrelid, i.indisprimary, i.indpred is null and i.indisvalid as usable, i.indkey::int2[] as keys
  from pg_catalog.pg_index i where i.indrelid in (select oid from visible)
), column_list as (
  select attrelid, pg_catalog.json_agg(attname order by attnum) as names from attribute group by attrelid
), primary_key as (
  select i.indrelid, pg_catalog.json_agg(a.attname order by pg_catalog.array_position(i.keys, a.attnum)) as names
  from index_lead i join attribute a on a.attrelid = i.indrelid and a.attnum = any (i.keys)
  where i.indisprimary group by i.indrelid
), size as (
  select r.oid,
    pg_catalog.sum(case when v.reltuples >= 0 then v.reltuples else 0 end) as tuples,
    pg_catalog.sum(v.relpages) as pages,
    pg_catalog.bool_and(v.reltuples >= 0 or v.relkind = 'p') as known
  from root r join visible v on v.oid = r.part group by r.oid
), key as (
  select k.oid, k.conname, k.conrelid, k.confrelid, k.conkey, f.oid as from_root, t.oid as to_root,
    pg_catalog.json_agg(pg_catalog.json_build_array(ca.attname, pa.attname, n.nspname) order by p.place) as columns,
    pg_catalog.bool_or(not ca.attnotnull) as nullable
  from pg_catalog.pg_constraint k
  join root f on f.part = k.conrelid join root t on t.part = k.confrelid
  cross join lateral rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop))
    with ordinality as p(child, parent, operator, place)
  join attribute ca on ca.attrelid = k.conrelid and ca.attnum = p.child
  join attribute pa on pa.attrelid = k.confrelid and pa.attnum = p.parent
  join pg_catalog.pg_operator o on o.oid = p.operator join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
  where k.contype = 'f' and k.conparentid = 0
  group by k.oid, k.conname, k.conrelid, k.confrelid, k.conkey, f.oid, t.oid
)
select
  (select pg_catalog.json_agg(pg_catalog.json_build_array(v.oid::int8, v.nspname, v.relname, c.names, p.names,
      case when s.known then s.tuples else -1 end, s.pages) order by v.nspname, v.relname)
   from visible v left join column_list c on c.attrelid = v.oid left join primary_key p on p.indrelid = v.oid
   left join size s on s.oid = v.oid where not v.relispartition) as tables,
  (select pg_catalog.json_agg(pg_catalog.json_build_array(k.conname, k.from_root::int8, k.to_root::int8,
      case when k.conrelid <> k.from_root then k.conrelid::pg_catalog.regclass::text end,
      case when k.confrelid <> k.to_root then k.confrelid::pg_catalog.regclass::text end,
      k.columns, k.nullable,
      coalesce((select k.conkey <@ i.keys from index_lead i where i.indrelid = k.conrelid and i.indisprimary), false),
      exists (select from index_lead i where i.indrelid = k.conrelid and i.usable
        and k.conkey <@ i.keys[0:pg_catalog.cardinality(k.conkey) - 1]))
      order by k.conname, k.oid) from key k) as keys`);

function toTable([, schema, name, columns, primaryKey, rowEstimate, pageEstimate]: TableRow): GraphTable {
  const known = rowEstimate >= 0 ? { rowEstimate, pageEstimate } : {};
  const table = tableName(schema, name);
  return {
    table,
    schema,
    name,
    tier: 'table',
    primaryKey: primaryKey ?? [],
    columns: columns ?? [],
    ...known,
  };
}

function toEdge(
  [name, fromOid, toOid, fromPartition, toPartition, columns, nullable, primary, indexed]: KeyRow,
  tableByOid: ReadonlyMap<number, GraphTable | undefined>,
): readonly GraphEdge[] {
  const from = tableByOid.get(fromOid);
  const to = tableByOid.get(toOid);
  if (from === undefined || to === undefined) return [];
  const foreign = columns.filter(([, , schema]) => schema !== 'pg_catalog');
  const edge: GraphEdge = {
    name,
    from: from.table,
    to: to.table,
    columns: Object.fromEntries(columns.map(([child, parent]): [string, string] => [child, parent])),
    kind: primary ? 'primary' : 'secondary',
    nullable,
    indexed,
    ...(foreign.length === 0
      ? {}
      : { operatorSchemas: Object.fromEntries(foreign.map(([child, , schema]) => [child, schema])) }),
    ...(fromPartition === null ? {} : { fromPartition }),
    ...(toPartition === null ? {} : { toPartition }),
  };
  return [edge];
}

type Part = { readonly part: string; readonly master: string };

/** Marks parts: the edge from a part to its master becomes `part`, and the table's tier with it. */
function withParts(
  tables: readonly GraphTable[],
  edges: readonly GraphEdge[],
  declared: readonly Part[],
): readonly [readonly GraphTable[], readonly GraphEdge[]] {
  const tableByName = new Map(tables.map((table) => [table.table, table]));
  const edgesByChild = Map.groupBy(edges, ({ from }) => from);
  const masterByPart = new Map(
    tables.flatMap((table) => {
      const master = namedMaster(table, edgesByChild.get(table.table) ?? [], tableByName);
      return master === undefined ? [] : [[table.table, master] as const];
    }),
  );
  for (const { part, master } of declared) masterByPart.set(part, master);
  const isPartEdge = ({ from, to }: GraphEdge): boolean => masterByPart.get(from) === to;
  return [
    tables.map((table) => (masterByPart.has(table.table) ? { ...table, tier: 'part' } : table)),
    edges.map((edge) => (isPartEdge(edge) ? { ...edge, kind: 'part' } : edge)),
  ];
}

/** The master that a name of the form `master__part` tells, if a primary foreign key confirms it. */
function namedMaster(
  { schema, name, table }: GraphTable,
  edges: readonly GraphEdge[],
  tableByName: ReadonlyMap<string, GraphTable>,
): string | undefined {
  const at = name.lastIndexOf('__');
  if (at <= 0) return undefined;
  return edges
    .filter(({ to, kind }) => kind === 'primary' && to !== table)
    .flatMap(({ to }) => tableByName.get(to) ?? [])
    .filter((parent) => parent.schema === schema && isOfFamily(parent.name, name))
    .toSorted((left, right) => rank(left.name, name) - rank(right.name, name))[0]?.table;
}

/** Whether `other` is a prefix `x` of a part `x__y`, or a part of the same `x`. */
function isOfFamily(other: string, part: string): boolean {
  return part.startsWith(`${other}__`) || other.startsWith(`${part.slice(0, part.lastIndexOf('__'))}__`);
}

/** The longest prefix first, siblings last. */
function rank(other: string, part: string): number {
  return part.startsWith(`${other}__`) ? -other.length : 0;
}

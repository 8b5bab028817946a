/** Everything of `pg_class` that a run may touch: tables, views, indexes, sequences, with their file nodes. */
import { sql, type Queryable } from '../../../store/index.ts';

/** One relation, as it was at one moment. */
export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `r`, `p`, `v`, `m`, `f`, `i`, `I`, `S` as in the catalog. */
  readonly kind: string;
  /** Another one means that the file was written anew; 0 where there is no file. */
  readonly fileNode: number;
  /** The table that it belongs to: of an index, of an owned sequence; its own number otherwise. */
  readonly table: number;
  /** The table at the top of the partitions that it is one of; null where it is none. */
  readonly root: number | null;
  /** Of a child by inheritance or partition, its parents. */
  readonly isChild: boolean;
  /** The server's estimate, -1 where it has none. */
  readonly estimatedRows: number;
}

export type Relations = ReadonlyMap<number, Relation>;

/** All relations of user schemas, varve's own among them, by number. */
export async function loadRelations(transaction: Queryable): Promise<Relations> {
  const rows = await transaction.query<Relation & Record<string, unknown>>(sql`
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
      coalesce(pg_relation_filenode(c.oid), 0::oid) as "fileNode",
      coalesce(i.indrelid, owned.refobjid, c.oid) as "table",
      case when c.relispartition and c.relkind in ('r', 'p', 'f') then pg_partition_root(c.oid)::oid end as root,
      exists (select from pg_inherits h where h.inhrelid = c.oid) as "isChild",
      c.reltuples::float8 as "estimatedRows"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join pg_index i on i.indexrelid = c.oid
    left join pg_depend owned on c.relkind = 'S' and owned.classid = 'pg_class'::regclass and owned.objid = c.oid
      and owned.refclassid = 'pg_class'::regclass and owned.deptype in ('a', 'i')
    where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp_|toast_temp_)'
      and c.relkind in ('r', 'p', 'v', 'm', 'f', 'i', 'I', 'S')`);
  return new Map(rows.map((row) => [row.oid, row]));
}

const TABLE_KINDS: readonly string[] = ['r', 'p', 'v', 'm', 'f'];

/** Whether it counts as a table: views do (M20). */
export function isTable({ kind }: Relation): boolean {
  return TABLE_KINDS.includes(kind);
}

export function isIndex({ kind }: Relation): boolean {
  return kind === 'i' || kind === 'I';
}

/** `schema.name`. */
export function fullName({ schema, name }: Pick<Relation, 'schema' | 'name'>): string {
  return `${schema}.${name}`;
}

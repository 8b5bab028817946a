/**
 * The objects that there were, for a session that may not have event triggers: what is deleted leaves no row behind, so the
 * lists of before and after are compared (L7, L8).
 */
import { sql, type Queryable } from '../../../store/index.ts';

/** One object that a list has. */
export interface CatalogObject {
  readonly catalog: string;
  readonly oid: number;
  /** The relation that it belongs to; null for what stands for itself. */
  readonly relation: number | null;
  readonly kind: string;
  readonly schema: string;
  readonly name: string;
}

/** Every object of user schemas that is no relation, by catalog and number. */
export async function listCatalogObjects(queryable: Queryable): Promise<ReadonlyMap<string, CatalogObject>> {
  const rows = await queryable.query<CatalogObject & Record<string, unknown>>(sql`
    with s as (select oid, nspname::text as schema from pg_namespace
      where nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_(toast|temp_|toast_temp_)'),
    r as (select c.oid from pg_class c join s on s.oid = c.relnamespace)
    select 'pg_trigger' as catalog, t.oid, t.tgrelid as relation, 'relation' as kind, '' as schema, '' as name from pg_trigger t join r on r.oid = t.tgrelid
    union all select 'pg_constraint', k.oid, nullif(k.conrelid, 0), 'type', s.schema, k.conname::text from pg_constraint k join s on s.oid = k.connamespace where k.contype <> 'n'
    union all select 'pg_policy', p.oid, p.polrelid, 'relation', '', '' from pg_policy p join r on r.oid = p.polrelid
    union all select 'pg_rewrite', w.oid, w.ev_class, 'relation', '', '' from pg_rewrite w join r on r.oid = w.ev_class
    union all select 'pg_attrdef', d.oid, d.adrelid, 'relation', '', '' from pg_attrdef d join r on r.oid = d.adrelid
    union all select 'pg_statistic_ext', e.oid, e.stxrelid, 'relation', '', '' from pg_statistic_ext e join r on r.oid = e.stxrelid
    union all select 'pg_proc', p.oid, null, 'function', s.schema, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' from pg_proc p join s on s.oid = p.pronamespace
    union all select 'pg_type', t.oid, null, 'type', s.schema, t.typname::text from pg_type t join s on s.oid = t.typnamespace
      where t.typcategory <> 'A' and (t.typrelid = 0 or exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
    union all select 'pg_namespace', s.oid, null, 'schema', '', s.schema from s
    union all select 'pg_extension', x.oid, null, 'extension', '', x.extname::text from pg_extension x
    union all select 'pg_event_trigger', v.oid, null, 'event trigger', '', v.evtname::text from pg_event_trigger v
    union all select 'pg_publication', u.oid, null, 'publication', '', u.pubname::text from pg_publication u`);
  return new Map(rows.map((row) => [`${row.catalog} ${String(row.oid)}`, row]));
}

/** What one list has and the other has no more. */
export function goneObjects(
  before: ReadonlyMap<string, CatalogObject>,
  after: ReadonlyMap<string, CatalogObject>,
): readonly CatalogObject[] {
  return [...before].flatMap(([key, object]) => (after.has(key) ? [] : [object]));
}

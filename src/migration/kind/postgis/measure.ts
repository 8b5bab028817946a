/**
 * The measured state of what a bundle may touch: the catalog of the allowed schemas by text, and rows and a sum of row hashes
 * of each allowed table.
 */
import { digestOf, type Baseline, type BaselineTable } from '../../../evidence/index.ts';
import { sql, type Queryable } from '../../../store/index.ts';
import type { Scope } from '../../declaration.ts';
import { scopeFindings } from '../../judge.ts';
import { fullName, loadRelations, type Relation } from './relation.ts';

/** Measures it in the transaction's snapshot. */
export async function measure(transaction: Queryable, scope: Scope): Promise<Baseline> {
  const relations = [...(await loadRelations(transaction)).values()];
  const tables = relations
    .filter(({ kind }) => ['r', 'm'].includes(kind))
    .filter((each) => isAllowed(scope, each, relations))
    .toSorted((left, right) => (fullName(left) < fullName(right) ? -1 : 1));
  const rows: BaselineTable[] = [];
  for (const table of tables) rows.push(await measureRows(transaction, table));
  const [server] = await transaction.query<{ version: string }>(
    sql`select (current_setting('server_version_num')::integer / 10000)::text as version`,
  );
  const { counts, strict, logical } = await measureCatalog(transaction, scope);
  return {
    baseline_version: 'v1',
    algorithm: 'postgis/1',
    server_version: server?.version ?? '',
    object_counts: counts,
    schema_fingerprint: { strict, logical },
    tables: rows,
  };
}

/** The fingerprint of the catalog in scope; `strict` keeps the order of columns, `logical` does not (M99). */
export async function measureCatalog(
  transaction: Queryable,
  scope: Scope,
): Promise<{
  readonly counts: Readonly<Record<string, number>>;
  readonly strict: string;
  readonly logical: string;
}> {
  const objects = await catalogTexts(transaction, scope.allowed_schemas);
  const logical = objects.map(({ kind, name, text }) => `${kind} ${name} ${text}`);
  const strict = objects.map(({ kind, name, position, text }) => `${kind} ${name} ${position} ${text}`);
  return {
    counts: countKinds(objects),
    strict: digestOf(strict.toSorted()),
    logical: digestOf(logical.toSorted()),
  };
}

function isAllowed(scope: Scope, relation: Relation, relations: readonly Relation[]): boolean {
  const root = relations.find(({ oid }) => oid === relation.root);
  const name = fullName(relation);
  return scopeFindings(scope, [name], root === undefined ? {} : { [name]: fullName(root) }).length === 0;
}

async function measureRows(transaction: Queryable, relation: Relation): Promise<BaselineTable> {
  const [row] = await transaction.query<{ rows: bigint; digest: string }>(sql`
    select count(*) as rows, 'sha256:' || encode(sha256(convert_to(
      coalesce(sum(hashtextextended(t::text, 0)), 0)::text || ' ' || coalesce(sum(hashtextextended(t::text, 1)), 0)::text, 'UTF8')), 'hex') as digest
    from only ${sql.id(relation.schema, relation.name)} t`);
  return { table: fullName(relation), rows: Number(row?.rows ?? 0n), digest: row?.digest ?? '' };
}

interface CatalogText {
  readonly kind: string;
  readonly name: string;
  readonly position: string;
  readonly text: string;
}

/** The server leaves out schemas that the path has; so the path is the same, whoever measures. */
async function catalogTexts(
  transaction: Queryable,
  schemas: readonly string[],
): Promise<readonly CatalogText[]> {
  const [path] = await transaction.query<{ value: string }>(
    sql`select current_setting('search_path') as value, set_config('search_path', 'pg_catalog', true) as set`,
  );
  const texts = await readTexts(transaction, schemas);
  await transaction.query(sql`select set_config('search_path', ${path?.value ?? ''}, true)`);
  return texts;
}

async function readTexts(
  transaction: Queryable,
  schemas: readonly string[],
): Promise<readonly CatalogText[]> {
  const rows = await transaction.query<Record<keyof CatalogText, string>>(sql`
    with s as (select oid, nspname from pg_namespace where nspname = any(${schemas}::text[])),
    c as (select c.*, s.nspname || '.' || c.relname as name from pg_class c join s on s.oid = c.relnamespace)
    select 'relation' as kind, name, '' as position,
      concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident, reloptions::text, relacl::text,
        case when relkind in ('v', 'm') then pg_get_viewdef(oid) end) as text from c where relkind in ('r', 'p', 'v', 'm', 'S', 'f')
    union all
    select 'column', c.name || '.' || a.attname, a.attnum::text,
      concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid), a.attacl::text)
      from c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum where c.relkind in ('r', 'p', 'v', 'm', 'f')
    union all
    select 'constraint', c.name || '.' || k.conname, '', pg_get_constraintdef(k.oid) from c join pg_constraint k on k.conrelid = c.oid
      where k.contype <> 'n'
    union all
    select 'index', c.name || '.' || i.indexrelid::regclass::text, '', pg_get_indexdef(i.indexrelid) || ' ' || i.indisvalid::text from c
      join pg_index i on i.indrelid = c.oid
    union all
    select 'trigger', c.name || '.' || t.tgname, '', pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text from c
      join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
    union all
    select 'policy', c.name || '.' || p.polname, '', concat_ws(' ', p.polcmd, p.polpermissive, p.polroles::text,
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) from c join pg_policy p on p.polrelid = c.oid
    union all
    select 'rule', c.name || '.' || r.rulename, '', pg_get_ruledef(r.oid) from c join pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN'
    union all
    select 'function', s.nspname || '.' || p.oid::regprocedure::text, '', case when p.prokind in ('f', 'p') then pg_get_functiondef(p.oid) else '' end
      from s join pg_proc p on p.pronamespace = s.oid
    union all
    select 'type', s.nspname || '.' || t.typname, '', concat_ws(' ', t.typtype,
      (select array_agg(e.enumlabel order by e.enumsortorder)::text from pg_enum e where e.enumtypid = t.oid)) from s
      join pg_type t on t.typnamespace = s.oid and t.typtype in ('e', 'd', 'c', 'r') and (t.typrelid = 0 or exists (select from pg_class where oid = t.typrelid and relkind = 'c'))
    union all
    select 'schema', nspname, '', '' from s
    order by 1, 2`);
  return rows;
}

function countKinds(objects: readonly CatalogText[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const { kind } of objects) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return Object.fromEntries(counts);
}

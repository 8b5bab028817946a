/** What hangs on a table beside its rows, and what becomes of it when another table takes its name. */
import { refusal, type Finding } from '../base/index.ts';
import { READ_SCHEMA_PREFIX, tableId, type Placement, type Relation } from '../pipeline/index.ts';
import { sql, type Queryable } from '../store/index.ts';
import { regclass } from './retire.ts';

/** What would stay with the old table without anybody noticing: views, triggers, policies. Each is a refusal that names it. */
export async function dependents(transaction: Queryable, relation: Relation): Promise<readonly Finding[]> {
  const rows = await transaction.query<{ kind: string; name: string }>(sql`
    select distinct 'view' as kind, n.nspname || '.' || v.relname as name
    from pg_depend d join pg_rewrite w on w.oid = d.objid join pg_class v on v.oid = w.ev_class
    join pg_namespace n on n.oid = v.relnamespace
    where d.classid = 'pg_rewrite'::regclass and d.refobjid = ${regclass(relation.placement)}::regclass
      and v.oid <> d.refobjid and not starts_with(n.nspname, ${READ_SCHEMA_PREFIX})
    union all
    select 'trigger', tgname::text from pg_trigger
    where tgrelid = ${regclass(relation.placement)}::regclass and not tgisinternal
    union all
    select 'policy', polname::text from pg_policy where polrelid = ${regclass(relation.placement)}::regclass
    order by 1, 2`);
  return rows.map(({ kind, name }) =>
    refusal('dependents_in_the_way', relation.name, {
      detail: { kind, name },
      hint: `Drop the ${kind} ${name}, apply, and create it again: it would stay with the old structure.`,
    }),
  );
}

/** Gives the new table the owner and the grants of the old one. */
export async function copyGrants(transaction: Queryable, from: Placement, to: Placement): Promise<void> {
  const rows = await transaction.query<{ grantee: string | null; privilege: string; grantable: boolean }>(sql`
    select r.rolname as grantee, a.privilege_type as privilege, a.is_grantable as grantable
    from pg_class c cross join aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
    where c.oid = ${regclass(from)}::regclass and a.grantee <> c.relowner
      and (a.grantee = 0 or r.rolname is not null)`);
  for (const { grantee, privilege, grantable } of rows) {
    const role = grantee === null ? sql.raw('public') : sql.id(grantee);
    const option = grantable ? sql.raw(' with grant option') : sql.raw('');
    await transaction.execute(sql`grant ${sql.raw(privilege)} on ${tableId(to)} to ${role}${option}`);
  }
}

/** Drops the views through which makes read this table; the next populate makes them again over the one that stands then. */
export async function dropReadViews(transaction: Queryable, placement: Placement): Promise<void> {
  const rows = await transaction.query<{ schema: string }>(sql`
    select distinct n.nspname as schema
    from pg_depend d join pg_rewrite w on w.oid = d.objid join pg_class v on v.oid = w.ev_class
    join pg_namespace n on n.oid = v.relnamespace
    where d.classid = 'pg_rewrite'::regclass and d.refobjid = to_regclass(${regclass(placement)})
      and starts_with(n.nspname, ${READ_SCHEMA_PREFIX})`);
  for (const { schema } of rows) await transaction.execute(sql`drop schema ${sql.id(schema)} cascade`);
}

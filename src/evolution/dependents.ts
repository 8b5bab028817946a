/** What hangs on a table beside its rows, and what becomes of it when another table takes its name. */
import { refusal, type Finding } from '../base/index.ts';
import { READ_SCHEMA_PREFIX, tableId, type Placement, type Relation } from '../pipeline/index.ts';
import { sql, type Queryable } from '../store/index.ts';
import { NOTE_PREFIX } from './capture.ts';
import { regclass } from './regclass.ts';

/**
 * What would stay with the old table without anybody noticing: views, triggers, rules, policies, columns that no definition has.
 * Each is a refusal that names it. Triggers of varve's own, which note changes for a run, are none of these.
 */
export async function dependents(transaction: Queryable, relation: Relation): Promise<readonly Finding[]> {
  const rows = await transaction.query<{ kind: string; name: string }>(
    sql.kept(sql`
    select distinct 'view' as kind, n.nspname || '.' || v.relname as name
    from pg_depend d join pg_rewrite w on w.oid = d.objid join pg_class v on v.oid = w.ev_class
    join pg_namespace n on n.oid = v.relnamespace
    where d.classid = 'pg_rewrite'::regclass and d.refobjid = ${regclass(relation.placement)}::regclass
      and v.oid <> d.refobjid and not starts_with(n.nspname, ${READ_SCHEMA_PREFIX})
    union all
    select 'trigger', tgname::text from pg_trigger
    where tgrelid = ${regclass(relation.placement)}::regclass and not tgisinternal
      and not starts_with(tgname::text, ${NOTE_PREFIX})
    union all
    select 'rule', rulename::text from pg_rewrite
    where ev_class = ${regclass(relation.placement)}::regclass and rulename <> '_RETURN'
    union all
    select 'policy', polname::text from pg_policy where polrelid = ${regclass(relation.placement)}::regclass
    union all
    select 'column', attname::text from pg_attribute
    where attrelid = ${regclass(relation.placement)}::regclass and attnum > 0 and not attisdropped
      and attname <> all (${relation.spec.columns.map((column) => column.name)}::text[])
    order by 1, 2`),
  );
  return rows.map(({ kind, name }) =>
    refusal('dependents_in_the_way', relation.name, {
      detail: { kind, name },
      hint: `Drop the ${kind} ${name}, apply, and create it again: it would stay with the old structure.`,
    }),
  );
}

/** Gives the new table the owner, the grants on table and columns, and the row security of the old one. */
export async function copyGrants(transaction: Queryable, from: Placement, to: Placement): Promise<void> {
  const rows = await transaction.query<Grant>(
    sql.kept(sql`
    select r.rolname as grantee, a.privilege_type as privilege, a.is_grantable as grantable, g.column
    from (select relacl as acl, null::text as column, relowner from pg_class where oid = ${regclass(from)}::regclass
      union all
      select t.attacl, t.attname::text, c.relowner from pg_attribute t join pg_class c on c.oid = t.attrelid
      where c.oid = ${regclass(from)}::regclass and t.attnum > 0 and not t.attisdropped) g
    cross join aclexplode(g.acl) a left join pg_roles r on r.oid = a.grantee
    where a.grantee <> g.relowner and (a.grantee = 0 or r.rolname is not null)`),
  );
  for (const { grantee, privilege, grantable, column } of rows) {
    const role = grantee === null ? sql.raw('public') : sql.id(grantee);
    const option = grantable ? sql.raw(' with grant option') : sql.raw('');
    const columns = column === null ? sql`` : sql` (${sql.id(column)})`;
    await transaction.execute(
      sql`grant ${sql.raw(privilege)}${columns} on ${tableId(to)} to ${role}${option}`,
    );
  }
  await copyOwner(transaction, from, to);
}

interface Grant extends Record<string, unknown> {
  /** Null: everybody. */
  readonly grantee: string | null;
  readonly privilege: string;
  readonly grantable: boolean;
  /** Null: the whole table. */
  readonly column: string | null;
}

async function copyOwner(transaction: Queryable, from: Placement, to: Placement): Promise<void> {
  const [row] = await transaction.query<{
    owner: string;
    same: boolean;
    enabled: boolean;
    forced: boolean;
  }>(sql`
    select r.rolname as owner, o.relowner = n.relowner as same, o.relrowsecurity as enabled, o.relforcerowsecurity as forced
    from pg_class o join pg_roles r on r.oid = o.relowner cross join pg_class n
    where o.oid = ${regclass(from)}::regclass and n.oid = ${regclass(to)}::regclass`);
  if (row === undefined) return;
  if (row.enabled) await transaction.execute(sql`alter table ${tableId(to)} enable row level security`);
  if (row.forced) await transaction.execute(sql`alter table ${tableId(to)} force row level security`);
  if (!row.same) await transaction.execute(sql`alter table ${tableId(to)} owner to ${sql.id(row.owner)}`);
}

/** Drops the views through which makes read this table; the next populate makes them again over the one that stands then. */
export async function dropReadViews(transaction: Queryable, placement: Placement): Promise<void> {
  const rows = await transaction.query<{ schema: string }>(
    sql.kept(sql`
    select distinct n.nspname as schema
    from pg_depend d join pg_rewrite w on w.oid = d.objid join pg_class v on v.oid = w.ev_class
    join pg_namespace n on n.oid = v.relnamespace
    where d.classid = 'pg_rewrite'::regclass and d.refobjid = to_regclass(${regclass(placement)})
      and starts_with(n.nspname, ${READ_SCHEMA_PREFIX})`),
  );
  for (const { schema } of rows) await transaction.execute(sql`drop schema ${sql.id(schema)} cascade`);
}

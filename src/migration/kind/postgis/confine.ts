/**
 * The login of a confined run (layer L4): its session is logged in as `varve_runner`, which may nothing, so that no statement
 * of a script leads back to a user that may more. For one run it is lent two roles, by GRANT:
 *
 * | while | the session acts as | and may become |
 * |---|---|---|
 * | baseline, guards | `varve_owner` | that, and the role below |
 * | the script | the role that owns the allowed tables | that role alone: the other was taken back, and the session itself was asked |
 * | what is observed, the ledger row, the commit | `varve_owner` | both again, nothing of the script runs any more |
 *
 * Both are bound in the plan, so that they stand in the intent log before they are lent (M84), and are taken back after each
 * try, and again by whoever settles the run. Source: docs/decisions/0030-confined-runs.md.
 */
import { VarveError, type JsonObject } from '../../../base/index.ts';
import { sql, type Queryable, type Store, type Transaction } from '../../../store/index.ts';
import type { Scope } from '../../declaration.ts';
import { scopeFindings } from '../../judge.ts';
import { objectScopeFindings } from './object-scope.ts';
import { fullName, isTable, type Relation, type Relations } from './relation.ts';

/** Owns what is varve's in the database. */
const OWNER = 'varve_owner';
/** Logs in, and may nothing. */
const RUNNER = 'varve_runner';

/** How a run is confined; part of its plan. */
export interface Confinement extends JsonObject {
  /** The role that owns the allowed tables. */
  readonly lends: string;
  /** `wide` where that role, or the login, reaches more than the scope (M85). */
  readonly role: 'exact' | 'wide';
}

/** What a plan says of it. */
export interface ConfinementPlan {
  /** Absent where no login can run this script; `reasons` say why. */
  readonly confinement?: Confinement;
  /** What keeps it from being `exact`: names of objects out of scope, or of what the role may beside. */
  readonly reasons: readonly string[];
}

/** Whether and how the login can run a script of this scope. */
export async function planConfinement(
  queryable: Queryable,
  scope: Scope,
  relations: Relations,
): Promise<ConfinementPlan> {
  if (!(await isSetUp(queryable))) return { reasons: ['roles_missing'] };
  const owners = await ownersInScope(queryable, scope, relations);
  const [lends, another] = owners;
  if (lends === undefined || another !== undefined) return { reasons: ['owners', ...owners] };
  if (lends === OWNER || lends === RUNNER || (await isSuperuser(queryable, lends)))
    return { reasons: ['owner', lends] };
  const reasons = [
    ...(await powersOf(queryable, lends, scope)),
    ...(await reachedOutside(queryable, { lends, scope, relations })),
  ];
  return { confinement: { lends, role: reasons.length === 0 ? 'exact' : 'wide' }, reasons };
}

/** The confinement that a plan bound. */
export function confinementIn(bound: JsonObject): Confinement | undefined {
  return bound['confinement'] as Confinement | undefined;
}

/** Lends both roles, before the transaction begins. */
export async function lendRoles(store: Store, { lends }: Confinement): Promise<void> {
  await store.script(`grant ${OWNER} to ${RUNNER}`);
  await store.execute(sql`grant ${sql.id(lends)} to ${sql.id(RUNNER)}`);
}

/** Takes both back; one that was not lent is none to take back. */
export async function takeRolesBack(store: Store, { lends }: Confinement): Promise<void> {
  for (const role of [OWNER, lends]) await takeRoleBack(store, role);
}

/**
 * The session of the login becomes the owner of what is varve's.
 *
 * Errors: throws `permission_denied` where it is another login.
 */
export async function actAsOwner(transaction: Transaction): Promise<void> {
  await becomeOwner(transaction);
  const [row] = await transaction.query<{ isRunner: boolean }>(
    sql`select session_user = ${RUNNER} as "isRunner"`,
  );
  if (row?.isRunner === true) return;
  throw new VarveError('permission_denied', {
    detail: { subject: RUNNER, reason: 'another_login' },
    hint: `Let the address of the runner log in as ${RUNNER}.`,
  });
}

/**
 * Leaves the session with the lent role alone, before the script.
 *
 * Errors: throws `permission_denied` where the session could still become the owner.
 */
export async function actAsLent(
  store: Store,
  transaction: Transaction,
  { lends }: Confinement,
): Promise<void> {
  await transaction.execute(sql`set local role ${sql.id(lends)}`);
  await takeRoleBack(store, OWNER);
  await takeNotice(transaction, 'pg_seclabel');
  const [row] = await transaction.query<{ isLeft: boolean }>(
    sql`select pg_has_role(session_user, ${OWNER}, 'member') or pg_has_role(${lends}::name, ${OWNER}, 'member') as "isLeft"`,
  );
  if (row?.isLeft === false) return;
  throw new VarveError('permission_denied', {
    detail: { subject: OWNER, reason: 'still_member' },
    hint: `Take ${OWNER} from ${RUNNER} and from ${lends}: only varve lends it.`,
  });
}

/** The owner again, when nothing of the script runs any more. */
export async function actAsOwnerAgain(store: Store, transaction: Transaction): Promise<void> {
  await store.script(`grant ${OWNER} to ${RUNNER}`);
  await takeNotice(transaction, 'pg_shseclabel');
  await becomeOwner(transaction);
}

/** The session acts as `varve_owner`. */
export async function becomeOwner(transaction: Transaction): Promise<void> {
  await transaction.execute(sql`set local role ${sql.id(OWNER)}`);
}

/**
 * A session learns what others granted when it takes a lock that it does not hold. These two catalogs are read by nobody else;
 * where a script did, the session keeps to what it knew, and the run ends.
 */
async function takeNotice(transaction: Transaction, catalog: string): Promise<void> {
  await transaction.query(sql`select from pg_catalog.${sql.id(catalog)} limit 0`);
}

/** A grant goes with the one who made it, which may have been another user. */
async function takeRoleBack(store: Store, role: string): Promise<void> {
  const grants = await store.query<{ grantor: string; named: boolean }>(sql`
    select m.grantor::regrole::text as grantor, current_setting('server_version_num')::int >= 160000 as named
    from pg_auth_members m where m.roleid = to_regrole(quote_ident(${role})) and m.member = to_regrole(${RUNNER})`);
  for (const { grantor, named } of grants) {
    // Already in quotes where it needs them.
    const by = named ? sql` granted by ${sql.raw(grantor)}` : sql``;
    await store.execute(sql`revoke ${sql.id(role)} from ${sql.id(RUNNER)}${by}`);
  }
}

/** What `sql/roles.sql` leaves, in this database. */
async function isSetUp(queryable: Queryable): Promise<boolean> {
  const [row] = await queryable.query<{ isThere: boolean }>(sql`
    select coalesce((
      select not r.rolsuper and r.rolcanlogin and not r.rolinherit and o.rolbypassrls
        and has_function_privilege(o.oid, to_regprocedure('varve.arm_guards(oid[],oid[])'), 'execute')
        and has_function_privilege(o.oid, to_regprocedure('varve.arm_capture(text,oid[])'), 'execute')
        and has_table_privilege(o.oid, to_regclass('varve.ledger'), 'insert')
        and (select proowner = o.oid and prosecdef from pg_proc where oid = to_regprocedure('varve.note_ddl()'))
      from pg_roles r, pg_roles o where r.rolname = ${RUNNER} and o.rolname = ${OWNER}), false) as "isThere"`);
  return row?.isThere === true;
}

/** Who owns the tables of the scope that are there; where none is, the allowed schemas. */
async function ownersInScope(
  queryable: Queryable,
  scope: Scope,
  relations: Relations,
): Promise<readonly string[]> {
  const inScope = [...relations.values()].filter(
    (each) => isTable(each) && !isOutside(scope, relations, each),
  );
  const rows = await queryable.query<{ owner: string }>(
    inScope.length > 0
      ? sql`select distinct pg_get_userbyid(relowner)::text as owner from pg_class where oid = any(${inScope.map(({ oid }) => oid)}::oid[]) order by 1`
      : sql`select distinct pg_get_userbyid(nspowner)::text as owner from pg_namespace where nspname = any(${[...scope.allowed_schemas]}::text[]) order by 1`,
  );
  return rows.map(({ owner }) => owner);
}

async function isSuperuser(queryable: Queryable, role: string): Promise<boolean> {
  const [row] = await queryable.query<{ isSuper: boolean }>(
    sql`select rolsuper as "isSuper" from pg_roles where rolname = ${role}`,
  );
  return row?.isSuper !== false;
}

/** What the login and the lent role may, beside writing to tables: attributes, further roles of the server, making schemas. */
async function powersOf(queryable: Queryable, lends: string, scope: Scope): Promise<readonly string[]> {
  const rows = await queryable.query<{ reason: string }>(sql`
    with may as (
      select r.oid, r.rolname, r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls as is_mighty
      from pg_roles r where pg_has_role(${lends}::name, r.oid, 'member')
    )
    select 'role ' || rolname as reason from may where is_mighty or rolname ~ '^pg_'
    union select 'role ' || m.roleid::regrole::text from pg_auth_members m
      where m.member = to_regrole(${RUNNER}) and m.roleid::regrole::text not in (${OWNER}, quote_ident(${lends}))
    union select 'schemas' where has_database_privilege(${lends}::name, current_database(), 'create')
    union select 'schema ' || nspname from pg_namespace
      where nspname !~ '^pg_(toast|temp_|toast_temp_)' and not nspname = any(${[...scope.allowed_schemas]}::text[])
        and has_schema_privilege(${lends}::name, oid, 'create')
    order by 1`);
  return rows.map(({ reason }) => reason);
}

/** The tables, views and sequences out of scope that these roles own or may write to; what the login may become is told by `powersOf`. */
async function reachedOutside(
  queryable: Queryable,
  about: { readonly lends: string; readonly scope: Scope; readonly relations: Relations },
): Promise<readonly string[]> {
  const { lends, scope, relations } = about;
  const rows = await queryable.query<{ oid: number }>(sql`
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace,
      (values (${lends}::name, 'member'), (${RUNNER}::name, 'usage')) r (role, reach)
    where n.nspname !~ '^pg_(toast|temp_|toast_temp_)' and n.nspname not in ('pg_catalog', 'information_schema')
      and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and case when c.relkind = 'S' then pg_has_role(r.role, c.relowner, r.reach) or has_sequence_privilege(r.role, c.oid, 'usage, update')
        else pg_has_role(r.role, c.relowner, r.reach)
          or has_table_privilege(r.role, c.oid, 'insert, update, delete, truncate, trigger')
          or has_any_column_privilege(r.role, c.oid, 'insert, update') end
    group by c.oid`);
  return rows
    .flatMap(({ oid }) => relations.get(oid) ?? [])
    .filter((each) => isOutside(scope, relations, each))
    .map(fullName)
    .toSorted();
}

function isOutside(scope: Scope, relations: Relations, each: Relation): boolean {
  const table = relations.get(each.table) ?? each;
  if (table.kind === 'S')
    return (
      objectScopeFindings(scope, [{ kind: 'sequence', schema: table.schema, name: table.name }]).length > 0
    );
  const root = table.root === null ? undefined : relations.get(table.root);
  const name = fullName(table);
  const partOf = root === undefined || root.oid === table.oid ? {} : { [name]: fullName(root) };
  return scopeFindings(scope, [name], partOf).length > 0;
}

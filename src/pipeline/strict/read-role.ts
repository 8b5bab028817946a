/**
 * The role that a `makeWith` reads as on a server: it may use one schema and select its views, and nothing else.
 *
 * Roles belong to the whole server, so the name holds a digest of the database's. What PUBLIC may do, the role may too;
 * that cannot be taken from one role alone, so it is reported.
 */
import { createHash } from 'node:crypto';
import type { Finding } from '../../base/index.ts';
import { isStoreError, sql, type Queryable, type Transaction } from '../../store/index.ts';
import type { ReadViews } from './read-view.ts';

/** Either the role to read as, or why there is none; and what weakens it. */
export interface ReadRole {
  readonly role: string | undefined;
  readonly findings: readonly Finding[];
}

/** Makes the role unless it stands already, with its rights; `table` is the computed table, for findings. */
export async function ensureReadRole(
  transaction: Transaction,
  table: string,
  views: ReadViews,
): Promise<ReadRole> {
  const role = await roleName(transaction, views.schema);
  try {
    await transaction.savepoint(() => grantRights(transaction, role, views));
  } catch (error) {
    if (!isStoreError(error, '42501')) throw error;
    return withoutRole(table, 'the database user may not create roles');
  }
  if (await isPowerful(transaction, role))
    return withoutRole(table, `the role ${role} has rights of its own`);
  return {
    role,
    findings: [
      ...(await readableTables(transaction, role, views)),
      ...(await definerFunctions(transaction, role)),
    ],
  };
}

function withoutRole(table: string, reason: string): ReadRole {
  const finding: Finding = {
    code: 'role_unavailable',
    severity: 'warning',
    subject: table,
    detail: { reason, enforcement: 'statement' },
    hint: 'Connect as a user with CREATEROLE; until then statements are checked before they run, and recorded as such.',
  };
  return { role: undefined, findings: [finding] };
}

async function roleName(store: Queryable, schema: string): Promise<string> {
  const [row] = await store.query<{ name: string }>(sql`select current_database()::text as name`);
  const digest = createHash('sha256')
    .update(`${row?.name ?? ''}\n${schema}`)
    .digest('hex');
  return `${schema.slice(0, 46)}_${digest.slice(0, 16)}`;
}

async function grantRights(transaction: Transaction, role: string, views: ReadViews): Promise<void> {
  const [state] = await transaction.query<{ exists: boolean }>(
    sql`select exists (select from pg_roles where rolname = ${role}) as exists`,
  );
  if (state?.exists !== true) await createRole(transaction, role);
  if (!(await maySetRole(transaction, role))) {
    await transaction.execute(sql`grant ${sql.id(role)} to session_user`);
  }
  const [rights] = await transaction.query<{ granted: boolean }>(sql`
    select has_schema_privilege(${role}, n.oid, 'usage')
      and not exists (select from pg_class c where c.relnamespace = n.oid
        and c.relkind = 'v' and not has_table_privilege(${role}, c.oid, 'select')) as granted
    from pg_namespace n where n.nspname = ${views.schema}`);
  if (rights?.granted === true) return;
  await transaction.execute(sql`grant usage on schema ${sql.id(views.schema)} to ${sql.id(role)}`);
  for (const { read } of views.views) {
    await transaction.execute(sql`grant select on ${sql.id(views.schema, read.name)} to ${sql.id(role)}`);
  }
}

async function createRole(transaction: Transaction, role: string): Promise<void> {
  try {
    await transaction.savepoint(() =>
      transaction.execute(sql`create role ${sql.id(role)} nologin noinherit`),
    );
  } catch (error) {
    // Someone else made it in the meantime.
    if (!isStoreError(error, '42710', '23505')) throw error;
  }
}

/** By trying it, since which membership allows it depends on the release (16 has an option of its own). */
async function maySetRole(transaction: Transaction, role: string): Promise<boolean> {
  try {
    await transaction.savepoint(async () => {
      await transaction.query(sql`select current_setting('role'), set_config('role', ${role}, true)`);
      await transaction.query(sql`select set_config('role', 'none', true)`);
    });
    return true;
  } catch (error) {
    if (!isStoreError(error, '42501')) throw error;
    return false;
  }
}

async function isPowerful(store: Queryable, role: string): Promise<boolean> {
  const [row] = await store.query<{ powerful: boolean }>(sql`
    select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication
      or exists (select from pg_auth_members where member = r.oid) as powerful
    from pg_roles r where rolname = ${role}`);
  return row?.powerful !== false;
}

async function readableTables(store: Queryable, role: string, views: ReadViews): Promise<readonly Finding[]> {
  const rows = await store.query<{ name: string }>(sql`
    select n.nspname || '.' || c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'm', 'p', 'f')
      and n.nspname not in ('pg_catalog', 'information_schema', ${views.schema}) and n.nspname !~ '^pg_t'
      and has_schema_privilege(${role}, n.oid, 'usage') and has_any_column_privilege(${role}, c.oid, 'select')
    order by 1`);
  return rows.map(({ name }) => ({
    code: 'readable_by_public',
    severity: 'warning',
    subject: name,
    detail: { role },
    hint: `Run \`revoke select on ${name} from public\`: until then only the check of statements keeps a make from reading it.`,
  }));
}

async function definerFunctions(store: Queryable, role: string): Promise<readonly Finding[]> {
  const rows = await store.query<{ name: string }>(sql`
    select n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where p.prosecdef and n.nspname <> 'pg_catalog'
      and has_schema_privilege(${role}, n.oid, 'usage') and has_function_privilege(${role}, p.oid, 'execute')
    order by 1`);
  return rows.map(({ name }) => ({
    code: 'definer_function',
    severity: 'warning',
    subject: name,
    detail: { role },
    hint: `Run \`revoke execute on function ${name} from public\`: it reads with its owner's rights, for whoever calls it.`,
  }));
}

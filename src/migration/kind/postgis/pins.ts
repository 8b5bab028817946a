/**
 * What decides the meaning of a statement is pinned for the deciding transaction, and verified again before its commit (M80):
 * the path by which names are found, how values are written as text, whether rows are counted and triggers fire.
 */
import { refusal, type Finding } from '../../../base/index.ts';
import { quoteIdentifier, sql, type Queryable, type Transaction } from '../../../store/index.ts';

const PINNED: Readonly<Record<string, string>> = {
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'iso_8601',
  extra_float_digits: '1',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  quote_all_identifiers: 'off',
  row_security: 'on',
  check_function_bodies: 'on',
};
/** Of these the server's own value holds; a superuser alone could change them. */
const WATCHED = [
  ...Object.keys(PINNED),
  'search_path',
  'allow_in_place_tablespaces',
  'allow_system_table_mods',
  'track_counts',
  'session_replication_role',
  'role',
  'session_authorization',
  'lock_timeout',
  'statement_timeout',
  'idle_in_transaction_session_timeout',
  'transaction_isolation',
  'transaction_read_only',
];

/** Milliseconds for one statement, and for a client that is silent in between (M94). */
const STATEMENT_TIMEOUT_MS = 300_000;
const IDLE_TIMEOUT_MS = 60_000;

/** The settings as they have to be before the commit. */
export type Pins = Readonly<Record<string, string | null>>;

/** Pins them; `canStop` says whether the server can end a statement from outside. */
export async function pinSettings(
  transaction: Transaction,
  about: { readonly allowedSchemas: readonly string[]; readonly canStop: boolean },
): Promise<Pins> {
  const path = await searchPath(transaction, about.allowedSchemas);
  const values = {
    ...PINNED,
    search_path: path.map(quoteIdentifier).join(', '),
    ...(about.canStop
      ? {
          statement_timeout: String(STATEMENT_TIMEOUT_MS),
          idle_in_transaction_session_timeout: String(IDLE_TIMEOUT_MS),
        }
      : {}),
  };
  const known = await readSettings(transaction);
  // A release that does not have the setting has nothing to pin.
  const pinned = Object.entries(values).filter(([name]) => known[name] !== null);
  await transaction.query(sql`select set_config(n, v, true)
    from unnest(${pinned.map(([name]) => name)}::text[], ${pinned.map(([, value]) => value)}::text[]) u (n, v)`);
  return readSettings(transaction);
}

/**
 * Names of the server alone, for what observes: an operator that a script made, of types that fit better than those of the
 * server's, would be called in its stead, and by who observes.
 */
export async function pinOwnNames(transaction: Transaction): Promise<void> {
  await transaction.execute(sql`set local search_path to pg_catalog, pg_temp`);
}

/** What is no longer as it was pinned. */
export async function pinFindings(transaction: Transaction, pins: Pins): Promise<readonly Finding[]> {
  const now = await readSettings(transaction);
  const changed = Object.keys(pins).filter((name) => now[name] !== pins[name]);
  if (changed.length === 0) return [];
  return [
    refusal('settings_changed', changed.join(', '), {
      detail: { settings: changed },
      hint: 'The script, or a function that it called, changed these. Take that out; nothing was changed.',
    }),
  ];
}

/** The allowed schemas, those of extensions, then `pg_temp`: so that no other schema lends a name (M80). */
export async function searchPath(
  queryable: Queryable,
  allowedSchemas: readonly string[],
): Promise<readonly string[]> {
  const rows = await queryable.query<{ schema: string }>(sql`
    select distinct n.nspname::text as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where n.nspname <> 'pg_catalog' order by 1`);
  const extensions = rows.map(({ schema }) => schema).filter((schema) => !allowedSchemas.includes(schema));
  return [...allowedSchemas, ...extensions, 'pg_temp'];
}

async function readSettings(queryable: Queryable): Promise<Pins> {
  const rows = await queryable.query<{ name: string; value: string | null }>(sql`
    select name, current_setting(name, true) as value from unnest(${WATCHED}::text[]) name`);
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

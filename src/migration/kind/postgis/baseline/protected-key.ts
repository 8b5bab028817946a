/** Whether the rows of protected tables can be digested: under a key, by who may read them, and unseen by the server's log. */
import { refusal, type Finding } from '../../../../base/index.ts';
import { sql, type Queryable } from '../../../../store/index.ts';

/** Rows that nobody may guess from a digest. */
export interface ProtectedRows {
  /** `schema.table`: their rows are digested under the key. */
  readonly protectedTables: readonly string[];
  /** 32 bytes or more; it is handed to the store as a parameter, derived per table, and written nowhere. */
  readonly protectedKey?: Uint8Array;
}

const KEY_BYTES = 32;

/**
 * What is in the way (M123); none where nothing is protected.
 *
 * Errors: refuses with `protected_key_unusable` where the key is missing or short, where this user may not read a protected
 * table, or where the server would write parameters to its log.
 */
export async function protectedKeyFindings(
  reader: Queryable,
  { protectedTables, protectedKey: key }: ProtectedRows,
): Promise<readonly Finding[]> {
  if (protectedTables.length === 0) return [];
  const refused = (reason: string, hint: string, subject = 'protected'): readonly Finding[] => [
    refusal('protected_key_unusable', subject, { detail: { reason }, hint }),
  ];
  if (key === undefined)
    return refused(
      'missing',
      'Set VARVE_PROTECTED_KEY to the path of a file with the key for the protected rows of this environment: 32 random bytes or more.',
    );
  if (key.length < KEY_BYTES)
    return refused('short', `Use a random key of ${String(KEY_BYTES)} bytes or more.`);
  const unreadable = await unreadableTables(reader, protectedTables);
  if (unreadable.length > 0)
    return refused(
      'unreadable',
      'Let this role read the protected tables (GRANT SELECT): their digest shows that they are as they were.',
      unreadable.join(', '),
    );
  const [row] = await reader.query<{ logs: boolean; may: boolean }>(sql`select
    current_setting('log_parameter_max_length') <> '0' and (current_setting('log_statement') = 'all'
      or current_setting('log_min_duration_statement') <> '-1' or current_setting('log_min_duration_sample') <> '-1'
      or current_setting('log_transaction_sample_rate') <> '0' or current_setting('log_duration') = 'on') as logs,
    has_parameter_privilege('log_parameter_max_length', 'set') as may`);
  if (row?.logs !== true) return [];
  if (!row.may) {
    return refused(
      'parameters_logged',
      'Let this role set log_parameter_max_length (GRANT SET ON PARAMETER), or switch the logging of statements off.',
    );
  }
  await reader.query(sql`select set_config('log_parameter_max_length', '0', true)`);
  return [];
}

async function unreadableTables(reader: Queryable, tables: readonly string[]): Promise<readonly string[]> {
  const pairs = tables.map((table) => table.split(/\.(.*)/su));
  const rows = await reader.query<{ table: string }>(sql`
    select n.nspname || '.' || c.relname as "table" from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join unnest(${pairs.map(([schema = '']) => schema)}::text[], ${pairs.map(([, name = '']) => name)}::text[]) u (s, t)
      on u.s = n.nspname and u.t = c.relname
    where not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')) order by 1`);
  return rows.map(({ table }) => table);
}

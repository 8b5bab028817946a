/**
 * Settings that the text of a value or a definition depends on. Digests are made of such text, so they are set for the
 * time of making one, whatever statements of the same transaction have set before; a session begins with most of them.
 *
 * With `search_path` at `pg_catalog`, every other name is written with its schema.
 */
import { sql } from './sql.ts';
import type { Queryable, Store, Transaction } from './store.ts';

const PINNED: Readonly<Record<string, string>> = {
  // Named last, for where it is not named it comes first: a temporary table must not stand in for one of the catalog.
  search_path: 'pg_catalog, pg_temp',
  quote_all_identifiers: 'off',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'iso_8601',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  xmloption: 'content',
};

/**
 * Runs work that only reads, in a transaction, with these settings; then they are what they were. A store's own
 * transaction is one snapshot (repeatable read); of one that is handed over, that is its owner's affair. `more` are settings of
 * the same kind, such as those of the planner.
 */
export async function readPinned<T>(
  database: Store | Transaction,
  work: (reader: Transaction) => Promise<T>,
  more: Readonly<Record<string, string>> = {},
): Promise<T> {
  const settings = { ...PINNED, ...more };
  if ('transaction' in database) {
    return await database.transaction(
      { readOnly: true, isolation: 'repeatable read' },
      async (transaction) => {
        await pin(transaction, settings);
        return await work(transaction);
      },
    );
  }
  // All of them are read before the first is set.
  const before = await database.query<{ name: string; setting: string }>(sql`
    with before as materialized (
      select n, v, current_setting(n) as setting
      from unnest(${Object.keys(settings)}::text[], ${Object.values(settings)}::text[]) u (n, v) order by n)
    select n as name, setting, set_config(n, v, true) from before`);
  const result = await work(database);
  await pin(database, Object.fromEntries(before.map(({ name, setting }) => [name, setting])));
  return result;
}

async function pin(reader: Queryable, settings: Readonly<Record<string, string>>): Promise<void> {
  await reader.query(sql`select set_config(n, v, true)
    from unnest(${Object.keys(settings)}::text[], ${Object.values(settings)}::text[]) u (n, v)`);
}

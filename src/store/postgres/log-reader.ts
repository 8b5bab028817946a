/**
 * The server's own log of one prepared transaction, by logical decoding.
 *
 * The slot is temporary, so that it goes with its session, and two-phase, so that a transaction can be read before it is
 * committed. The plugin is `test_decoding`: `pgoutput` sees the tables of a publication alone, and one for all tables makes
 * every update of a table without a key fail. Its lines hold values: the server takes table and operation out of them, and
 * nothing else leaves it (M86).
 */
import type { Client } from 'pg';
import { VarveError } from '../../base/index.ts';
import { isStoreError } from '../store-error.ts';
import type { LogChange, LogReader, LogReaderOptions } from '../store.ts';
import { toStoreError } from './error.ts';

/** One name, as the server writes it: in quotes where it needs them. */
const NAME = '(?:"(?:[^"]|"")*"|[^".:, ]+)';
/** The start of a line that tells of rows; TRUNCATE tells of several tables at once. */
const LINE = `^table (${NAME}\\.${NAME}(?:, ${NAME}\\.${NAME})*): (INSERT|UPDATE|DELETE|TRUNCATE):`;

/** Opens a slot; the client belongs to it from then on. Errors: throws `witness_missing` when there is none within the deadline. */
export async function openLogReader(
  client: Client,
  location: string,
  { name, deadlineMs }: LogReaderOptions,
): Promise<LogReader> {
  let isLost = false;
  client.on('error', () => (isLost = true));
  client.on('end', () => (isLost = true));
  const end = async (): Promise<void> => {
    await client.end().catch(() => undefined);
  };
  try {
    await client.connect();
    await client.query(`set statement_timeout = ${String(Math.max(1, Math.ceil(deadlineMs)))}`);
    await client.query(`select from pg_create_logical_replication_slot($1, 'test_decoding', true, true)`, [
      name,
    ]);
  } catch (error) {
    await end();
    throw missing(error, location);
  }
  return {
    changesOf: async (prepared) => {
      if (isLost) throw missing(undefined, location);
      try {
        const { rows } = await client.query<{ tables: string | null; operation: string; rows: string }>(
          READ,
          [name, prepared, LINE],
        );
        return rows.flatMap((row) => changesIn(row));
      } catch (error) {
        throw missing(error, location);
      }
    },
    [Symbol.asyncDispose]: end,
  };
}

/** Lines of one transaction, counted; one that cannot be read gives a change without a table. */
const READ = `
  select line[1] as tables, coalesce(line[2], 'unknown') as operation, count(*)::text as rows
  from (
    select regexp_match(data, $3) as line, data
    from pg_logical_slot_peek_changes($1, null, null, 'include-xids', '1', 'skip-empty-xacts', '1')
    where xid = (select transaction from pg_prepared_xacts where gid = $2 and database = current_database())
  ) own
  where data !~ '^(BEGIN|PREPARE TRANSACTION) '
  group by 1, 2`;

function changesIn(row: { tables: string | null; operation: string; rows: string }): readonly LogChange[] {
  const operation = row.operation.toLowerCase() as LogChange['operation'];
  const tables = row.tables === null ? [null] : namesIn(row.tables);
  return tables.map((table) => ({ table, operation, rows: Number(row.rows) }));
}

/** `a."b.c", d.e` -> `a.b.c`, `d.e`: as names are told everywhere else. */
function namesIn(list: string): readonly string[] {
  return [...list.matchAll(new RegExp(`(${NAME})\\.(${NAME})(?:, )?`, 'gu'))].map(
    ([, schema = '', name = '']) => `${bare(schema)}.${bare(name)}`,
  );
}

function bare(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function missing(cause: unknown, location: string): VarveError {
  const error = cause === undefined ? undefined : toStoreError(cause, location);
  const sqlstate = isStoreError(error) ? error.fields.sqlstate : undefined;
  return new VarveError('witness_missing', {
    detail: { location, ...(sqlstate === undefined ? {} : { sqlstate }) },
    hint: 'Let wal_level be logical, max_prepared_transactions above 0, a replication slot free, and no long transaction open.',
    cause,
  });
}

/** varve's store as the database of the queue's library: the same sessions, one way to reach the database. */
import type { Db } from 'pg-boss';
import { sql, type Queryable, type Sql, type SqlValue } from '../../store/index.ts';

/** The library's statements by way of this store, or of one transaction of it. */
export function queueDatabase(queryable: Queryable): Db {
  return {
    // The library knows its own columns; their types are its matter.
    executeSql: async (text, values) => ({
      rows: [...(await run(queryable, text, values ?? []))],
    }),
  };
}

function run(
  queryable: Queryable,
  text: string,
  values: readonly unknown[],
): ReturnType<Queryable['script']> {
  // What has no values may be several statements in a transaction of their own.
  return values.length === 0 ? queryable.script(text) : queryable.query(withValues(text, values));
}

/** `$n` in the library's text becomes a parameter of ours. */
function withValues(text: string, values: readonly unknown[]): Sql {
  const pieces = text
    .split(/\$(\d+)/)
    .map((piece, index) => (index % 2 === 0 ? sql.raw(piece) : sql`${parameter(values[Number(piece) - 1])}`));
  return sql.join(pieces, sql.raw(''));
}

function parameter(value: unknown): SqlValue {
  if (value === undefined || value === null) return null;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value as readonly (string | number | boolean | null)[];
  return typeof value === 'object' ? JSON.stringify(value) : (value as SqlValue);
}

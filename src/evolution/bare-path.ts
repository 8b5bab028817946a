/** Reading definitions word by word. */
import { sql, type Queryable } from '../store/index.ts';

/**
 * Runs `read` with nothing but PostgreSQL's own schema on the path, so that the words of a definition name every table and type
 * in full, whatever the path of the session is; then the path is as before. Within a transaction: outside of one nothing is
 * set.
 */
export async function withBarePath<T>(store: Queryable, read: () => Promise<T>): Promise<T> {
  const [before] = await store.query<{ path: string }>(
    sql.kept(sql`
    select p.path, set_config('search_path', 'pg_catalog', true) from (select current_setting('search_path') as path offset 0) p`),
  );
  const found = await read();
  await store.query(sql.kept(sql`select set_config('search_path', ${before?.path ?? ''}, true)`));
  return found;
}

/**
 * The indexes of a list: what changes is found by the old key, and rows below look up by it. Nobody asks for them while rows and
 * computations are first written, in the order of pages, so a list that holds staged computations gets them meanwhile.
 */
import { tableId } from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import { oldKeyColumns } from './list.ts';
import { builtOf, listPlacement, type Rebuilding } from './world.ts';

/** Makes the indexes that are not there: readers go on, whoever writes into the list waits. */
export async function indexList(transaction: Queryable, of: Rebuilding): Promise<void> {
  if (await isKeyed(transaction, of)) return;
  const list = tableId(listPlacement(builtOf(of)));
  const key = sql.join(oldKeyColumns(of));
  await transaction.execute(
    sql`create unique index if not exists ${indexName(of, 'key')} on ${list} (${key})`,
  );
  await transaction.execute(
    sql`create index if not exists ${indexName(of, 'later')} on ${list} ("#n") where "#n" is not null`,
  );
  // Whoever computes asks for them page by page; and the cutover, whether there are any.
  await transaction.execute(
    sql`create index if not exists ${indexName(of, 'not carried')} on ${list} (${key}) where "#class" in ('recompute', 'retire')`,
  );
}

/** What is indexed becomes the key of the list, and is held to be there: one look at all lines, for which readers wait. */
export async function keyList(transaction: Queryable, of: Rebuilding): Promise<void> {
  if (await isKeyed(transaction, of)) return;
  await transaction.execute(sql`
    alter table ${tableId(listPlacement(builtOf(of)))} alter column "#class" set not null,
      add primary key using index ${indexName(of, 'key')}`);
}

async function isKeyed(store: Queryable, of: Rebuilding): Promise<boolean> {
  const { schema, table } = listPlacement(builtOf(of));
  const [row] = await store.query<{ keyed: boolean }>(sql`
    select exists (select from pg_constraint k join pg_class c on c.oid = k.conrelid
      join pg_namespace n on n.oid = c.relnamespace
      where k.contype = 'p' and n.nspname = ${schema} and c.relname = ${table}) as keyed`);
  return row?.keyed === true;
}

function indexName(of: Rebuilding, what: 'key' | 'later' | 'not carried'): Sql {
  return sql.id(`${what} of ${String(builtOf(of).id)}`);
}

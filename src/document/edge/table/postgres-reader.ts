/** What readers of a column of PostgreSQL write back while a run is open for them. */
import type { GovernedTable } from './document-table.ts';
import { cutOver } from './postgres-cut-over.ts';
import type { WorkTables } from './postgres-history.ts';
import { keep } from './postgres-keep.ts';
import { keyValues, type Parts } from './postgres-part.ts';
import type { SqlSession, SqlStore } from './sql-session.ts';

type ReaderVerbs = Pick<GovernedTable, 'read' | 'setReaders' | 'openForReaders' | 'writeBack'>;

/** The verbs of a column that have to do with its readers. */
export function readerVerbs(
  store: SqlStore,
  parts: Parts,
  {
    place,
    work,
    named,
  }: { readonly place: string; readonly work: string; readonly named: (run: string) => WorkTables },
): ReaderVerbs {
  return {
    read: (key) =>
      store.transaction({ isReadOnly: true }, async (session) => {
        const { source, column, text, keyOf, keysOf, keys } = parts;
        const [row] = await session.query<{ key: string; text: string }>(
          `select ${keyOf('t')} as key, ${text} as text from ${source} t
           where t.${column} is not null and (${keysOf('t')}) = (${keys.map(({ type }, at) => `$${at + 1}::${type}`).join(', ')})`,
          keyValues(key),
        );
        return row;
      }),
    setReaders: (run, isOpen) =>
      store.transaction({}, async (session) => {
        const rows = await session.query(
          `update ${work} set readers = $2 where run = $1 and readers is distinct from $2 and ($2 = 'closed' or readers is null)
           returning 1`,
          [run, isOpen ? 'open' : 'closed'],
        );
        return rows.length > 0;
      }),
    openForReaders: () =>
      store.transaction({ isReadOnly: true }, async (session) => {
        const there = await session.query('select 1 where to_regclass($1) is not null', [work]);
        if (there.length === 0) return undefined;
        const [row] = await session.query<{ run: string; plan: string; now: string }>(
          `select run, plan, now from ${work} where place = $1 and readers = 'open' order by now desc limit 1`,
          [place],
        );
        return row;
      }),
    writeBack: (run, built) =>
      store.transaction({}, async (session) => {
        // Until this ends, the run is not closed for readers.
        if (!(await isOpen(session, work, run))) return false;
        const tables = named(run);
        await keep(session, parts, { built: tables.built, work, run }, [built], undefined);
        return (await cutOver(session, parts, tables, { keys: [built.key] })).written === 1;
      }),
  };
}

async function isOpen(session: SqlSession, work: string, run: string): Promise<boolean> {
  const rows = await session.query(`select 1 from ${work} where run = $1 and readers = 'open' for share`, [
    run,
  ]);
  return rows.length > 0;
}

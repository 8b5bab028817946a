/** What a run leaves in PostgreSQL, and the ways back from it. */
import type { EditedDocument, GovernedTable, RowKey } from './document-table.ts';
import { behind, keyValues, type Parts } from './postgres-part.ts';
import type { SqlSession, SqlStore } from './sql-session.ts';

/** The tables of a run, quoted. */
export interface WorkTables {
  readonly built: string;
  readonly kept: string;
  readonly left: string;
}

type HistoryVerbs = Pick<
  GovernedTable,
  | 'edited'
  | 'forget'
  | 'keepOriginals'
  | 'keptDocuments'
  | 'restore'
  | 'restoreBeside'
  | 'tidy'
  | 'writtenMeanwhile'
  | 'writtenSince'
>;

/** The verbs of a column that have to do with what runs left. */
export function historyVerbs(
  store: SqlStore,
  parts: Parts,
  { work, named }: { readonly work: string; readonly named: (run: string) => WorkTables },
): HistoryVerbs {
  const reading = <T>(
    session: SqlSession | undefined,
    run: (session: SqlSession) => Promise<T>,
  ): Promise<T> => (session === undefined ? store.transaction({ isReadOnly: true }, run) : run(session));
  return {
    edited: (of, after, limit, session) =>
      reading(session, (open) => edited(open, parts, named(of).kept, { after, limit })),
    keepOriginals: (run, of) =>
      store.transaction({}, (session) => keepOriginals(session, parts, named(run).built, named(of).kept)),
    writtenMeanwhile: (run, session) =>
      reading(session, (open) => writtenMeanwhile(open, parts, named(run).built)),
    writtenSince: (of, back, session) => writtenSince(session, parts, named(of), named(back).built),
    restoreBeside: async (run) => {
      const { kept } = named(run);
      const restored = (after: string | null): Promise<string | null> =>
        store.transaction({}, async (session) => {
          if (!(await isThere(session, kept))) return null;
          if (after === null) await closeForReaders(session, work, run);
          return restoreBatch(session, parts, kept, after ?? '0');
        });
      for (let after: string | null = null; ;) {
        after = await restored(after);
        if (after === null) return;
      }
    },
    restore: async (run, session) => {
      // Whoever writes back for this run has done so by then, and nobody else begins.
      if (await isThere(session, work)) await closeForReaders(session, work, run);
      return restore(session, parts, named(run).kept);
    },
    tidy: (run, isDone, session) => {
      const end = async (open: SqlSession): Promise<void> => {
        await tidy(open, parts, named(run), isDone);
        await closeForReaders(open, work, run);
      };
      return session === undefined ? store.transaction({}, end) : end(session);
    },
    keptDocuments: (run, session) =>
      reading(session, async (open) => {
        const { kept } = named(run);
        if (!(await isThere(open, kept))) return undefined;
        const list = parts.names.join(', ');
        const [row] = await open.query<{ rows: number }>(
          `select count(*)::int as rows from (select distinct ${list} from ${kept}) k`,
        );
        return row?.rows ?? 0;
      }),
    forget: async (run, session) => {
      const { built, kept, left } = named(run);
      await session.query(`drop table if exists ${built}, ${kept}, ${left}`);
      await session.query(`delete from ${work} where run = $1`, [run]);
    },
  };
}

async function closeForReaders(session: SqlSession, work: string, run: string): Promise<void> {
  await session.query(`update ${work} set readers = 'closed' where run = $1 and readers = 'open'`, [run]);
}

async function isThere(session: SqlSession, table: string): Promise<boolean> {
  return (await session.query('select 1 where to_regclass($1) is not null', [table])).length > 0;
}

/** The newest original of each document: where one was replaced twice, what stood there before the last time. */
function newestOf({ keysOf }: Parts, kept: string, condition = ''): string {
  return `(select distinct on (${keysOf('k')}) k.* from ${kept} k where true ${condition} order by ${keysOf('k')}, k.seq desc)`;
}

async function edited(
  session: SqlSession,
  parts: Parts,
  kept: string,
  { after, limit }: { readonly after: RowKey | undefined; readonly limit: number },
): Promise<readonly EditedDocument[]> {
  const { source, column, text, digest, keyOf, keysOf, sameKey } = parts;
  return session.query<EditedDocument & Record<string, unknown>>(
    `select ${keyOf('h')} as key, ${text} as text, h.original::text as original, h.from_version as "from", h.beside
     from ${newestOf(parts, kept, behind(parts, 'k', after))} h join ${source} t on ${sameKey('t', 'h')}
     where t.${column} is not null and ${digest} <> h.written order by ${keysOf('h')} limit ${limit}`,
    keyValues(after),
  );
}

async function keepOriginals(
  session: SqlSession,
  parts: Parts,
  built: string,
  kept: string,
): Promise<number> {
  const { source, digest, keysOf, names, sameKey } = parts;
  const values = ['was', 'status', 'text', 'written', 'is_lossy', 'assumed', 'is_late'];
  const rows = await session.query(
    `insert into ${built} (${[...names, ...values].join(', ')})
     select ${keysOf('h')}, h.written, 'migrated', h.original, sha256(convert_to(h.original::text, 'UTF8')), false, 0, false
     from ${newestOf(parts, kept)} h join ${source} t on ${sameKey('t', 'h')} where ${digest} = h.written
     on conflict (${names.join(', ')}) do update set ${values.map((name) => `${name} = excluded.${name}`).join(', ')}
     returning 1`,
  );
  return rows.length;
}

async function writtenMeanwhile(session: SqlSession, parts: Parts, built: string): Promise<number> {
  if (!(await isThere(session, built))) return 0;
  const { source, sameKey } = parts;
  const [row] = await session.query<{ rows: number }>(
    `select ((select count(*) from ${built} where is_late)
       + (select count(*) from ${built} b where not exists (select 1 from ${source} t where ${sameKey('t', 'b')})))::int as rows`,
  );
  return row?.rows ?? 0;
}

async function writtenSince(
  session: SqlSession,
  parts: Parts,
  of: WorkTables,
  back: string,
): Promise<{ readonly rows: number; readonly gone: number }> {
  const { source, column, digest, sameKey } = parts;
  const [row] = await session.query<{ rows: number; gone: number }>(
    `with newest as materialized ${newestOf(parts, of.kept)}
     select ((select count(*) from ${back} b join newest h on ${sameKey('b', 'h')} where b.was <> h.written)
       + (select count(*) from ${source} t left join ${of.left} l on ${sameKey('t', 'l')}
          where t.${column} is not null and l.digest is distinct from ${digest}
            and not exists (select 1 from newest h where ${sameKey('t', 'h')})))::int as rows,
       (select count(*) from ${of.left} l
        where not exists (select 1 from ${source} t where ${sameKey('t', 'l')}))::int as gone`,
  );
  return row ?? { rows: 0, gone: 0 };
}

/** Originals that are put back at once. */
const RESTORED = 500;

/** The last of a batch of originals that were put back, or null where there was none. */
async function restoreBatch(
  session: SqlSession,
  { source, column, digest, sameKey }: Parts,
  kept: string,
  after: string,
): Promise<string | null> {
  const [row] = await session.query<{ last: string | null }>(
    `with batch as materialized (select k.* from ${kept} k where k.seq > $1::bigint order by k.seq limit ${RESTORED}),
     held as materialized (
       select h.* from batch h join ${source} t on ${sameKey('t', 'h')}
       where ${digest} = h.written and not exists (select 1 from ${kept} m where ${sameKey('m', 'h')} and m.seq > h.seq)
       for update of t skip locked),
     back as (update ${source} t set ${column} = h.original from held h where ${sameKey('t', 'h')} returning 1)
     select max(seq)::text as last, (select count(*) from back) as restored from batch`,
    [after],
  );
  return row?.last ?? null;
}

async function restore(
  session: SqlSession,
  parts: Parts,
  kept: string,
): Promise<{ readonly restored: number; readonly changed: number }> {
  if (!(await isThere(session, kept))) return { restored: 0, changed: 0 };
  const { source, column, digest, sameKey } = parts;
  const [row] = await session.query<{ restored: number; changed: number }>(
    `with newest as materialized ${newestOf(parts, kept)},
     back as (
       update ${source} t set ${column} = h.original from newest h
       where ${sameKey('t', 'h')} and ${digest} = h.written returning 1)
     select (select count(*) from back)::int as restored,
       (select count(*) from newest h join ${source} t on ${sameKey('t', 'h')}
        where ${digest} is distinct from h.written
          and ${digest} is distinct from sha256(convert_to(h.original::text, 'UTF8')))::int as changed`,
  );
  return row ?? { restored: 0, changed: 0 };
}

async function tidy(
  session: SqlSession,
  { keys, names }: Parts,
  { built, left }: WorkTables,
  isDone: boolean,
): Promise<void> {
  if (isDone && (await isThere(session, built)) && !(await isThere(session, left))) {
    const columns = keys.map(({ type }, at) => `${names[at] ?? ''} ${type} not null`).join(', ');
    await session.query(
      `create table ${left} (${columns}, digest bytea not null, primary key (${names.join(', ')}))`,
    );
    await session.query(
      `insert into ${left} select ${names.join(', ')}, case when status = 'migrated' then written else was end from ${built}`,
    );
  }
  await session.query(`drop table if exists ${built}`);
}

/**
 * A column of PostgreSQL: `jsonb`, `json` or `text`, read as text. The tables of a run lie in schema `varve_history`.
 *
 * Reading takes no lock on rows: what changes between reading and writing is seen by its digest. Only what is written is
 * locked, for the length of its batch, and rows that others hold are passed over.
 */
import { refusal } from '../../../base/index.ts';
import { ok, refused, type Result } from '../../result.ts';
import { countsOf, type CountRow } from './counts.ts';
import type { GovernedTable, WorkState } from './document-table.ts';
import { readerVerbs } from './postgres-reader.ts';
import { cutOver, unsettled } from './postgres-cut-over.ts';
import { historyVerbs, type WorkTables } from './postgres-history.ts';
import { keepAll } from './postgres-keep.ts';
import { behind, keyValues, partsOf, type ColumnPlace, type Parts, type Shape } from './postgres-part.ts';
import { quoted, type SqlSession, type SqlStore } from './sql-session.ts';
import { heldBy, otherPlan } from './work-finding.ts';
import { workNames } from './work-name.ts';

/** A column of PostgreSQL. */
export interface PostgresTable extends GovernedTable {
  /** What a run has read, as a query of keys `k1 ...` and digests `was`. */
  readonly readBy: (run: string) => { readonly query: string; readonly columns: readonly string[] };
}

const HISTORY = 'varve_history';
const WORK = quoted(HISTORY, 'document_work');
const TYPES = ['jsonb', 'json', 'text', 'character varying'];

/** The verbs of a column. Refuses where there is no such column, its type holds no documents, or rows have no primary key. */
export async function postgresTable(store: SqlStore, place: ColumnPlace): Promise<Result<PostgresTable>> {
  const name = `${place.schema}.${place.table}.${place.column}`;
  const shape = await store.transaction({ isReadOnly: true }, (session) => shapeOf(session, place));
  if (shape === undefined || !TYPES.includes(shape.type.replace(/\(.*$/u, ''))) {
    return refused(
      refusal('document_store_unusable', name, {
        detail: { reason: shape === undefined ? 'no_such_column' : 'type', type: shape?.type ?? null },
        hint: 'Name a column of type jsonb, json or text as schema.table.column.',
      }),
    );
  }
  if (shape.keys.length === 0) {
    const hint = 'Give the table a primary key: documents are read and written by it.';
    return refused(refusal('document_store_unusable', name, { detail: { reason: 'no_primary_key' }, hint }));
  }
  return ok(tableOf(store, place, name, shape));
}

async function shapeOf(
  session: SqlSession,
  { schema, table, column }: ColumnPlace,
): Promise<Shape | undefined> {
  const [found] = await session.query<{ type: string; keys: readonly { name: string; type: string }[] }>(
    `select format_type(a.atttypid, a.atttypmod) as type,
       coalesce((select json_agg(json_build_object('name', k.attname, 'type', format_type(k.atttypid, k.atttypmod)) order by n)
         from pg_index i, unnest(i.indkey) with ordinality as p(num, n)
         join pg_attribute k on k.attnum = p.num
         where i.indrelid = c.oid and i.indisprimary and k.attrelid = c.oid), '[]') as keys
     from pg_class c join pg_namespace s on s.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
     where s.nspname = $1 and c.relname = $2 and a.attname = $3 and a.attnum > 0 and not a.attisdropped
       and c.relkind in ('r', 'p')`,
    [schema, table, column],
  );
  return found;
}

function tableOf(store: SqlStore, place: ColumnPlace, name: string, shape: Shape): PostgresTable {
  const parts = partsOf(place, shape);
  const builtOf = (run: string): string => workTables(run).built;
  const keptOf = (run: string): string => workTables(run).kept;
  const reading = <T>(
    session: SqlSession | undefined,
    work: (session: SqlSession) => Promise<T>,
  ): Promise<T> => (session === undefined ? store.transaction({ isReadOnly: true }, work) : work(session));
  return {
    place: name,
    shape: { type: shape.type, keys: shape.keys.map((key) => ({ ...key })) },
    readBy: (run) => {
      const columns = [...parts.names, 'was'];
      return { query: `select ${columns.join(', ')} from ${builtOf(run)}`, columns };
    },
    triggers: (session) => reading(session, (open) => triggersOf(open, place)),
    lock: async () => {
      const lock = await store.tryLock(`document ${name}`);
      if (lock !== undefined) return ok(lock);
      const first = await store.transaction({ isReadOnly: true }, (session) => holderOf(session, name));
      return refused(heldBy(name, first));
    },
    open: (start) =>
      store.transaction({}, async (session) => {
        await makeTables(session, parts, { built: builtOf(start.run), kept: keptOf(start.run) });
        await session.query(
          `insert into ${WORK} as w (run, place, plan, now, holder) values ($1, $2, $3, $4, $5)
           on conflict (run) do update set holder = excluded.holder`,
          [start.run, name, start.plan, start.now, start.holder],
        );
        const [row] = await session.query<WorkRow>(
          `select plan, now, done_to as at, is_built from ${WORK} where run = $1`,
          [start.run],
        );
        return row === undefined || row.plan !== start.plan ? refused(otherPlan(name)) : ok(stateOf(row));
      }),
    page: (after, limit) =>
      reading(undefined, (session) =>
        session.query<{ key: string; text: string }>(
          `select ${parts.keyOf('t')} as key, ${parts.text} as text from ${parts.source} t
           where t.${parts.column} is not null ${behind(parts, 't', after)} order by ${parts.keysOf('t')} limit ${limit}`,
          keyValues(after),
        ),
      ),
    keep: (run, built, state) =>
      keepAll(store, parts, { built: builtOf(run), work: WORK, run }, built, state),
    cutOver: (run, due) =>
      store.transaction({}, (session) =>
        cutOver(session, parts, { built: builtOf(run), kept: keptOf(run) }, due),
      ),
    unsettled: (run, limit, among = {}) =>
      reading(among.session, (open) =>
        unsettled(
          open,
          parts,
          { built: builtOf(run), kept: among.of === undefined ? undefined : keptOf(among.of) },
          {
            limit,
            isStale: among.isStale === true,
          },
        ),
      ),
    quarantined: (run, limit) =>
      reading(undefined, (open) =>
        open.query<{ key: string; findings: string }>(
          `select ${parts.keyOf('b')} as key, b.findings from ${builtOf(run)} b where b.status = 'quarantined'
           order by ${parts.keysOf('b')} limit ${limit}`,
        ),
      ),
    counts: (run, session) =>
      reading(session, async (open) =>
        countsOf(
          await open.query<CountRow>(
            `select status, path, count(*)::int as documents, count(*) filter (where is_lossy)::int as lossy,
               coalesce(sum(assumed), 0)::int as assumed from ${builtOf(run)} group by status, path order by status, path`,
          ),
        ),
      ),
    writers: () => store.transaction({ isReadOnly: true }, (session) => writersOf(session, place)),
    ...readerVerbs(store, parts, { place: name, work: WORK, named: (run) => workTables(run) }),
    ...historyVerbs(store, parts, { work: WORK, named: (run) => workTables(run) }),
  };
}

function workTables(run: string): WorkTables {
  const { built, kept, left } = workNames(run);
  return { built: quoted(HISTORY, built), kept: quoted(HISTORY, kept), left: quoted(HISTORY, left) };
}

type WorkRow = { plan: string; now: string; at: string | null; is_built: boolean };

function stateOf({ now, at, is_built: isBuilt }: WorkRow): WorkState {
  return { now, place: at ?? undefined, isBuilt };
}

async function makeTables(
  session: SqlSession,
  { source, type, keys, names }: Parts,
  { built, kept }: { readonly built: string; readonly kept: string },
): Promise<void> {
  const columns = keys.map(({ type }, at) => `${names[at] ?? ''} ${type} not null`).join(', ');
  await session.query(`create schema if not exists ${quoted(HISTORY)}`);
  await session.query(
    `create table if not exists ${WORK} (run text primary key, place text not null, plan text not null,
       now text not null, holder text not null, readers text, done_to text, is_built boolean not null default false)`,
  );
  await session.query(
    `create table if not exists ${built} (${columns}, was bytea not null, status text not null, text ${type}, written bytea,
       from_version text, path text, is_lossy boolean not null, assumed integer not null,
       beside text, findings text, is_late boolean not null, primary key (${names.join(', ')}))`,
  );
  await session.query(
    `create table if not exists ${kept} (seq bigint generated always as identity primary key, ${columns},
       original ${type} not null, written bytea not null, from_version text, path text, beside text)`,
  );
  await session.query(
    `create index if not exists ${quoted(`${kept.slice(kept.lastIndexOf('.') + 2, -1)}_key`)} on ${kept} (${names.join(', ')}, seq)`,
  );
  await session.query(`comment on table ${kept} is 'originals of ${source.replaceAll("'", "''")}'`);
}

async function holderOf(session: SqlSession, place: string): Promise<string | undefined> {
  const there = await session.query(`select 1 where to_regclass($1) is not null`, [WORK]);
  if (there.length === 0) return undefined;
  const [row] = await session.query<{ holder: string }>(
    `select holder from ${WORK} where place = $1 order by now desc limit 1`,
    [place],
  );
  return row?.holder;
}

async function writersOf(session: SqlSession, { schema, table }: ColumnPlace): Promise<readonly string[]> {
  const rows = await session.query<{ who: string }>(
    `select distinct coalesce(nullif(a.application_name, ''), a.backend_type) || ' as ' || coalesce(a.usename, '?') as who
     from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where l.relation = to_regclass($1) and l.mode = 'RowExclusiveLock' and l.pid <> pg_backend_pid() order by 1 limit 10`,
    [quoted(schema, table)],
  );
  return rows.map(({ who }) => who);
}

async function triggersOf(session: SqlSession, { schema, table }: ColumnPlace): Promise<readonly string[]> {
  const rows = await session.query<{ name: string }>(
    `select g.tgname::text as name from pg_trigger g join pg_class c on c.oid = g.tgrelid
     join pg_namespace s on s.oid = c.relnamespace
     where s.nspname = $1 and c.relname = $2 and not g.tgisinternal and g.tgtype::int & 16 <> 0
       and g.tgenabled <> 'D' order by 1`,
    [schema, table],
  );
  return rows.map(({ name }) => name);
}

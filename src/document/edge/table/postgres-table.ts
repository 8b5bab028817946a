/**
 * A column of PostgreSQL: `jsonb`, `json` or `text`, read as text. The tables of a run lie in schema `varve_history`.
 *
 * Reading takes no lock on rows: what changes between reading and writing is seen by its digest. Only what is written is
 * locked, for the length of its batch, and rows that others hold are passed over.
 */
import { refusal, VarveError } from '../../../base/index.ts';
import { ok, refused, type Result } from '../../result.ts';
import { countsOf, type CountRow } from './counts.ts';
import type {
  BuiltDocument,
  CutOver,
  DocumentTable,
  Due,
  KeptDocument,
  RowKey,
  UnsettledDocument,
  WorkState,
} from './document-table.ts';
import { quoted, type SqlParameter, type SqlSession, type SqlStore } from './sql-session.ts';
import { heldBy, otherPlan } from './work-finding.ts';
import { workNames } from './work-name.ts';

/** Which column, and what identifies its rows. */
export interface ColumnPlace {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
}

interface Shape {
  readonly type: string;
  readonly keys: readonly { readonly name: string; readonly type: string }[];
}

const HISTORY = 'varve_history';
const WORK = quoted(HISTORY, 'document_work');
const TYPES = ['jsonb', 'json', 'text', 'character varying'];

/** The verbs of a column. Refuses where there is no such column, its type holds no documents, or rows have no primary key. */
export async function postgresTable(store: SqlStore, place: ColumnPlace): Promise<Result<DocumentTable>> {
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

/** Pieces of statements over one column. */
interface Parts {
  readonly source: string;
  readonly column: string;
  readonly type: string;
  readonly keys: Shape['keys'];
  readonly names: readonly string[];
  readonly text: string;
  readonly digest: string;
  readonly keyOf: (alias: string) => string;
  readonly sameKey: (left: string, right: string) => string;
  readonly keysOf: (alias: string) => string;
}

function partsOf(place: ColumnPlace, { type, keys }: Shape): Parts {
  const names = keys.map((_, at) => `k${at + 1}`);
  const column = quoted(place.column);
  const columnIn = (alias: string, at: number): string =>
    alias === 't' ? `t.${quoted(keys[at]?.name ?? '')}` : `${alias}.${names[at] ?? ''}`;
  const list = (alias: string): readonly string[] => names.map((_, at) => columnIn(alias, at));
  return {
    source: quoted(place.schema, place.table),
    column,
    type,
    keys,
    names,
    text: `t.${column}::text`,
    digest: `sha256(convert_to(t.${column}::text, 'UTF8'))`,
    keyOf: (alias) =>
      `jsonb_build_array(${list(alias)
        .map((each) => `${each}::text`)
        .join(', ')})::text`,
    keysOf: (alias) => list(alias).join(', '),
    sameKey: (left, right) =>
      names.map((_, at) => `${columnIn(left, at)} = ${columnIn(right, at)}`).join(' and '),
  };
}

function tableOf(store: SqlStore, place: ColumnPlace, name: string, shape: Shape): DocumentTable {
  const parts = partsOf(place, shape);
  const builtOf = (run: string): string => quoted(HISTORY, workNames(run).built);
  const keptOf = (run: string): string => quoted(HISTORY, workNames(run).kept);
  const inside = <T>(
    session: SqlSession | undefined,
    work: (session: SqlSession) => Promise<T>,
  ): Promise<T> => (session === undefined ? store.transaction({}, work) : work(session));
  const reading = <T>(
    session: SqlSession | undefined,
    work: (session: SqlSession) => Promise<T>,
  ): Promise<T> => (session === undefined ? store.transaction({ isReadOnly: true }, work) : work(session));
  return {
    place: name,
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
    keep: (run, built, state) => keepAll(store, parts, { built: builtOf(run), run }, built, state),
    cutOver: (run, due) =>
      store.transaction({}, (session) =>
        cutOver(session, parts, { built: builtOf(run), kept: keptOf(run) }, due),
      ),
    unsettled: (run, limit, session) =>
      reading(session, (open) => unsettled(open, parts, builtOf(run), limit)),
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
    kept: (run, after, limit, session) =>
      reading(session, (open) => keptDocuments(open, parts, keptOf(run), after, limit)),
    restore: (run, session) => restore(session, parts, keptOf(run)),
    tidy: (run, session) =>
      inside(session, async (open) => {
        await open.query(`drop table if exists ${builtOf(run)}`);
      }),
    forget: async (run, session) => {
      const [row] = await session.query<{ rows: number }>(`select count(*)::int as rows from ${keptOf(run)}`);
      await session.query(`drop table if exists ${builtOf(run)}`);
      await session.query(`drop table ${keptOf(run)}`);
      await session.query(`delete from ${WORK} where run = $1`, [run]);
      return row?.rows ?? 0;
    },
  };
}

type WorkRow = { plan: string; now: string; at: string | null; is_built: boolean };

function stateOf({ now, at, is_built: isBuilt }: WorkRow): WorkState {
  return { now, place: at ?? undefined, isBuilt };
}

async function makeTables(
  session: SqlSession,
  { source, keys, names }: Parts,
  { built, kept }: { readonly built: string; readonly kept: string },
): Promise<void> {
  const columns = keys.map(({ type }, at) => `${names[at] ?? ''} ${type} not null`).join(', ');
  await session.query(`create schema if not exists ${quoted(HISTORY)}`);
  await session.query(
    `create table if not exists ${WORK} (run text primary key, place text not null, plan text not null,
       now text not null, holder text not null, done_to text, is_built boolean not null default false)`,
  );
  await session.query(
    `create table if not exists ${built} (${columns}, was bytea not null, status text not null, text text, written bytea,
       from_version text, path text, is_lossy boolean not null, assumed integer not null, beside text, findings text,
       primary key (${names.join(', ')}))`,
  );
  await session.query(
    `create table if not exists ${kept} (seq bigint generated always as identity primary key, ${columns},
       original text not null, written bytea not null, from_version text, path text, beside text)`,
  );
  await session.query(
    `create index if not exists ${quoted(`${kept.slice(kept.lastIndexOf('.') + 2, -1)}_key`)} on ${kept} (${names.join(', ')}, seq)`,
  );
  await session.query(`comment on table ${kept} is 'originals of ${source.replaceAll("'", "''")}'`);
}

/** Rows behind a key, which `keyValues` gives the parameters of: the first ones. */
function behind({ keys, keysOf }: Parts, alias: string, after: RowKey | undefined): string {
  if (after === undefined) return '';
  return `and (${keysOf(alias)}) > (${keys.map(({ type }, at) => `$${at + 1}::${type}`).join(', ')})`;
}

function keyValues(after: RowKey | undefined): readonly SqlParameter[] {
  return after === undefined ? [] : partsOfKey(after);
}

function partsOfKey(key: RowKey): readonly string[] {
  return JSON.parse(key) as readonly string[];
}

/** The keys as one array for each of their columns. */
function keyArrays({ keys }: Parts, all: readonly RowKey[]): readonly (readonly string[])[] {
  const split = all.map(partsOfKey);
  return keys.map((_, at) => split.map((parts) => parts[at] ?? ''));
}

async function keepAll(
  store: SqlStore,
  parts: Parts,
  to: { readonly built: string; readonly run: string },
  documents: readonly BuiltDocument[],
  state: Omit<WorkState, 'now'> | undefined,
): Promise<void> {
  try {
    await store.transaction({}, (session) => keep(session, parts, to, documents, state));
  } catch (error) {
    // What JSON can say and the column's type cannot hold, such as NUL in jsonb: found by halves, and quarantined.
    if (!store.isBadValue(error)) throw error;
    const [only] = documents;
    if (documents.length === 1 && only !== undefined) {
      return keepAll(store, parts, to, [unstorable(only)], state);
    }
    const half = Math.ceil(documents.length / 2);
    await keepAll(store, parts, to, documents.slice(0, half), undefined);
    await keepAll(store, parts, to, documents.slice(half), state);
  }
}

function unstorable(document: BuiltDocument): BuiltDocument {
  if (document.status === 'quarantined') {
    throw new VarveError('internal', { hint: 'Report this: a document in quarantine cannot be noted.' });
  }
  const finding = refusal('document_result_invalid', 'column', {
    detail: { reason: 'type_of_column' },
    hint: 'The type of the column cannot hold the migrated document; correct the step.',
  });
  return {
    ...document,
    status: 'quarantined',
    text: null,
    isLossy: false,
    assumed: 0,
    beside: null,
    findings: JSON.stringify([finding]),
  };
}

async function keep(
  session: SqlSession,
  parts: Parts,
  { built, run }: { readonly built: string; readonly run: string },
  documents: readonly BuiltDocument[],
  state: Omit<WorkState, 'now'> | undefined,
): Promise<void> {
  if (documents.length > 0) {
    const { keys, names, type } = parts;
    const at = keys.length;
    const of = (pick: (document: BuiltDocument) => string | null): readonly (string | null)[] =>
      documents.map(pick);
    const arrays = Array.from({ length: at + 9 }, (_, index) => `$${index + 1}::text[]`).join(', ');
    const rest = [
      'was',
      'status',
      'text',
      'from_version',
      'path',
      'is_lossy',
      'assumed',
      'beside',
      'findings',
    ];
    const columns = [
      ...names,
      'was',
      'status',
      'text',
      'written',
      'from_version',
      'path',
      'is_lossy',
      'assumed',
      'beside',
      'findings',
    ];
    await session.query(
      `insert into ${built} (${columns.join(', ')})
       select ${keys.map(({ type: keyType }, index) => `u.${names[index] ?? ''}::${keyType}`).join(', ')},
         decode(u.was, 'hex'), u.status, u.text, sha256(convert_to(u.text::${type}::text, 'UTF8')), u.from_version, u.path,
         u.is_lossy::boolean, u.assumed::integer, u.beside, u.findings
       from unnest(${arrays}) as u(${[...names, ...rest].join(', ')})
       on conflict (${names.join(', ')}) do update set ${columns
         .slice(at)
         .map((name) => `${name} = excluded.${name}`)
         .join(', ')}`,
      [
        ...keyArrays(
          parts,
          documents.map(({ key }) => key),
        ),
        of(({ was }) => was),
        of(({ status }) => status),
        of(({ text }) => text),
        of(({ from }) => from),
        of(({ path }) => path),
        of(({ isLossy }) => String(isLossy)),
        of(({ assumed }) => String(assumed)),
        of(({ beside }) => beside),
        of(({ findings }) => findings),
      ],
    );
  }
  if (state === undefined) return;
  await session.query(`update ${WORK} set done_to = $2, is_built = $3 where run = $1`, [
    run,
    state.place ?? null,
    state.isBuilt,
  ]);
}

async function cutOver(
  session: SqlSession,
  parts: Parts,
  { built, kept }: { readonly built: string; readonly kept: string },
  due: Due,
): Promise<CutOver> {
  const { source, column, type, names, digest, keysOf, keyOf, sameKey, keys } = parts;
  const own = names.join(', ');
  const wanted =
    'keys' in due
      ? `join unnest(${keys.map((_, at) => `$${at + 1}::text[]`).join(', ')}) as u(${own})
           on ${keys.map(({ type: keyType }, at) => `b.${names[at] ?? ''} = u.${names[at] ?? ''}::${keyType}`).join(' and ')}
         where b.status = 'migrated'`
      : `where b.status = 'migrated' ${behind(parts, 'b', due.after)} order by ${keysOf('b')} limit ${due.limit}`;
  const [row] = await session.query<{ seen: number; written: number; last: string | null }>(
    `with due as materialized (select b.* from ${built} b ${wanted}),
     held as materialized (
       select ${keysOf('d')}, t.${column}::text as original, d.text, d.written, d.from_version, d.path, d.beside
       from due d join ${source} t on ${sameKey('t', 'd')} where ${digest} = d.was for update of t skip locked),
     originals as (
       insert into ${kept} (${own}, original, written, from_version, path, beside)
       select ${own}, original, written, from_version, path, beside from held),
     changed as (
       update ${source} t set ${column} = h.text::${type} from held h where ${sameKey('t', 'h')} returning 1)
     select (select count(*) from due)::int as seen, (select count(*) from changed)::int as written,
       (select ${keyOf('d')} from due d order by ${names.map((name) => `d.${name} desc`).join(', ')} limit 1) as last`,
    'keys' in due ? keyArrays(parts, due.keys) : keyValues(due.after),
  );
  return { seen: row?.seen ?? 0, written: row?.written ?? 0, last: row?.last ?? undefined };
}

function unsettled(
  session: SqlSession,
  { source, column, text, digest, keyOf, keysOf, sameKey }: Parts,
  built: string,
  limit: number,
): Promise<readonly UnsettledDocument[]> {
  return session.query<{ key: string; text: string; isDue: boolean }>(
    `select ${keyOf('t')} as key, ${text} as text, coalesce(b.status = 'migrated' and ${digest} = b.was, false) as "isDue"
     from ${source} t left join ${built} b on ${sameKey('t', 'b')}
     where t.${column} is not null
       and not coalesce(${digest} = case when b.status = 'migrated' then b.written else b.was end, false)
     order by ${keysOf('t')} limit ${limit}`,
  );
}

/** The newest original of each document: where one was replaced twice, what stood there before the last time. */
function keptDocuments(
  session: SqlSession,
  parts: Parts,
  kept: string,
  after: RowKey | undefined,
  limit: number,
): Promise<readonly KeptDocument[]> {
  const { source, text, digest, keyOf, keysOf, sameKey } = parts;
  return session.query<{
    key: string;
    text: string | null;
    original: string;
    from: string | null;
    beside: string | null;
    isOurs: boolean;
  }>(
    `select ${keyOf('h')} as key, ${text} as text, h.original, h.from_version as "from", h.beside,
       coalesce(${digest} = h.written, false) as "isOurs"
     from (select distinct on (${keysOf('k')}) k.* from ${kept} k where true ${behind(parts, 'k', after)}
       order by ${keysOf('k')}, k.seq desc limit ${limit}) h
     left join ${source} t on ${sameKey('t', 'h')} order by ${keysOf('h')}`,
    keyValues(after),
  );
}

async function restore(
  session: SqlSession,
  { source, column, type, digest, keysOf, sameKey }: Parts,
  kept: string,
): Promise<{ restored: number; changed: number }> {
  const there = await session.query(`select 1 where to_regclass($1) is not null`, [kept]);
  if (there.length === 0) return { restored: 0, changed: 0 };
  const newest = `(select distinct on (${keysOf('k')}) k.* from ${kept} k order by ${keysOf('k')}, k.seq desc)`;
  const [row] = await session.query<{ restored: number; changed: number }>(
    `with newest as materialized ${newest},
     back as (
       update ${source} t set ${column} = h.original::${type} from newest h
       where ${sameKey('t', 'h')} and ${digest} = h.written returning 1)
     select (select count(*) from back)::int as restored,
       (select count(*) from newest h join ${source} t on ${sameKey('t', 'h')}
        where ${digest} is distinct from h.written)::int as changed`,
  );
  return row ?? { restored: 0, changed: 0 };
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

/**
 * A column of SQLite, read as text. The tables of a run lie in the same file, so that what is written for a document and
 * its original are one transaction. SQLite has one writer: a batch holds the file for its length and no longer.
 */
import { resolve } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { refusal, VarveError } from '../../../base/index.ts';
import { ok, refused, type Result } from '../../result.ts';
import { lockOutput } from '../output-lock.ts';
import { textDigest } from './build-document.ts';
import { countsOf, type CountRow } from './counts.ts';
import type {
  BuiltDocument,
  CutOver,
  DocumentTable,
  Due,
  RowKey,
  UnsettledDocument,
  WorkState,
} from './document-table.ts';
import { quoted } from './sql-session.ts';
import { otherPlan } from './work-finding.ts';
import { workNames } from './work-name.ts';

/** Which column of which file. */
export interface SqlitePlace {
  readonly file: string;
  readonly table: string;
  readonly column: string;
}

/** A column of SQLite, to be closed. */
export type SqliteTable = DocumentTable & Disposable;

interface Parts {
  readonly source: string;
  readonly column: string;
  readonly keys: readonly { readonly name: string; readonly type: string }[];
  readonly names: readonly string[];
}

/** Runs statements of one file. */
interface Connection {
  readonly rows: (text: string, ...values: readonly SQLInputValue[]) => readonly unknown[];
  readonly run: (text: string, ...values: readonly SQLInputValue[]) => number;
  /** Committed when the work returns, aborted when it throws. */
  readonly transaction: <T>(work: () => T) => T;
  readonly close: () => void;
}

const WORK = 'varve_document_work';

/** The verbs of a column. Refuses where there is no such column, or it holds something else than text. */
export function sqliteTable(
  place: SqlitePlace,
  options: { readonly maxPages?: number } = {},
): Result<SqliteTable> {
  const file = resolve(place.file);
  const name = `${place.file}#${place.table}.${place.column}`;
  const open = connect(file, options.maxPages);
  const columns = open.rows('select name, type, pk from pragma_table_info(?)', place.table) as readonly {
    name: string;
    type: string;
    pk: number;
  }[];
  const reason = columns.some((column) => column.name === place.column)
    ? foreignValues(open, place)
    : 'no_such_column';
  if (reason !== undefined) {
    open.close();
    const hint = 'Name a column that holds JSON as text, as FILE#table.column.';
    return refused(refusal('document_store_unusable', name, { detail: { reason }, hint }));
  }
  const named = columns.filter(({ pk }) => pk > 0).toSorted((left, right) => left.pk - right.pk);
  const keys = named.length > 0 ? named : [{ name: 'rowid', type: 'integer', pk: 1 }];
  const parts: Parts = {
    source: quoted(place.table),
    column: quoted(place.column),
    keys,
    names: keys.map((_, at) => `k${at + 1}`),
  };
  return ok(tableOf(open, file, name, parts));
}

/** What is no text would be passed over in silence. */
function foreignValues(open: Connection, { table, column }: SqlitePlace): string | undefined {
  const [found] = open.rows(
    `select 1 from ${quoted(table)} where typeof(${quoted(column)}) not in ('text', 'null') limit 1`,
  );
  return found === undefined ? undefined : 'type';
}

/** What SQLite says where the disk, or the file's own bound, is full. */
const FULL = 13;

function connect(file: string, maxPages: number | undefined): Connection {
  const db = new DatabaseSync(file, { timeout: 10_000 });
  if (maxPages !== undefined) db.exec(`pragma max_page_count = ${maxPages}`);
  db.function('varve_sha256', { deterministic: true }, (text) => textDigest(String(text)));
  const guard = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      if ((cause as { errcode?: number }).errcode !== FULL) throw cause;
      throw new VarveError('database_full', {
        detail: { subject: file },
        hint: 'Make room, then run again to go on: what was written is whole.',
        cause,
      });
    }
  };
  return {
    rows: (text, ...values) => guard(() => db.prepare(text).all(...values)),
    run: (text, ...values) => guard(() => Number(db.prepare(text).run(...values).changes)),
    transaction: (work) =>
      guard(() => {
        db.exec('begin immediate');
        try {
          const result = work();
          db.exec('commit');
          return result;
        } catch (error) {
          // A full disk aborts by itself.
          if (db.isTransaction) db.exec('rollback');
          throw error;
        }
      }),
    close: () => db.close(),
  };
}

function tableOf(open: Connection, file: string, place: string, parts: Parts): SqliteTable {
  const names = (run: string): Names => {
    const { built, kept } = workNames(run);
    return { built: quoted(`varve_${built}`), kept: quoted(`varve_${kept}`) };
  };
  const { source, column } = parts;
  return {
    place,
    lock: async () => lockOutput(`${file}.varve`),
    open: ({ run, plan, now, holder }) =>
      promised(() =>
        open.transaction(() => {
          makeTables(open, parts, names(run));
          open.run(
            `insert into ${WORK} (run, place, plan, now, holder) values (?, ?, ?, ?, ?)
             on conflict (run) do update set holder = excluded.holder`,
            run,
            place,
            plan,
            now,
            holder,
          );
          const [row] = open.rows(
            `select plan, now, done_to, is_built from ${WORK} where run = ?`,
            run,
          ) as readonly WorkRow[];
          return row === undefined || row.plan !== plan ? refused(otherPlan(place)) : ok(stateOf(row));
        }),
      ),
    page: (after, limit) =>
      promised(
        () =>
          open.rows(
            `select ${keyOf(parts, 't')} as key, t.${column} as text from ${source} t
           where t.${column} is not null ${behind(parts, 't', after)} order by ${keysOf(parts, 't')} limit ${limit}`,
            ...keyValues(after),
          ) as readonly { key: string; text: string }[],
      ),
    keep: (run, built, state) =>
      promised(() => open.transaction(() => keep(open, parts, { run, ...names(run) }, built, state))),
    cutOver: (run, due) => promised(() => open.transaction(() => cutOver(open, parts, names(run), due))),
    unsettled: (run, limit, { isStale = false } = {}) =>
      promised(() => unsettled(open, parts, names(run), { limit, isStale })),
    quarantined: (run, limit) =>
      promised(
        () =>
          open.rows(
            `select ${keyOf(parts, 'b')} as key, b.findings from ${names(run).built} b where b.status = 'quarantined'
             order by ${keysOf(parts, 'b')} limit ${limit}`,
          ) as readonly { key: string; findings: string }[],
      ),
    counts: (run) =>
      promised(() =>
        countsOf(
          open.rows(
            `select status, path, count(*) as documents, sum(is_lossy) as lossy, sum(assumed) as assumed
             from ${names(run).built} group by status, path order by status, path`,
          ) as readonly CountRow[],
        ),
      ),
    writers: () => Promise.resolve([]),
    tidy: (run) =>
      promised(() => {
        open.run(`drop table if exists ${names(run).built}`);
      }),
    [Symbol.dispose]: () => open.close(),
  };
}

/** What is done at once, as the port has it. */
function promised<T>(work: () => T): Promise<T> {
  return new Promise((settle) => {
    settle(work());
  });
}

interface Names {
  readonly built: string;
  readonly kept: string;
}

interface WorkRow {
  readonly plan: string;
  readonly now: string;
  readonly done_to: string | null;
  readonly is_built: number;
}

function stateOf({ now, done_to: at, is_built: isBuilt }: WorkRow): WorkState {
  return { now, place: at ?? undefined, isBuilt: isBuilt === 1 };
}

function makeTables(open: Connection, { keys, names }: Parts, { built, kept }: Names): void {
  const columns = keys.map(({ type }, at) => `${names[at] ?? ''} ${type} not null`).join(', ');
  open.run(
    `create table if not exists ${WORK} (run text primary key, place text not null, plan text not null, now text not null,
       holder text not null, done_to text, is_built integer not null default 0)`,
  );
  open.run(
    `create table if not exists ${built} (${columns}, was text not null, status text not null, text text, written text,
       from_version text, path text, is_lossy integer not null, assumed integer not null, beside text, findings text,
       primary key (${names.join(', ')})) without rowid`,
  );
  open.run(
    `create table if not exists ${kept} (seq integer primary key autoincrement, ${columns}, original text not null,
       written text not null, from_version text, path text, beside text)`,
  );
  open.run(
    `create index if not exists ${quoted(`${kept.slice(1, -1)}_key`)} on ${kept} (${names.join(', ')}, seq)`,
  );
}

function columnsIn({ keys, names }: Parts, alias: string): readonly string[] {
  return keys.map(({ name }, at) => (alias === 't' ? `t.${quoted(name)}` : `${alias}.${names[at] ?? ''}`));
}

function keysOf(parts: Parts, alias: string): string {
  return columnsIn(parts, alias).join(', ');
}

/** The key as JSON, in which numbers stay numbers and text stays text. */
function keyOf(parts: Parts, alias: string): string {
  return `json_array(${keysOf(parts, alias)})`;
}

function sameKey(parts: Parts, left: string, right: string): string {
  const [a, b] = [columnsIn(parts, left), columnsIn(parts, right)];
  return a.map((each, at) => `${each} = ${b[at] ?? ''}`).join(' and ');
}

/** Rows behind a key, which `keyValues` gives the parameter of. */
function behind(parts: Parts, alias: string, after: RowKey | undefined): string {
  if (after === undefined) return '';
  const values = parts.keys.map((_, at) => `json_extract(?1, '$[${at}]')`);
  return `and (${keysOf(parts, alias)}) > (${values.join(', ')})`;
}

function keyValues(after: RowKey | undefined): readonly string[] {
  return after === undefined ? [] : [after];
}

/** A list of keys as rows `u`, from the parameter. */
function keyList({ names }: Parts): string {
  const columns = names.map((name, at) => `json_extract(value, '$[${at}]') as ${name}`);
  return `(select ${columns.join(', ')} from json_each(?1)) u`;
}

function keep(
  open: Connection,
  { names }: Parts,
  { run, built }: Names & { readonly run: string },
  documents: readonly BuiltDocument[],
  state: Omit<WorkState, 'now'> | undefined,
): void {
  if (documents.length > 0) {
    const columns = [
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
    const fields = [
      'was',
      'status',
      'text',
      'written',
      'from',
      'path',
      'isLossy',
      'assumed',
      'beside',
      'findings',
    ];
    const rows = documents.map((document) => ({
      ...document,
      key: undefined,
      written: document.text === null ? null : textDigest(document.text),
    }));
    // The keys go as they came: a number of theirs may be larger than JavaScript can hold.
    const text = `[${documents.map(({ key }, at) => `{"key":${key},"row":${JSON.stringify(rows[at])}}`).join(',')}]`;
    open.run(
      `insert into ${built} (${[...names, ...columns].join(', ')})
       select ${names.map((_, at) => `json_extract(value, '$.key[${at}]')`).join(', ')},
         ${fields.map((field) => `json_extract(value, '$.row.${field}')`).join(', ')}
       from json_each(?) where true
       on conflict (${names.join(', ')}) do update set ${columns.map((name) => `${name} = excluded.${name}`).join(', ')}`,
      text,
    );
  }
  if (state === undefined) return;
  open.run(
    `update ${WORK} set done_to = ?, is_built = ? where run = ?`,
    state.place ?? null,
    state.isBuilt ? 1 : 0,
    run,
  );
}

function cutOver(open: Connection, parts: Parts, { built, kept }: Names, due: Due): CutOver {
  const { source, column, names } = parts;
  const keys =
    'keys' in due
      ? due.keys
      : (
          open.rows(
            `select ${keyOf(parts, 'b')} as key from ${built} b where b.status = 'migrated' ${behind(parts, 'b', due.after)}
             order by ${keysOf(parts, 'b')} limit ${due.limit}`,
            ...keyValues(due.after),
          ) as readonly { key: string }[]
        ).map(({ key }) => key);
  if (keys.length === 0) return { seen: 0, written: 0, last: undefined };
  const list = `[${keys.join(',')}]`;
  const own = names.join(', ');
  open.run(
    `insert into ${kept} (${own}, original, written, from_version, path, beside)
     select ${keysOf(parts, 'b')}, t.${column}, b.written, b.from_version, b.path, b.beside
     from ${keyList(parts)} join ${built} b on ${sameKey(parts, 'b', 'u')} join ${source} t on ${sameKey(parts, 't', 'b')}
     where b.status = 'migrated' and varve_sha256(t.${column}) = b.was order by ${keysOf(parts, 'b')}`,
    list,
  );
  const written = open.run(
    `update ${source} as t set ${column} = b.text from ${keyList(parts)} join ${built} b on ${sameKey(parts, 'b', 'u')}
     where ${sameKey(parts, 't', 'b')} and b.status = 'migrated' and varve_sha256(t.${column}) = b.was`,
    list,
  );
  return { seen: keys.length, written, last: keys.at(-1) };
}

function unsettled(
  open: Connection,
  parts: Parts,
  { built }: Names,
  { limit, isStale }: { readonly limit: number; readonly isStale: boolean },
): readonly UnsettledDocument[] {
  const { source, column } = parts;
  const digest = `varve_sha256(t.${column})`;
  const isDue = `coalesce(b.status = 'migrated' and ${digest} = b.was, 0)`;
  const rows = open.rows(
    `select ${keyOf(parts, 't')} as key, t.${column} as text,
       ${isDue} as isDue
     from ${source} t left join ${built} b on ${sameKey(parts, 't', 'b')}
     where t.${column} is not null ${isStale ? `and not ${isDue}` : ''}
       and not coalesce(${digest} = case when b.status = 'migrated' then b.written else b.was end, 0)
     order by ${keysOf(parts, 't')} limit ${limit}`,
  ) as readonly { key: string; text: string; isDue: number }[];
  return rows.map(({ key, text, isDue }) => ({ key, text, isDue: isDue === 1 }));
}

/**
 * A column of SQLite, read as text. The tables of a run lie in the same file, so that what is written for a document and
 * its original are one transaction. SQLite has one writer: a batch holds the file for its length and no longer.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { refusal, type Finding } from '../../../base/index.ts';
import { ok, refused, type Result } from '../../result.ts';
import { lockOutput } from '../output-lock.ts';
import { countsOf, type CountRow } from './counts.ts';
import type { GovernedTable, WorkState } from './document-table.ts';
import { quoted } from './sql-session.ts';
import { connect, type Connection } from './sqlite-connection.ts';
import { cutOver, keep, unsettled } from './sqlite-cut-over.ts';
import { historyVerbs, type StateSums } from './sqlite-history.ts';
import {
  behind,
  keyOf,
  keysOf,
  keyValues,
  promised,
  WORK,
  type Parts,
  type WorkTables,
} from './sqlite-part.ts';
import { otherPlan } from './work-finding.ts';
import { workNames } from './work-name.ts';

/** Which column of which file. */
export interface SqlitePlace {
  readonly file: string;
  readonly table: string;
  readonly column: string;
  /** How findings call the file; default its path. */
  readonly named?: string;
}

/** A column of SQLite, to be closed. */
export type SqliteTable = GovernedTable & StateSums & Disposable;

/** The verbs of a column. Refuses where there is no such column, or it holds something else than text. */
export function sqliteTable(
  place: SqlitePlace,
  options: { readonly maxPages?: number } = {},
): Result<SqliteTable> {
  const file = resolve(place.file);
  const name = `${place.named ?? place.file}#${place.table}.${place.column}`;
  // SQLite would make a file that is not there.
  if (!existsSync(file)) return refused(unusable(name, 'no_such_file'));
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
    return refused(unusable(name, reason));
  }
  const named = columns.filter(({ pk }) => pk > 0).toSorted((left, right) => left.pk - right.pk);
  const keys = named.length > 0 ? named : [{ name: 'rowid', type: 'integer', pk: 1 }];
  const parts: Parts = {
    table: place.table,
    source: quoted(place.table),
    column: quoted(place.column),
    keys,
    names: keys.map((_, at) => `k${at + 1}`),
  };
  return ok(tableOf(open, file, name, parts));
}

function unusable(name: string, reason: string): Finding {
  const hint = 'Name a column that holds JSON as text, as FILE#table.column.';
  return refusal('document_store_unusable', name, { detail: { reason }, hint });
}

/** What is no text would be passed over in silence. */
function foreignValues(open: Connection, { table, column }: SqlitePlace): string | undefined {
  const [found] = open.rows(
    `select 1 from ${quoted(table)} where typeof(${quoted(column)}) not in ('text', 'null') limit 1`,
  );
  return found === undefined ? undefined : 'type';
}

function tableOf(open: Connection, file: string, place: string, parts: Parts): SqliteTable {
  const names = (run: string): WorkTables => {
    const { built, kept, left } = workNames(run);
    return { built: quoted(`varve_${built}`), kept: quoted(`varve_${kept}`), left: quoted(`varve_${left}`) };
  };
  const { source, column } = parts;
  return {
    place,
    shape: { type: 'text', keys: parts.keys.map(({ name, type }) => ({ name, type })) },
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
    unsettled: (run, limit, { of, isStale = false } = {}) =>
      promised(() => {
        const kept = of === undefined ? undefined : names(of).kept;
        return unsettled(open, parts, { built: names(run).built, kept }, { limit, isStale });
      }),
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
    ...historyVerbs(open, parts, { place, named: names }),
    [Symbol.dispose]: () => open.close(),
  };
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

function makeTables(open: Connection, { keys, names }: Parts, { built, kept }: WorkTables): void {
  const columns = keys.map(({ type }, at) => `${names[at] ?? ''} ${type} not null`).join(', ');
  open.run(
    `create table if not exists ${WORK} (run text primary key, place text not null, plan text not null, now text not null,
       holder text not null, readers text, done_to text, is_built integer not null default 0)`,
  );
  open.run(
    `create table if not exists ${built} (${columns}, was text not null, status text not null, text text, written text,
       from_version text, path text, is_lossy integer not null, assumed integer not null, beside text, findings text,
       is_late integer not null, primary key (${names.join(', ')})) without rowid`,
  );
  open.run(
    `create table if not exists ${kept} (seq integer primary key autoincrement, ${columns}, original text not null,
       written text not null, from_version text, path text, beside text)`,
  );
  open.run(
    `create index if not exists ${quoted(`${kept.slice(1, -1)}_key`)} on ${kept} (${names.join(', ')}, seq)`,
  );
}

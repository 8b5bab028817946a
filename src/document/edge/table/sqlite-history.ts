/** What a run leaves in SQLite, the ways back from it, and what readers write back. */
import { createHash } from 'node:crypto';
import type { Digest } from '../../../evidence/index.ts';
import type {
  BuiltDocument,
  DocumentTable,
  EditedDocument,
  GovernedTable,
  RowKey,
  StoredDocument,
  WorkStart,
} from './document-table.ts';
import type { Connection } from './sqlite-connection.ts';
import { cutOver, keep } from './sqlite-cut-over.ts';
import {
  behind,
  keyOf,
  keysOf,
  keyValues,
  newestOf,
  promised,
  sameKey,
  WORK,
  type Parts,
  type WorkTables,
} from './sqlite-part.ts';

/** The verbs that only a governed column has, and letting go. */
type HistoryVerbs = Omit<GovernedTable, Exclude<keyof DocumentTable, 'tidy'> | 'shape'> & StateSums;

/** Digests of what is there and of what a run has read, made alike. */
export interface StateSums {
  readonly stateSum: () => Promise<StateSum>;
  readonly readSum: (run: string) => Promise<StateSum>;
}

/** Of documents by key and SHA-256 of their text; in any order. */
export interface StateSum {
  readonly rows: number;
  readonly digest: Digest;
}

/** The verbs of a column that have to do with what runs left, and with its readers. */
export function historyVerbs(
  open: Connection,
  parts: Parts,
  { place, named }: { readonly place: string; readonly named: (run: string) => WorkTables },
): HistoryVerbs {
  const closeForReaders = (run: string): void => {
    if (isThere(open, WORK))
      open.run(`update ${WORK} set readers = 'closed' where run = ? and readers = 'open'`, run);
  };
  return {
    read: (key) => promised(() => read(open, parts, key)),
    setReaders: (run, isOpen) =>
      promised(() => {
        const state = isOpen ? 'open' : 'closed';
        return (
          open.run(
            `update ${WORK} set readers = ?1 where run = ?2 and readers is not ?1 and (?1 = 'closed' or readers is null)`,
            state,
            run,
          ) > 0
        );
      }),
    openForReaders: () => promised(() => openRun(open, place)),
    writeBack: (run, built) =>
      promised(() => open.transaction(() => writeBack(open, parts, { run, ...named(run) }, built))),
    edited: (of, after, limit) => promised(() => edited(open, parts, named(of).kept, { after, limit })),
    keepOriginals: (run, of) =>
      promised(() => open.transaction(() => keepOriginals(open, parts, named(run).built, named(of).kept))),
    writtenMeanwhile: (run) => promised(() => writtenMeanwhile(open, parts, named(run).built)),
    writtenSince: (of, back) => promised(() => writtenSince(open, parts, named(of), named(back).built)),
    restoreBeside: (run) =>
      promised(() => {
        open.transaction(() => closeForReaders(run));
        restore(open, parts, named(run).kept);
      }),
    restore: (run) =>
      promised(() => {
        open.transaction(() => closeForReaders(run));
        return restore(open, parts, named(run).kept);
      }),
    tidy: (run, isDone) =>
      promised(() =>
        open.transaction(() => {
          tidy(open, parts, named(run), isDone);
          closeForReaders(run);
        }),
      ),
    keptDocuments: (run) =>
      promised(() => {
        const { kept } = named(run);
        if (!isThere(open, kept)) return undefined;
        return countOf(
          open,
          `select count(*) as rows from (select distinct ${parts.names.join(', ')} from ${kept})`,
        );
      }),
    forget: (run) =>
      promised(() =>
        open.transaction(() => {
          for (const table of Object.values(named(run))) open.run(`drop table if exists ${table}`);
          if (isThere(open, WORK)) open.run(`delete from ${WORK} where run = ?`, run);
        }),
      ),
    stateSum: () =>
      promised(() =>
        sumOf(
          open.each(
            `select ${keyOf(parts, 't')} as key, varve_sha256(t.${parts.column}) as was from ${parts.source} t
             where t.${parts.column} is not null`,
          ),
        ),
      ),
    readSum: (run) =>
      promised(() =>
        sumOf(open.each(`select ${keyOf(parts, 'b')} as key, b.was from ${named(run).built} b`)),
      ),
    triggers: () =>
      promised(() =>
        (
          open.rows(
            `select name from sqlite_master where type = 'trigger' and tbl_name = ? order by name`,
            parts.table,
          ) as readonly { name: string }[]
        ).map(({ name }) => name),
      ),
  };
}

function isThere(open: Connection, table: string): boolean {
  const name = table.startsWith('"') ? table.slice(1, -1) : table;
  return open.rows(`select 1 from sqlite_master where type = 'table' and name = ?`, name).length > 0;
}

function countOf(open: Connection, query: string): number {
  const [row] = open.rows(query) as readonly { rows: number }[];
  return row?.rows ?? 0;
}

function read(open: Connection, parts: Parts, key: RowKey): StoredDocument | undefined {
  const { source, column, keys } = parts;
  const values = keys.map((_, at) => `json_extract(?1, '$[${at}]')`);
  const [row] = open.rows(
    `select ${keyOf(parts, 't')} as key, t.${column} as text from ${source} t
     where t.${column} is not null and (${keysOf(parts, 't')}) = (${values.join(', ')})`,
    key,
  ) as readonly StoredDocument[];
  return row;
}

function openRun(open: Connection, place: string): Pick<WorkStart, 'run' | 'plan' | 'now'> | undefined {
  if (!isThere(open, WORK)) return undefined;
  const [row] = open.rows(
    `select run, plan, now from ${WORK} where place = ? and readers = 'open' order by now desc limit 1`,
    place,
  ) as readonly Pick<WorkStart, 'run' | 'plan' | 'now'>[];
  return row;
}

/** The file is this transaction's from its beginning, so that the run is not closed for readers until it ends. */
function writeBack(
  open: Connection,
  parts: Parts,
  tables: WorkTables & { readonly run: string },
  document: BuiltDocument,
): boolean {
  if (open.rows(`select 1 from ${WORK} where run = ? and readers = 'open'`, tables.run).length === 0)
    return false;
  keep(open, parts, tables, [document], undefined);
  return cutOver(open, parts, tables, { keys: [document.key] }).written === 1;
}

function edited(
  open: Connection,
  parts: Parts,
  kept: string,
  { after, limit }: { readonly after: RowKey | undefined; readonly limit: number },
): readonly EditedDocument[] {
  const { source, column } = parts;
  return open.rows(
    `select ${keyOf(parts, 'h')} as key, t.${column} as text, h.original, h.from_version as "from", h.beside
     from ${newestOf(parts, kept, behind(parts, 'k', after))} h join ${source} t on ${sameKey(parts, 't', 'h')}
     where t.${column} is not null and varve_sha256(t.${column}) <> h.written order by ${keysOf(parts, 'h')} limit ${limit}`,
    ...keyValues(after),
  ) as readonly EditedDocument[];
}

function keepOriginals(open: Connection, parts: Parts, built: string, kept: string): number {
  const { source, column, names } = parts;
  const values = ['was', 'status', 'text', 'written', 'is_lossy', 'assumed', 'is_late'];
  return open.run(
    `insert into ${built} (${[...names, ...values].join(', ')})
     select ${keysOf(parts, 'h')}, h.written, 'migrated', h.original, varve_sha256(h.original), 0, 0, 0
     from ${newestOf(parts, kept)} h join ${source} t on ${sameKey(parts, 't', 'h')}
     where varve_sha256(t.${column}) = h.written
     on conflict (${names.join(', ')}) do update set ${values.map((name) => `${name} = excluded.${name}`).join(', ')}`,
  );
}

function writtenMeanwhile(open: Connection, parts: Parts, built: string): number {
  if (!isThere(open, built)) return 0;
  return countOf(
    open,
    `select (select count(*) from ${built} where is_late = 1)
       + (select count(*) from ${built} b
          where not exists (select 1 from ${parts.source} t where ${sameKey(parts, 't', 'b')})) as rows`,
  );
}

function writtenSince(
  open: Connection,
  parts: Parts,
  { kept, left }: WorkTables,
  back: string,
): { readonly rows: number; readonly gone: number } {
  const { source, column } = parts;
  const newest = newestOf(parts, kept);
  return {
    rows: countOf(
      open,
      `select (select count(*) from ${back} b join ${newest} h on ${sameKey(parts, 'b', 'h')} where b.was <> h.written)
         + (select count(*) from ${source} t left join ${left} l on ${sameKey(parts, 't', 'l')}
            where t.${column} is not null and l.digest is not varve_sha256(t.${column})
              and not exists (select 1 from ${kept} h where ${sameKey(parts, 't', 'h')})) as rows`,
    ),
    gone: countOf(
      open,
      `select count(*) as rows from ${left} l
       where not exists (select 1 from ${source} t where ${sameKey(parts, 't', 'l')})`,
    ),
  };
}

const RESTORED = 500;

/** In batches, so that nobody waits for all of it. May be done twice: an original that is back was not changed by others. */
function restore(
  open: Connection,
  parts: Parts,
  kept: string,
): { readonly restored: number; readonly changed: number } {
  if (!isThere(open, kept)) return { restored: 0, changed: 0 };
  const { source, column } = parts;
  const [end] = open.rows(`select max(seq) as seq from ${kept}`) as readonly { seq: number | null }[];
  let restored = 0;
  for (let from = 0; from < (end?.seq ?? 0); from += RESTORED) {
    const batch = `and k.seq > ${from} and k.seq <= ${from + RESTORED}`;
    restored += open.transaction(() =>
      open.run(
        `update ${source} as t set ${column} = h.original from ${newestOf(parts, kept, batch)} h
         where ${sameKey(parts, 't', 'h')} and varve_sha256(t.${column}) = h.written`,
      ),
    );
  }
  const changed = countOf(
    open,
    `select count(*) as rows from ${newestOf(parts, kept)} h join ${source} t on ${sameKey(parts, 't', 'h')}
     where t.${column} is not h.original`,
  );
  return { restored, changed };
}

function tidy(open: Connection, { keys, names }: Parts, { built, left }: WorkTables, isDone: boolean): void {
  if (isDone && isThere(open, built) && !isThere(open, left)) {
    const columns = keys.map(({ type }, at) => `${names[at] ?? ''} ${type} not null`).join(', ');
    open.run(
      `create table ${left} (${columns}, digest text not null, primary key (${names.join(', ')})) without rowid`,
    );
    open.run(
      `insert into ${left} select ${names.join(', ')}, case when status = 'migrated' then written else was end from ${built}`,
    );
  }
  open.run(`drop table if exists ${built}`);
}

const WORD = 2n ** 64n;

/** Two sums over words of each row's digest: the order of rows does not matter. */
function sumOf(rows: Iterable<unknown>): StateSum {
  let [count, first, second] = [0, 0n, 0n];
  for (const row of rows as Iterable<{ key: string; was: string }>) {
    const hash = createHash('sha256').update(`${row.key} ${row.was}`).digest();
    first = (first + hash.readBigUInt64LE(0)) % WORD;
    second = (second + hash.readBigUInt64LE(8)) % WORD;
    count += 1;
  }
  const digest = createHash('sha256').update(`${count} ${first} ${second}`).digest('hex');
  return { rows: count, digest: `sha256:${digest}` };
}

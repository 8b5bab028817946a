/**
 * Documents in a file of SQLite. Each batch is a transaction of that file with its originals; the ledger is elsewhere, so the
 * decision comes after the last of them, and a run that is not decided is taken back batch by batch as well.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { GovernedTable, SqliteTable } from '../document/edge/index.ts';
import type { DocumentState, SqliteSource } from '../migration/kind/document/index.ts';
import {
  boundOf,
  fenced,
  tableDocuments,
  tableOptions,
  type Opened,
  type Opening,
  type Within,
} from './document-work.ts';

/** The file that is meant: in a rehearsal a copy, made when it is first asked for. */
export async function sqliteOf({ projectDir, copies }: Within, { file }: SqliteSource): Promise<string> {
  const path = resolve(projectDir, file);
  if (copies === undefined || !existsSync(path)) return path;
  const copy = join(copies, `${createHash('sha256').update(path).digest('hex').slice(0, 16)}.sqlite`);
  if (existsSync(copy)) return copy;
  const { copySqlite } = await import('../document/edge/index.ts');
  await copySqlite(path, copy);
  return copy;
}

/** Opens them. */
export async function openSqlite(opening: Opening, source: SqliteSource): Promise<Opened> {
  const { sqliteTable, tableWork } = await import('../document/edge/index.ts');
  const { file: named, table, column } = source;
  const file = await sqliteOf(opening.within, source);
  const opened = sqliteTable({ file, named, table, column });
  if (opened.status === 'refused') return opened;
  const own = opened.value;
  const governed = fencedTable(opening, own);
  const work = tableWork(opening.model, governed, tableOptions(opening));
  return {
    status: 'ok',
    documents: {
      ...tableDocuments(governed, work),
      bound: boundOf(opening, work.typeDigest, { column: own.shape }),
      readDigest: async () => (await own.readSum(work.run)).digest,
      [Symbol.asyncDispose]: () => {
        own[Symbol.dispose]();
        return Promise.resolve();
      },
    },
  };
}

/** The verbs that write, held by the fence. */
function fencedTable(opening: Opening, table: SqliteTable): GovernedTable {
  return {
    ...table,
    open: (start) => fenced(opening, () => table.open(start)),
    keep: (run, built, state) => fenced(opening, () => table.keep(run, built, state)),
    cutOver: (run, due) => fenced(opening, () => table.cutOver(run, due)),
    setReaders: (run, isOpen) => fenced(opening, () => table.setReaders(run, isOpen)),
    keepOriginals: (run, of) => fenced(opening, () => table.keepOriginals(run, of)),
    restoreBeside: (run) => fenced(opening, () => table.restoreBeside(run)),
    tidy: (run, isDone) => fenced(opening, () => table.tidy(run, isDone)),
  };
}

/** Measures them; a file or column that is not there has none. */
export async function measureSqlite(file: string, source: SqliteSource): Promise<DocumentState> {
  const { sqliteTable } = await import('../document/edge/index.ts');
  const { file: named, table, column } = source;
  const opened = sqliteTable({ file, named, table, column });
  if (opened.status === 'refused') return { shape: null, tables: [] };
  using own = opened.value;
  const { rows, digest } = await own.stateSum();
  return { shape: own.shape, tables: [{ table: own.place, rows, digest }] };
}

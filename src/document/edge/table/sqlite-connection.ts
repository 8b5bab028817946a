/** One file of SQLite, opened. */
import { backup, DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { VarveError } from '../../../base/index.ts';
import { textDigest } from './build-document.ts';

/** Runs statements of one file. */
export interface Connection {
  readonly rows: (text: string, ...values: readonly SQLInputValue[]) => readonly unknown[];
  /** The same, one row after the other. */
  readonly each: (text: string) => Iterable<unknown>;
  readonly run: (text: string, ...values: readonly SQLInputValue[]) => number;
  /** Committed when the work returns, aborted when it throws. */
  readonly transaction: <T>(work: () => T) => T;
  readonly close: () => void;
}

/** What SQLite says where the disk, or the file's own bound, is full. */
const FULL = 13;

/** Opens a file; `varve_sha256` is a function in it, of a text in hex. */
export function connect(file: string, maxPages: number | undefined): Connection {
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
    each: (text) => db.prepare(text).iterate(),
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

/** Copies a file as it is at one moment, while others write it. */
export async function copySqlite(file: string, to: string): Promise<void> {
  const db = new DatabaseSync(file, { timeout: 10_000, readOnly: true });
  try {
    await backup(db, to);
  } finally {
    db.close();
  }
}

/**
 * Documents in a column of a table, as a run works with them. What a run builds lies in a table of its own beside them, and
 * what it replaces goes to another one in the transaction that replaces it:
 *
 * | table | a row is | holds |
 * |---|---|---|
 * | built | a document by its key | digest of the text it was built from, new text, digest of the new text as stored, what came of it |
 * | kept | a document that was replaced | its text, what stands beside the new one, digest of the new one |
 * | work | a run | plan, time, how far it is |
 *
 * A document is settled when it is what the run wrote, or what the run read and has nothing to do with. All verbs work on
 * sets of rows; none waits for another writer.
 */
import type { BatchCounts } from '../../batch.ts';
import type { Result } from '../../result.ts';
import type { Version } from '../../version.ts';
import type { SqlSession } from './sql-session.ts';

/** The key of a row, as the text of a JSON array of the texts of its columns. */
export type RowKey = string;

/** A document as it lies there. */
export interface StoredDocument {
  readonly key: RowKey;
  readonly text: string;
}

/** A document that is not settled; `isDue` where what was built for it still fits. */
export interface UnsettledDocument extends StoredDocument {
  readonly isDue: boolean;
}

/** What became of a document, ready to be written. */
export interface BuiltDocument {
  readonly key: RowKey;
  /** SHA-256 of the text that it was built from, in hex. */
  readonly was: string;
  readonly status: 'migrated' | 'current' | 'passed' | 'quarantined';
  /** The new text where it was migrated. */
  readonly text: string | null;
  readonly from: Version | null;
  readonly path: string | null;
  readonly isLossy: boolean;
  readonly assumed: number;
  /** JSON of provenance and residue that have no place in it. */
  readonly beside: string | null;
  /** JSON of the findings of a quarantined one. */
  readonly findings: string | null;
}

/** A document that a run replaced, and what stands there now. */
export interface KeptDocument {
  readonly key: RowKey;
  /** What stands there now; null where the row is gone. */
  readonly text: string | null;
  readonly original: string;
  readonly from: Version | null;
  readonly beside: string | null;
  /** Whether what stands there is what the run wrote. */
  readonly isOurs: boolean;
}

/** How many documents became what, of those that were built. */
export interface BuiltCounts extends BatchCounts {
  readonly lossy: number;
  readonly assumed: number;
}

/** A run as its table knows it. */
export interface WorkStart {
  readonly run: string;
  /** Digest of what decides the result; another one is refused. */
  readonly plan: string;
  readonly now: string;
  /** Who runs, for another who finds the lock taken. */
  readonly holder: string;
}

/** How far a run is. */
export interface WorkState {
  readonly now: string;
  /** The last key of the first pass. */
  readonly place: RowKey | undefined;
  readonly isBuilt: boolean;
}

/** Which documents are put in place. */
export type Due =
  { readonly after: RowKey | undefined; readonly limit: number } | { readonly keys: readonly RowKey[] };

/** What putting in place did. */
export interface CutOver {
  /** Documents that were looked at; none is the end. */
  readonly seen: number;
  readonly written: number;
  readonly last: RowKey | undefined;
}

/** The verbs of one column. */
export interface DocumentTable {
  /** Such as `app.note.body`. */
  readonly place: string;
  /** The right to be the one run of this column. */
  readonly lock: () => Promise<Result<AsyncDisposable>>;
  /** Makes the tables of a run; harmless where they are there. Refuses another plan than they were made for. */
  readonly open: (start: WorkStart) => Promise<Result<WorkState>>;
  /** The documents behind a key, in order. */
  readonly page: (after: RowKey | undefined, limit: number) => Promise<readonly StoredDocument[]>;
  /** Writes what was built with how far the run is, in one transaction. */
  readonly keep: (
    run: string,
    built: readonly BuiltDocument[],
    state?: Omit<WorkState, 'now'>,
  ) => Promise<void>;
  /** Puts documents in place by compare-and-swap; those that others hold or have changed are left. One transaction. */
  readonly cutOver: (run: string, due: Due) => Promise<CutOver>;
  /** Documents that are not settled, in one snapshot; in a transaction that is open already, where it is given. */
  readonly unsettled: (
    run: string,
    limit: number,
    session?: SqlSession,
  ) => Promise<readonly UnsettledDocument[]>;
  readonly counts: (run: string, session?: SqlSession) => Promise<BuiltCounts>;
  /** Who writes the table now, as far as the database says; never what. */
  readonly writers: () => Promise<readonly string[]>;
  /** What a run replaced, its newest original of each document, behind a key. */
  readonly kept: (
    run: string,
    after: RowKey | undefined,
    limit: number,
    session?: SqlSession,
  ) => Promise<readonly KeptDocument[]>;
  /** Puts the originals back where what stands there is what the run wrote; gives how many replaced ones were changed since. */
  readonly restore: (run: string, session: SqlSession) => Promise<{ restored: number; changed: number }>;
  /** Lets go of what was built; what was kept stays. */
  readonly tidy: (run: string, session?: SqlSession) => Promise<void>;
  /** Lets go of what was kept as well, and says how many documents that were. */
  readonly forget: (run: string, session: SqlSession) => Promise<number>;
}

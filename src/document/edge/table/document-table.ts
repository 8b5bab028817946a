/**
 * Documents in a column of a table, as a run works with them. What a run builds lies in a table of its own beside them, and
 * what it replaces goes to another one in the transaction that replaces it:
 *
 * | table | a row is | holds |
 * |---|---|---|
 * | built | a document by its key | digest of the text it was built from, new text, digest of the new text as stored, what came of it |
 * | kept | a document that was replaced | its text, what stands beside the new one, digest of the new one |
 * | left | a document when the run was done | its digest |
 * | work | a run | plan, time, how far it is |
 *
 * A document is settled when it is what the run wrote, or what the run read and has nothing to do with. All verbs work on
 * sets of rows; none waits for another writer.
 */
import type { JsonObject } from '../../../base/index.ts';
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

/** What a run replaced, for who puts it back. */
export interface Original {
  readonly original: string;
  readonly from: Version | null;
  readonly beside: string | null;
}

/** A document that is not settled; `isDue` where what was built for it still fits. */
export interface UnsettledDocument extends StoredDocument {
  readonly isDue: boolean;
  /** Where it was asked for among the replaced documents of another run: what that one replaced. */
  readonly kept?: Original;
}

/** Which documents that are not settled are asked for. */
export interface Among {
  /** In a transaction that is open already. */
  readonly session?: SqlSession | undefined;
  /** Only documents that this run replaced. */
  readonly of?: string | undefined;
  /** Only those for which nothing fitting was built. */
  readonly isStale?: boolean;
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

/** A document that others wrote since a run replaced it. */
export interface EditedDocument extends StoredDocument, Original {}

/** A run as its table knows it. */
export interface WorkStart {
  readonly run: string;
  /** What decides the result, as JSON; another one is refused. */
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
  /** Documents that are not settled, in one snapshot. */
  readonly unsettled: (run: string, limit: number, among?: Among) => Promise<readonly UnsettledDocument[]>;
  /** Documents in quarantine, with the JSON of their findings. */
  readonly quarantined: (
    run: string,
    limit: number,
  ) => Promise<readonly { readonly key: RowKey; readonly findings: string }[]>;
  readonly counts: (run: string, session?: SqlSession) => Promise<BatchCounts>;
  /** Who writes the table now, as far as the database says; never what. */
  readonly writers: () => Promise<readonly string[]>;
  /** Lets go of what was built; of a run that is done, the digests of what it left stay, and what was kept. */
  readonly tidy: (run: string, isDone: boolean, session?: SqlSession) => Promise<void>;
}

/** The verbs of a column whose runs can be taken back under the shared lifecycle. */
export interface GovernedTable extends DocumentTable {
  /** The type of the column and the columns of the key: a run is held to them. */
  readonly shape: JsonObject;
  readonly read: (key: RowKey) => Promise<StoredDocument | undefined>;
  /** Lets readers write back for a run, or no more; says whether that was new. */
  readonly setReaders: (run: string, isOpen: boolean) => Promise<boolean>;
  /** The run of this column for which readers write back, if there is one. */
  readonly openForReaders: () => Promise<Pick<WorkStart, 'run' | 'plan' | 'now'> | undefined>;
  /** Writes one document as part of a run that is open for readers, by compare-and-swap; says whether it was written. */
  readonly writeBack: (run: string, built: BuiltDocument) => Promise<boolean>;
  /** Triggers of the table that run where a document is written. */
  readonly triggers: (session?: SqlSession) => Promise<readonly string[]>;
  /** Documents that others wrote or took away since the first pass, at least so many. */
  readonly writtenMeanwhile: (run: string, session?: SqlSession) => Promise<number>;
  /** Documents that others wrote since a run replaced them, behind a key. */
  readonly edited: (
    of: string,
    after: RowKey | undefined,
    limit: number,
    session?: SqlSession,
  ) => Promise<readonly EditedDocument[]>;
  /** Builds for a run the originals of another, where what stands there is what that one wrote, from their tables alone. */
  readonly keepOriginals: (run: string, of: string) => Promise<number>;
  /** Documents that others wrote since a run was done and tidied up: those that are there, and those that are gone. */
  readonly writtenSince: (
    of: string,
    back: string,
    session: SqlSession,
  ) => Promise<{ readonly rows: number; readonly gone: number }>;
  /** Puts the originals back where what stands there is what the run wrote, in short transactions; leaves rows that others hold. */
  readonly restoreBeside: (run: string) => Promise<void>;
  /** Puts back those that are left; gives how many replaced ones were changed since. */
  readonly restore: (
    run: string,
    session: SqlSession,
  ) => Promise<{ readonly restored: number; readonly changed: number }>;
  /** Of how many documents a run keeps originals; undefined where it keeps nothing. */
  readonly keptDocuments: (run: string, session?: SqlSession) => Promise<number | undefined>;
  /** Lets go of all that a run left. */
  readonly forget: (run: string, session: SqlSession) => Promise<void>;
}

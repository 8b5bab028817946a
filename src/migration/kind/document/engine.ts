/**
 * What moves documents, as this kind takes it. The engine is handed in by who puts the program together, since `migration`
 * does not import `document`.
 */
import type { Finding, Json, JsonObject } from '../../../base/index.ts';
import type { Transaction } from '../../../store/index.ts';
import type { Bundle } from '../../bundle.ts';
import type { RunContext } from '../../kind.ts';
import type { ColumnSource, ForwardDocument, Source } from './bundle-document.ts';

/** How many documents became what. */
export interface DocumentCounts {
  readonly documents: number;
  readonly migrated: number;
  readonly current: number;
  readonly passed: number;
  readonly quarantined: number;
  readonly lossy: number;
  readonly assumed: number;
  readonly byPath: Readonly<Record<string, number>>;
}

/** What a run would do, counted over every document. */
export interface DocumentCoverage {
  readonly counts: DocumentCounts;
  /** The coverage report, as it is shown. */
  readonly report: JsonObject;
  /** JSON Pointers that some document changes. */
  readonly pointers: readonly string[];
  readonly findings: readonly Finding[];
}

/** What a way back would do. */
export interface BackCoverage {
  readonly restored: number;
  readonly stepped: number;
  readonly findings: readonly Finding[];
}

/**
 * The documents of a bundle, opened for a plan or for a run. Verbs that write are a run's. Where the documents lie outside of
 * the ledger's store, what is asked within a transaction is done beside it: at once, and harmless where it is done again.
 */
export interface Documents extends AsyncDisposable {
  /** Such as `app.note.body`, `notes.db#note.body` or `notes-2.jsonl`. */
  readonly place: string;
  /** Of the type's steps, snapshots and places, as they are now. */
  readonly typeDigest: string;
  /** What the plan holds a run to: the column, the type, the way. */
  readonly bound: JsonObject;
  readonly cover: () => Promise<DocumentCoverage>;
  readonly coverBack: (of: string) => Promise<BackCoverage>;
  /** Lets readers write back, or no more; says whether that was new. */
  readonly setReaders: (isOpen: boolean) => Promise<boolean>;
  readonly build: () => Promise<readonly Finding[]>;
  readonly buildBack: (of: string) => Promise<readonly Finding[]>;
  readonly cutOver: () => Promise<readonly Finding[]>;
  /** With `of`, on the way back from that run. */
  readonly settle: (of: string | undefined) => Promise<readonly Finding[]>;
  readonly isSettled: (transaction: Transaction, of: string | undefined) => Promise<boolean>;
  readonly counts: (transaction?: Transaction) => Promise<DocumentCounts>;
  /** Documents that others wrote while this run was under way, at least so many. */
  readonly writtenMeanwhile: (transaction: Transaction) => Promise<number>;
  /** The digest of what the run read, made as a baseline makes it. */
  readonly readDigest: (transaction: Transaction) => Promise<string>;
  /** Triggers that run where a document is written. */
  readonly triggers: (transaction: Transaction) => Promise<readonly string[]>;
  /** Documents that others wrote since the run that is taken back, and those that are gone. */
  readonly writtenSince: (
    transaction: Transaction,
    of: string,
  ) => Promise<{ readonly rows: number; readonly gone: number }>;
  /** Puts back what this run replaced, in short transactions of its own; leaves rows that others hold. */
  readonly restoreBeside: () => Promise<void>;
  /** Puts back what is left of it; gives how many of it others changed since. */
  readonly restore: (transaction: Transaction) => Promise<number>;
  /** Lets go of what a run built; of one that was committed, what it left is remembered. */
  readonly tidy: (isCommitted: boolean) => Promise<void>;
  /** Of how many documents a run keeps originals; undefined where it keeps nothing. */
  readonly keptBy: (transaction: Transaction, run: string) => Promise<number | undefined>;
  readonly forget: (transaction: Transaction, run: string) => Promise<void>;
}

/** What a bundle lets its run do. */
export interface Allowed {
  readonly isLossy: boolean;
  /** JSON Pointers; absent: anywhere. */
  readonly paths?: { readonly allowed: readonly string[]; readonly forbidden: readonly string[] };
}

/** Where the documents are reached from: an open transaction, or transactions of a run's own. */
export type Reach =
  | { readonly transaction: Transaction; readonly context?: RunContext }
  | { readonly transaction?: undefined; readonly context: RunContext };

/** The measured state of documents that lie outside of the ledger's store. */
export interface DocumentState {
  /** What says how they are kept, such as the columns of a key. */
  readonly shape: Json;
  readonly tables: readonly { readonly table: string; readonly rows: number; readonly digest: string }[];
}

/** Opens documents. Refuses where there are none, or their type is missing. */
export interface DocumentEngine {
  readonly open: (
    forward: ForwardDocument,
    allowed: Allowed,
    reach: Reach,
  ) => Promise<
    | { readonly status: 'ok'; readonly documents: Documents }
    | { readonly status: 'refused'; readonly findings: readonly Finding[] }
  >;
  /** Measures documents that lie outside of the ledger's store. */
  readonly measure: (source: Exclude<Source, ColumnSource>) => Promise<DocumentState>;
  /** The engine for a rehearsal: what lies outside of the store is copied to a folder before it is written. */
  readonly onCopy: (folder: string) => DocumentEngine;
}

/** What a bundle lets its run do, from its declaration. */
export function allowedBy({ declaration }: Bundle): Allowed {
  const { scope, limits } = declaration;
  return {
    isLossy: (limits['max_path_lossy'] ?? 0) > 0,
    paths: { allowed: scope['allowed_paths'] ?? [], forbidden: scope['forbidden_paths'] ?? [] },
  };
}

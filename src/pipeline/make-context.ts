import type { ObjectContent, ObjectReference } from '../store/index.ts';

/** What a make knows beside its inputs; nothing else may influence its result. */
export interface MakeContext<K = unknown> {
  readonly key: K;
  /** Aborted when the run stops or the key's time is over. */
  readonly signal: AbortSignal;
  /** The time of the run, the same for all its keys: ISO 8601 UTC. */
  readonly now: string;
  /** Random numbers in [0, 1) from a seed that the key gives. */
  readonly random: () => number;
  /** Files below the project folder, recorded by content digest when they are read; and objects. */
  readonly files: ContextFiles;
  readonly log: (message: string) => void;
}

/**
 * Files below the project folder, and objects, for makes.
 *
 * A file is named by its path, and what was read of it is recorded by content digest. An object is named by the reference
 * that stands in a row: that is its digest, so the row that was read says it all.
 */
export interface ContextFiles {
  /** The text (UTF-8) of a file, by its path relative to the project folder, or of an object. */
  readonly text: (source: string | ObjectReference) => Promise<string>;
  readonly bytes: (source: string | ObjectReference) => Promise<Uint8Array>;
  /** An object piece by piece, never in memory as a whole. It throws after the last piece where the content is damaged. */
  readonly stream: (object: ObjectReference) => AsyncIterable<Uint8Array>;
  /** Stores content, given at once or piece by piece, and returns what a `t.object()` column takes. */
  readonly put: (content: ObjectContent) => Promise<ObjectReference>;
  /** The files below a folder, sorted by path. */
  readonly list: (path: string) => Promise<readonly ListedFile[]>;
}

/** One file of a listing. */
export interface ListedFile {
  /** Relative to the folder that was listed, with forward slashes. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** What a make knows beside its inputs; nothing else may influence its result. */
export interface MakeContext<K = unknown> {
  readonly key: K;
  /** Aborted when the run stops or the key's time is over. */
  readonly signal: AbortSignal;
  /** The time of the run, the same for all its keys: ISO 8601 UTC. */
  readonly now: string;
  /** Random numbers in [0, 1) from a seed that the key gives. */
  readonly random: () => number;
  /** Files below the project folder; what is read of them is recorded by content digest. */
  readonly files: ContextFiles;
  readonly log: (message: string) => void;
}

/** Files below the project folder, for makes; every access is recorded by content digest. */
export interface ContextFiles {
  /** The file's text (UTF-8). Path relative to the project folder. */
  readonly text: (path: string) => Promise<string>;
  readonly bytes: (path: string) => Promise<Uint8Array>;
  /** The files below a folder, sorted by path. */
  readonly list: (path: string) => Promise<readonly ListedFile[]>;
}

/** One file of a listing. */
export interface ListedFile {
  /** Relative to the folder that was listed, with forward slashes. */
  readonly path: string;
  readonly sizeBytes: number;
}

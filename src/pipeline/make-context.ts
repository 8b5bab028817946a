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

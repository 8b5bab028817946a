import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { projectPath } from './module-graph.ts';
import { sha256Text } from './sha256-text.ts';

/** A code identity as the cache keeps it. */
export interface CachedIdentity {
  readonly digest: `sha256:${string}`;
  readonly basis: 'bundle' | 'module' | 'text' | 'sql';
  readonly packages: Readonly<Record<string, string>>;
  readonly source: string;
}

/** Code identities of tables whose files have not changed. */
export interface DigestCache {
  readonly get: (table: string, key: string) => CachedIdentity | undefined;
  readonly set: (
    table: string,
    entry: {
      readonly key: string;
      readonly identity: CachedIdentity;
      readonly files: readonly string[];
      /** The content that was digested, by file: an edit since then must show. */
      readonly digestByFile: ReadonlyMap<string, string>;
    },
  ) => void;
  readonly save: () => void;
}

interface Entry {
  readonly key: string;
  readonly identity: CachedIdentity;
  /** Path relative to the project folder to the digest of the file's content, or `absent`. */
  readonly files: Readonly<Record<string, string>>;
}

// Raise it whenever equal code may get another identity than before.
const VERSION = 2;

/**
 * Opens `code-digest.json` in a folder: an identity is given only while every file that it came from has the content
 * it had. Null keeps nothing. What cannot be read is no cache; nothing depends on there being one.
 */
export function openDigestCache(folder: string | null, projectFolder: string): DigestCache {
  const file = folder === null ? undefined : path.join(folder, 'code-digest.json');
  const entryByTable = new Map(file === undefined ? [] : readEntries(file));
  const digestByFile = new Map<string, string>();
  const contentOf = (filePath: string): string => {
    const known = digestByFile.get(filePath) ?? contentDigest(path.resolve(projectFolder, filePath));
    digestByFile.set(filePath, known);
    return known;
  };
  return {
    get: (table, key) => {
      const entry = entryByTable.get(table);
      const isCurrent =
        entry?.key === key &&
        Object.entries(entry.files).every(([filePath, digest]) => contentOf(filePath) === digest);
      return isCurrent ? entry.identity : undefined;
    },
    set: (table, { key, identity, files, digestByFile: digested }) => {
      const digests = files.toSorted().map((filePath) => {
        const relative = projectPath(projectFolder, filePath);
        return [relative, digested.get(filePath) ?? contentOf(relative)] as const;
      });
      entryByTable.set(table, { key, identity, files: Object.fromEntries(digests) });
    },
    save: () => {
      if (file !== undefined) writeEntries(file, entryByTable);
    },
  };
}

function contentDigest(file: string): string {
  try {
    return sha256Text(readFileSync(file));
  } catch {
    // A file that cannot be read is as good as absent: the code is then read anew, and says what is wrong.
    return 'absent';
  }
}

function readEntries(file: string): readonly (readonly [string, Entry])[] {
  try {
    const content = JSON.parse(readFileSync(file, 'utf8')) as {
      readonly version: number;
      readonly tables: Readonly<Record<string, Entry>>;
    };
    return content.version === VERSION ? Object.entries(content.tables) : [];
  } catch {
    // Absent or damaged: the digests are computed again.
    return [];
  }
}

function writeEntries(file: string, entryByTable: ReadonlyMap<string, Entry>): void {
  const content = { version: VERSION, tables: Object.fromEntries(entryByTable) };
  const draft = `${file}.${randomUUID()}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(draft, JSON.stringify(content));
    // Renamed into place, so that a reader never sees half of it.
    renameSync(draft, file);
  } catch {
    // A project on a read-only disk has no cache and loses nothing but time.
    return;
  }
}

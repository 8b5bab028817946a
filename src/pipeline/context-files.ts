/** Files for makes: read below one folder, and every access recorded by the digest of what it saw; objects beside them. */
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { VarveError } from '../base/index.ts';
import { readObject, type ObjectReference, type ObjectStore } from '../store/index.ts';
import type { ContextFiles, ListedFile } from './make-context.ts';
import { noObjects } from './object/pin.ts';

/** One access: `file:<path>` for contents, `folder:<path>` for a listing. */
export interface FileRead {
  readonly subject: string;
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
}

/**
 * Opens files below a folder, whose reading goes to `record`, and objects where there is a store of them.
 *
 * Errors: throws `file_outside`, `file_unreadable`; `objects_unavailable` and what the object store throws.
 */
export function contextFiles(
  folder: string,
  record: (read: FileRead) => void,
  objects?: Pick<ObjectStore, 'put' | 'read'>,
): ContextFiles {
  const bytes = async (source: string | ObjectReference): Promise<Uint8Array> => {
    if (typeof source !== 'string') return readObject(present(objects), source);
    const data = await readable(source, async () => readFile(await inside(folder, source)));
    record({ subject: `file:${normal(source)}`, digest: sha256(data), sizeBytes: data.length });
    return data;
  };
  return {
    bytes,
    text: async (source) => new TextDecoder('utf-8', { fatal: true }).decode(await bytes(source)),
    stream: (object) => present(objects).read(object),
    put: async (content) => present(objects).put(content),
    list: async (path) => {
      const files = await readable(path, async () => listFiles(await inside(folder, path)));
      const listing = files.map((file) => `${String(file.sizeBytes)} ${file.path}\n`).join('');
      record({ subject: `folder:${normal(path)}`, digest: sha256(listing), sizeBytes: files.length });
      return files;
    },
  };
}

function present(objects: Pick<ObjectStore, 'put' | 'read'> | undefined): Pick<ObjectStore, 'put' | 'read'> {
  if (objects !== undefined) return objects;
  throw noObjects();
}

/** The file's real path, refused where it leaves the folder, also through a link. */
async function inside(folder: string, path: string): Promise<string> {
  const root = await realpath(folder);
  const target = isAbsolute(path) ? path : await realpath(resolve(root, path));
  const way = relative(root, target);
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way) || isAbsolute(path)) {
    throw new VarveError('file_outside', {
      detail: { path },
      hint: 'Name a file below the project folder, by a relative path.',
    });
  }
  return target;
}

async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof VarveError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new VarveError('file_unreadable', {
      detail: { path, cause: code },
      hint: 'Check that the file is there and may be read.',
      cause: error,
    });
  }
}

async function listFiles(folder: string): Promise<readonly ListedFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const listed = await Promise.all(
    files.map(async (entry) => {
      const full = join(entry.parentPath, entry.name);
      return { path: relative(folder, full).replaceAll(sep, '/'), sizeBytes: (await lstat(full)).size };
    }),
  );
  return listed.toSorted((left, right) => (left.path < right.path ? -1 : 1));
}

function normal(path: string): string {
  return path.replaceAll('\\', '/');
}

function sha256(data: Uint8Array | string): Uint8Array {
  return createHash('sha256').update(data).digest();
}

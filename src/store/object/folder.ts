/**
 * Objects in a folder.
 *
 * ```text
 * <folder>/<space>/sha256/9f/9f86d081...   one object; its time is when it was last put
 * <folder>/<space>/incoming/<random>       a put under way, or one that was killed
 * ```
 *
 * A put writes beside, flushes, and renames: under its name an object is whole or not there, whatever is killed when, and
 * two writers of one object replace equal bytes by equal bytes. The file is written anew even where one of that name is
 * there, since that mends one that was damaged and costs nothing more: the digest of a stream is known at its end only.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, opendir, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isVarveError, VarveError } from '../../base/index.ts';
import {
  objectHex,
  type ObjectContent,
  type ObjectReference,
  type ObjectSettings,
  type ObjectStore,
  type StoredObject,
} from '../object-store.ts';
import { measure, missing, verified, type Measured } from './digest.ts';

/** A store of objects below a folder, which is made when the first object is put. */
export function folderObjects(folder: string, settings: ObjectSettings): ObjectStore {
  const place: Place = {
    folder,
    objects: join(folder, settings.space, 'sha256'),
    incoming: join(folder, settings.space, 'incoming'),
  };
  return {
    location: folder,
    settings,
    put: (content) => inFolder(place, () => put(place, content)),
    read: (reference) => read(place, reference),
    find: (digest) => inFolder(place, () => find(place, digest)),
    list: () => list(place),
    remove: (digest) => inFolder(place, () => rm(pathOf(place, digest), { force: true })),
    sweep: (before) => inFolder(place, () => sweep(place, before)),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

interface Place {
  readonly folder: string;
  readonly objects: string;
  readonly incoming: string;
}

/** By the first two digits, so that no folder holds more than a 256th of all. */
function pathOf({ objects }: Place, digest: string): string {
  const hex = objectHex(digest);
  return join(objects, hex.slice(0, 2), hex);
}

async function put(place: Place, content: ObjectContent): Promise<ObjectReference> {
  const measured = measure(content);
  const incoming = join(place.incoming, randomUUID());
  try {
    await mkdir(place.incoming, { recursive: true });
    const reference = await write(incoming, measured);
    const path = pathOf(place, reference.digest);
    const shard = join(path, '..');
    await mkdir(shard, { recursive: true });
    await rename(incoming, path);
    // The name itself must outlast a loss of power, since a row will rely on it.
    await flushFolder(shard);
    return reference;
  } catch (error) {
    await measured.close();
    await rm(incoming, { force: true }).catch(() => undefined);
    throw error;
  }
}

async function write(path: string, measured: Measured): Promise<ObjectReference> {
  await using file = await open(path, 'wx');
  for await (const piece of measured.pieces) await writeAll(file, piece);
  await file.sync();
  return measured.reference();
}

async function writeAll(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length;) at += (await file.write(piece, at)).bytesWritten;
}

async function flushFolder(folder: string): Promise<void> {
  // Where folders cannot be opened (Windows), a rename is durable by itself.
  if (process.platform === 'win32') return;
  await using handle = await open(folder, 'r');
  await handle.sync();
}

async function* read(place: Place, reference: ObjectReference): AsyncGenerator<Uint8Array> {
  const stream = createReadStream(pathOf(place, reference.digest)) as AsyncIterable<Uint8Array>;
  try {
    yield* verified(stream, reference);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw missing(reference.digest, place.folder);
    throw placeFault(place, error);
  }
}

async function find(place: Place, digest: string): Promise<StoredObject | undefined> {
  try {
    const file = await stat(pathOf(place, digest));
    return { digest, sizeBytes: file.size, putAt: file.mtime.toISOString() };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const SHARD = /^[0-9a-f]{2}$/u;
const NAME = /^[0-9a-f]{64}$/u;

/** Files only, under their own names only: what else somebody put or linked here is none of ours. */
async function* list(place: Place): AsyncGenerator<StoredObject> {
  const shards = await inFolder(place, () => entriesOf(place.objects));
  for (const shard of shards) {
    if (!shard.isDirectory() || !SHARD.test(shard.name)) continue;
    for await (const file of await inFolder(place, () => opendir(join(place.objects, shard.name)))) {
      if (!file.isFile() || !NAME.test(file.name) || !file.name.startsWith(shard.name)) continue;
      const found = await inFolder(place, () => find(place, `sha256:${file.name}`));
      if (found !== undefined) yield found;
    }
  }
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function sweep(place: Place, before: string): Promise<number> {
  let swept = 0;
  for (const entry of await entriesOf(place.incoming)) {
    const path = join(place.incoming, entry.name);
    const file = entry.isFile() ? await stat(path).catch(() => undefined) : undefined;
    if (file === undefined || file.mtime.toISOString() >= before) continue;
    await rm(path, { force: true });
    swept += 1;
  }
  return swept;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

/** Whether an error of the file system is about a path below the folder; undefined where it names none. */
function isAbout(error: unknown, folder: string): boolean | undefined {
  const path = error instanceof Error && 'path' in error ? error.path : undefined;
  return typeof path === 'string' ? path.startsWith(folder) : undefined;
}

async function inFolder<T>(place: Place, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw placeFault(place, error);
  }
}

/** What the file system said, in our words; what the caller's own content threw passes as it is. */
function placeFault({ folder }: Place, error: unknown): unknown {
  const code = codeOf(error);
  if (isVarveError(error) || code === 'unknown' || isAbout(error, folder) === false) return error;
  const detail = { location: folder, cause: code };
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new VarveError('objects_full', {
        detail,
        hint: 'Make room, or collect objects that nothing needs with `varve objects gc`; then repeat. Nothing half-written stays under a name.',
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new VarveError('objects_denied', {
        detail,
        hint: 'Give the user that runs varve the right to read and write this folder.',
        cause: error,
      });
    default:
      return new VarveError('objects_unreachable', {
        detail,
        hint: 'Check that `objects.folder` in the configuration names a folder, and that its disk is there.',
        cause: error,
      });
  }
}

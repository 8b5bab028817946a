import { statfsSync } from 'node:fs';
import { mkdir, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { isVarveError, VarveError, type Clock } from '../../base/index.ts';
import { toStoreError } from './error.ts';
import { loadExtensions } from './extension.ts';
import { lockFolder } from './folder-lock.ts';
import { freshImage } from './image.ts';
import { SESSION_SETTINGS } from './session.ts';

/** An open embedded database and the one way to close it. */
export interface OpenDatabase {
  readonly database: PGlite;
  readonly location: string;
  /** Whether its disk has room to commit with. */
  readonly hasRoom: () => boolean;
  /** An engine that failed is only let go: asked to end in order, it would not come back. */
  readonly close: (isAlive: boolean) => Promise<void>;
}

/** Opens a folder under its lock, or a database in memory: an empty one, or what an image holds. */
export async function openDatabase(
  folder: string | undefined,
  extensions: readonly string[],
  clock: Clock,
  image?: Blob,
): Promise<OpenDatabase> {
  if (folder === undefined) {
    const database = await start(undefined, extensions, image ?? (await freshImage()));
    return {
      database,
      location: 'embedded:memory',
      hasRoom: () => true,
      close: async (isAlive) => {
        if (isAlive) await database.close();
      },
    };
  }
  const location = await settledPath(folder);
  const lock = lockOrRefuse(location, clock);
  try {
    await prepareFolder(location);
    const database = await start(location, extensions);
    return {
      database,
      location,
      hasRoom: () => !isNearlyFull(location),
      close: async (isAlive) => {
        try {
          if (isAlive) await database.close();
        } finally {
          lock.release();
        }
      },
    };
  } catch (error) {
    lock.release();
    throw await openingError(error, location);
  }
}

/** The one absolute path of a folder, however it was spelt, so that all openers see the same lock. */
async function settledPath(folder: string): Promise<string> {
  const path = resolve(folder);
  try {
    await mkdir(dirname(path), { recursive: true });
    return await realpath(path).catch(async () => join(await realpath(dirname(path)), basename(path)));
  } catch (error) {
    throw toStoreError(error, path);
  }
}

function lockOrRefuse(location: string, clock: Clock): ReturnType<typeof lockFolder> {
  try {
    return lockFolder(location, clock);
  } catch (error) {
    throw toStoreError(error, location);
  }
}

const MAJOR = '18';

/** Leaves a folder that was initialised to its end: a new one is made beside it and gets its name last. */
async function prepareFolder(location: string): Promise<void> {
  const draftFolder = `${location}.new`;
  // Whoever left this was killed; nobody else can be at it, since we hold the lock.
  await rm(draftFolder, { recursive: true, force: true });
  const names = await readdir(location).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0) {
    if (isNearlyFull(dirname(location))) throw toStoreError({ code: 'ENOSPC' }, location);
    await initialise(draftFolder);
    await rename(draftFolder, location);
    return;
  }
  const version = await readFile(join(location, 'PG_VERSION'), 'utf8').catch(() => undefined);
  if (version === undefined) throw corrupt(location, { missing: 'PG_VERSION' });
  if (version.trim() !== MAJOR) throw corrupt(location, { expectedVersion: MAJOR });
}

async function initialise(folder: string): Promise<void> {
  try {
    const database = await start(folder, [], await freshImage());
    await database.close();
  } catch (error) {
    // Judged before the half-made folder goes, whose going makes room.
    const wrapped = await openingError(error, folder);
    await rm(folder, { recursive: true, force: true });
    throw wrapped;
  }
}

async function start(
  folder: string | undefined,
  extensions: readonly string[],
  image?: Blob,
): Promise<PGlite> {
  const { PGlite } = await import('@electric-sql/pglite');
  const settings = Object.entries(SESSION_SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return await PGlite.create({
    ...(folder === undefined ? {} : { dataDir: `file://${folder}` }),
    ...(image === undefined ? {} : { loadDataDir: image }),
    relaxedDurability: false,
    startParams: [...PGlite.defaultStartParams, ...settings],
    extensions: await loadExtensions(extensions),
  });
}

/** What the machine says (no room, no right) is told as it is; all else means that the files are not a database. */
async function openingError(error: unknown, location: string): Promise<VarveError> {
  if (isVarveError(error)) return error;
  const wrapped = toStoreError(error, location);
  if (wrapped.code === 'database_full' || wrapped.code === 'permission_denied') return wrapped;
  // The engine hides why it could not write. Healthy files on a full disk must not be called corrupt.
  if (isNearlyFull(dirname(location))) return toStoreError({ code: 'ENOSPC' }, location);
  return corrupt(location, {});
}

/**
 * Two segments of the write-ahead log. A commit that finds no room for the next segment makes the engine run in circles
 * for ever, so that much is kept free; a commit writes less than one, since the log's buffer holds 4 MiB.
 */
const RESERVE_BYTES = 2 * 16 * 1024 * 1024;

function isNearlyFull(folder: string): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize < RESERVE_BYTES;
}

function corrupt(location: string, detail: { readonly [name: string]: string }): VarveError {
  return new VarveError('store_corrupt', {
    detail: { location, ...detail },
    hint: 'Restore the folder from a backup, or move it away and let a new one be made.',
  });
}

/**
 * Copies of an embedded database: in memory, or for a folder `lab.db` in folders `lab.db.copy-<8 random digits>` beside it,
 * on the same disk. Only one process has the original open, so that a folder of that name which this process did not make
 * was left by one that was killed.
 */
import { randomBytes } from 'node:crypto';
import { cp, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Store } from '../store.ts';
import type { OpenDatabase } from './embedded-open.ts';
import { toStoreError } from './error.ts';

/** The copies that an open embedded store has made. Disposing it takes those away that are left. */
export interface EmbeddedCopies extends AsyncDisposable {
  /** To be called while no statement runs. */
  readonly make: () => Promise<Store>;
  readonly dropDead: () => Promise<number>;
}

/** The copies of a database; `open` opens a folder, or a database in memory from an image. */
export function createCopies(
  { database, location, isInMemory }: OpenDatabase & { readonly isInMemory: boolean },
  open: (folder: string | undefined, image?: Blob) => Promise<Store>,
): EmbeddedCopies {
  const live = new Map<string, Store>();
  const prefix = `${basename(location)}.copy-`;

  const keep = (id: string, store: Store, remove: () => Promise<void>): Store => {
    let closed: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      await store[Symbol.asyncDispose]();
      await remove();
      live.delete(id);
    };
    const kept: Store = { ...store, [Symbol.asyncDispose]: () => (closed ??= close()) };
    live.set(id, kept);
    return kept;
  };

  return {
    make: async () => {
      const id = randomBytes(4).toString('hex');
      if (isInMemory) {
        const store = await open(undefined, await database.dumpDataDir('none'));
        return keep(id, store, () => Promise.resolve());
      }
      const folder = `${location}.copy-${id}`;
      const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
      try {
        await cp(location, folder, { recursive: true });
        return keep(id, await open(folder), remove);
      } catch (error) {
        await remove();
        throw toStoreError(error, folder);
      }
    },
    dropDead: async () => {
      if (isInMemory) return 0;
      const names = await readdir(dirname(location));
      const dead = names.filter((name) => name.startsWith(prefix) && !isLive(name.slice(prefix.length)));
      for (const name of dead) await rm(join(dirname(location), name), { recursive: true, force: true });
      return dead.filter((name) => !name.endsWith('.lock')).length;
    },
    [Symbol.asyncDispose]: async () => {
      for (const store of live.values()) await store[Symbol.asyncDispose]();
    },
  };

  /** A copy's own files beside its folder, such as its lock, begin with its id. */
  function isLive(rest: string): boolean {
    return live.has(rest.split('.')[0] ?? '');
  }
}

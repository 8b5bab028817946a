import { randomUUID } from 'node:crypto';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Writes a file so that after a kill or a power cut it is there whole or not at all: a temporary file beside it,
 * fsync, rename, fsync of the folder.
 */
export async function writeDurable(path: string, bytes: Uint8Array): Promise<void> {
  await withTemporary(path, bytes, 0o644, (temporary) => rename(temporary, path));
}

/** The same, but never over a file that is there; false when one is. The file is read-only. */
export async function createDurable(path: string, bytes: Uint8Array): Promise<boolean> {
  return withTemporary(path, bytes, 0o444, async (temporary) => {
    try {
      await link(temporary, path);
      return true;
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false;
      throw error;
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

/** Makes a folder and those above it, each entry durable. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let above = dirname(folder); above.length >= dirname(first).length; above = dirname(above)) {
    await syncFolder(above);
    if (above === dirname(above)) return;
  }
}

/** Makes the entries of a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether a file's name is that of a write that a kill cut off: nothing reads it, and nothing depends on it. */
export function isTemporary(name: string): boolean {
  return /^\.[0-9a-f-]{36}\.tmp$/u.test(name);
}

/** Whether a caught value is a system error with this code. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

async function withTemporary<T>(
  path: string,
  bytes: Uint8Array,
  mode: number,
  publish: (temporary: string) => Promise<T>,
): Promise<T> {
  await makeFolder(dirname(path));
  const temporary = join(dirname(path), `.${randomUUID()}.tmp`);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const published = await publish(temporary);
    await syncFolder(dirname(path));
    return published;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

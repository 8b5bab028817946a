/**
 * The image of a fresh embedded database. PGlite's own initialisation takes 3.6 s, loading an image 0.4 s; so the first
 * one is kept in the user's cache folder, by PGlite version. It holds no data, and an image that is damaged is made anew.
 *
 * Format: the SHA-256 of the rest in hex, a line feed, a gzipped tar of the data folder.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { PGlite } from '@electric-sql/pglite';

/** A tar of an empty database's data folder, from the cache or, the first time, by PGlite itself. */
export async function freshImage(): Promise<Blob> {
  const cachePath = await cacheFile();
  const tar = (await readCached(cachePath)) ?? (await makeImage(cachePath));
  return new Blob([tar], { type: 'application/x-tar' });
}

async function cacheFile(): Promise<string> {
  const packageFile = new URL('../package.json', import.meta.resolve('@electric-sql/pglite'));
  const { version } = JSON.parse(await readFile(fileURLToPath(packageFile), 'utf8')) as { version: string };
  const folder = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(folder, 'varve', `pglite-${version}.image`);
}

async function readCached(cachePath: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const file = await readFile(cachePath);
    const body = file.subarray(65);
    return file.subarray(0, 64).toString('latin1') === digest(body)
      ? new Uint8Array(gunzipSync(body))
      : undefined;
  } catch {
    return undefined; // not there yet, or not readable: the image is made instead
  }
}

async function makeImage(cachePath: string): Promise<Uint8Array<ArrayBuffer>> {
  const { PGlite } = await import('@electric-sql/pglite');
  const database: PGlite = await PGlite.create();
  try {
    // So that whoever loads the image has no log to replay.
    await database.exec('checkpoint');
    const tar = new Uint8Array(await (await database.dumpDataDir('none')).arrayBuffer());
    await writeCached(cachePath, tar);
    return tar;
  } finally {
    await database.close();
  }
}

async function writeCached(cachePath: string, tar: Uint8Array): Promise<void> {
  const draftPath = `${cachePath}.${randomUUID()}`;
  try {
    await mkdir(join(cachePath, '..'), { recursive: true, mode: 0o700 });
    const body = gzipSync(tar, { level: 1 });
    await writeFile(draftPath, Buffer.concat([Buffer.from(`${digest(body)}\n`, 'latin1'), body]), {
      mode: 0o600,
    });
    await rename(draftPath, cachePath);
  } catch {
    // A home that cannot be written only costs the next opening its three seconds.
    await rm(draftPath, { force: true }).catch(() => undefined);
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileReader } from '../evidence/index.ts';
import { hasCode, isTemporary } from './durable.ts';
import { readIfThere } from './evidence-store.ts';

/** Reads the files under a `migrations` folder, for offline verification. Links are no files. */
export function folderReader(root: string): FileReader {
  return {
    read: (path) => readIfThere(join(root, path)),
    list: async (folder) => (await listFiles(root, folder)).sort(),
  };
}

async function listFiles(root: string, folder: string): Promise<string[]> {
  const entries = await entriesOf(join(root, folder));
  const nested = entries.map(async (entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return listFiles(root, path);
    return entry.isFile() && !isTemporary(entry.name) ? [path] : [];
  });
  return (await Promise.all(nested)).flat();
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

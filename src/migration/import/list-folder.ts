import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding } from '../../base/index.ts';
import { hasCode } from '../durable.ts';
import { invalidFile, type FolderFile } from './imported-item.ts';

/** No migration file is larger, as no file of a bundle is. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** More is no folder of migrations, and their list would not fit into a file of a bundle. */
const MAX_FILES = 20_000;

/** Folders that hold no migrations of another tool: those of varve's own evidence, and what packages bring. */
const LEFT_OUT: readonly string[] = ['node_modules', 'evidence', 'registry', 'runs'];

/** The files of a folder of migrations. */
export interface FolderListing {
  readonly files: readonly FolderFile[];
  readonly findings: readonly Finding[];
}

/**
 * Reads the SQL scripts of a folder and of those below it, and Prisma's lock. Bundles of varve are left out, wherever they lie.
 *
 * Invariant: no link is followed; `path` is relative, with `/`, and sorted.
 * Errors: `import_invalid` for a folder that is not there, links, files over 16 MiB or not UTF-8.
 */
export async function listFolder(folder: string): Promise<FolderListing> {
  const listing: { paths: string[]; findings: Finding[] } = { paths: [], findings: [] };
  if (!(await isFolder(folder))) return { files: [], findings: [invalidFile('.', { reason: 'missing' })] };
  await walk(folder, '', listing);
  if (listing.paths.length > MAX_FILES)
    return { files: [], findings: [invalidFile('.', { reason: 'too_many', files: listing.paths.length })] };
  const files: FolderFile[] = [];
  for (const path of listing.paths.toSorted()) {
    const file = await readOne(folder, path);
    if ('code' in file) listing.findings.push(file);
    else files.push(file);
  }
  return { files, findings: listing.findings };
}

/** The present content of one file; undefined where it is gone, or is no file of its own any more. */
export async function readFolderFile(folder: string, path: string): Promise<FolderFile | undefined> {
  try {
    // A folder on the way that became a link leads elsewhere.
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      if (!(await lstat(join(folder, ...parts.slice(0, depth)))).isDirectory()) return undefined;
    }
    if (!(await lstat(join(folder, path))).isFile()) return undefined;
    const file = await readOne(folder, path);
    return 'code' in file ? undefined : file;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function walk(
  folder: string,
  below: string,
  listing: { readonly paths: string[]; readonly findings: Finding[] },
): Promise<void> {
  const entries = await readdir(join(folder, below), { withFileTypes: true });
  if (entries.some(({ name }) => name === 'migration.yml')) return;
  for (const entry of entries) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    const isHidden = entry.name.startsWith('.') || LEFT_OUT.includes(entry.name);
    if (entry.isDirectory() && !isHidden) await walk(folder, path, listing);
    else if (entry.isFile() && isWanted(entry.name)) listing.paths.push(path);
    else if (!entry.isFile() && !entry.isDirectory() && !isHidden)
      listing.findings.push(invalidFile(path, { reason: 'no_regular_file' }));
  }
}

function isWanted(name: string): boolean {
  return (name.endsWith('.sql') && !name.startsWith('.')) || name === 'migration_lock.toml';
}

async function readOne(folder: string, path: string): Promise<FolderFile | Finding> {
  const { size } = await lstat(join(folder, path));
  if (size > MAX_FILE_BYTES) return invalidFile(path, { reason: 'too_large', sizeBytes: size });
  const bytes = await readFile(join(folder, path));
  try {
    return { path, bytes, text: UTF8.decode(bytes) };
  } catch {
    return invalidFile(path, { reason: 'not_utf8' });
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

async function isFolder(folder: string): Promise<boolean> {
  try {
    return (await lstat(folder)).isDirectory();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

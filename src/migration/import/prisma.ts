/**
 * The migrations of Prisma: a folder each, `20260301120000_name/migration.sql`, applied in the order of the folders' names, beside
 * `migration_lock.toml`, which names the database. The checksum is the SHA-256 of the file; the other line ends count as equal.
 * Source: Prisma's documentation, "Prisma Migrate", "Migration history".
 */
import type { Finding } from '../../base/index.ts';
import {
  fileChecksums,
  invalidFile,
  orderedItems,
  type FolderFile,
  type FolderReading,
} from './imported-item.ts';

const SCRIPT = /^(?<name>[^/]+)\/migration\.sql$/u;
const LOCK = 'migration_lock.toml';

/** Whether a file is one of Prisma's, by its place. */
export function isPrismaPath(path: string): boolean {
  return SCRIPT.test(path) || path === LOCK;
}

/** Reads the files of a folder. */
export function readPrisma(files: readonly FolderFile[]): FolderReading {
  const items = files
    .flatMap((file) => {
      const name = SCRIPT.exec(file.path)?.groups?.['name'];
      return name === undefined ? [] : [{ name, file }];
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, file }) => ({
      id: name,
      description: name.replace(/^\d+_/u, '').replaceAll('_', ' '),
      path: file.path,
      ...fileChecksums(file),
      checksumAlgorithm: 'sha256' as const,
      isRepeatable: false,
      file,
    }));
  return { tool: 'prisma', items: orderedItems(items), findings: lockFindings(files) };
}

function lockFindings(files: readonly FolderFile[]): readonly Finding[] {
  const lock = files.find(({ path }) => path === LOCK);
  const provider = /^\s*provider\s*=\s*"(?<name>[^"]*)"/mu.exec(lock?.text ?? '')?.groups?.['name'];
  if (lock === undefined || provider === 'postgresql') return [];
  return [invalidFile(LOCK, { reason: 'provider', provider: provider ?? null })];
}

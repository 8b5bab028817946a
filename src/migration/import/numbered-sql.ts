/**
 * A folder of scripts whose names begin with a number, `001_name.sql` or `20260301120000_name.sql`, applied in the order of the
 * numbers. `001_name.up.sql` is the same; `001_name.down.sql` is the way back and no history. The checksum is the SHA-256 of the
 * file; the other line ends count as equal.
 */
import type { Finding } from '../../base/index.ts';
import {
  fileChecksums,
  invalidFile,
  orderedItems,
  type FolderFile,
  type FolderReading,
} from './imported-item.ts';

const NUMBERED = /^(?<number>\d+)[._-](?<name>[^/]+?)(?:\.up)?\.sql$/u;

/** Whether a file is a numbered script, by its name. */
export function isNumberedPath(path: string): boolean {
  return NUMBERED.test(path);
}

/** Reads the files of a folder; those of folders below it are of nobody's order. */
export function readNumberedSql(files: readonly FolderFile[]): FolderReading {
  const scripts = files.filter(
    ({ path }) => path.endsWith('.sql') && !path.endsWith('.down.sql') && !path.includes('/'),
  );
  const strangers = scripts.filter(({ path }) => !NUMBERED.test(path));
  const numbered = scripts
    .flatMap((file) => {
      const { number, name } = NUMBERED.exec(file.path)?.groups ?? {};
      return number === undefined || name === undefined ? [] : [{ number: BigInt(number), name, file }];
    })
    .toSorted((a, b) => (a.number === b.number ? (a.name < b.name ? -1 : 1) : a.number < b.number ? -1 : 1));
  const items = numbered.map(({ name, file }) => ({
    id: file.path.replace(/(?:\.up)?\.sql$/u, ''),
    description: name.replaceAll('_', ' '),
    path: file.path,
    ...fileChecksums(file),
    checksumAlgorithm: 'sha256' as const,
    isRepeatable: false,
    file,
  }));
  const twice = numbered.flatMap(({ number, file }, at): readonly Finding[] => {
    const first = numbered[at - 1];
    return first?.number === number
      ? [invalidFile(file.path, { reason: 'duplicate', id: String(number), first: first.file.path })]
      : [];
  });
  return {
    tool: 'sql',
    items: orderedItems(items),
    findings: [...strangers.map(({ path }) => invalidFile(path, { reason: 'name' })), ...twice],
  };
}

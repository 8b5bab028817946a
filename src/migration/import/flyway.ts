/**
 * A folder of Flyway: `V1.2__name.sql` once, in the order of versions; `R__name.sql` again whenever it changes, after those, by
 * name; `U1.2__name.sql` undoes and `B1.2__name.sql` stands for all up to its version, so neither is history of its own.
 *
 * The checksum is a CRC-32 of the lines as UTF-8, without line ends and without a byte order mark, as a signed number.
 * Source: Flyway's documentation, "Migrations" and "Schema history table".
 */
import { crc32 } from 'node:zlib';
import {
  baseName,
  invalidFile,
  orderedItems,
  withoutMark,
  type FolderFile,
  type FolderReading,
  type UnorderedItem,
} from './imported-item.ts';

const VERSIONED = /^V(?<version>\d+(?:[._]\d+)*)__(?<description>.+)\.sql$/u;
const REPEATABLE = /^R__(?<description>.+)\.sql$/u;
const NO_HISTORY = /^[UB]\d+(?:[._]\d+)*__.+\.sql$/u;

/** Whether the name of a file is one of Flyway's. */
export function isFlywayName(path: string): boolean {
  const name = baseName(path);
  return VERSIONED.test(name) || REPEATABLE.test(name);
}

/** Reads the files of a folder. */
export function readFlyway(files: readonly FolderFile[]): FolderReading {
  const scripts = files.filter(({ path }) => path.endsWith('.sql'));
  const named = scripts.filter(({ path }) => !NO_HISTORY.test(baseName(path)));
  const strangers = named.filter(({ path }) => !isFlywayName(path));
  const versioned = named
    .flatMap((file) => versionedItem(file))
    .toSorted((a, b) => compareVersions(a.version, b.version));
  const repeatable = named
    .flatMap((file) => repeatableItem(file))
    .toSorted((a, b) => (a.description < b.description ? -1 : 1));
  const all = [...versioned.map(({ item }) => item), ...repeatable];
  return {
    tool: 'flyway',
    items: orderedItems(all),
    findings: [...strangers.map(({ path }) => invalidFile(path, { reason: 'name' })), ...duplicates(all)],
  };
}

/** The id of a version, `1`, `01` and `1.0` being the same one. */
export function flywayId(version: string): string {
  const parts = version.split(/[._]/u).map((part) => part.replace(/^0+(?=\d)/u, ''));
  while (parts.length > 1 && parts.at(-1) === '0') parts.pop();
  return `V${parts.join('.')}`;
}

/** The id of a repeatable migration, by its description in the form of the table or of the file. */
export function flywayRepeatableId(description: string): string {
  return `R__${description.replaceAll(' ', '_')}`;
}

/** Flyway's checksum of a text. */
export function flywayChecksum(text: string): string {
  const lines = withoutMark(text).split(/\r\n|\r|\n/u);
  const unsigned = lines.reduce((sum, line) => crc32(line, sum), 0);
  return String(unsigned | 0);
}

/** Whether a version is at or below another one. */
export function isUpTo(version: string, limit: string): boolean {
  return compareVersions(version, limit) <= 0;
}

function versionedItem(
  file: FolderFile,
): readonly { readonly version: string; readonly item: UnorderedItem }[] {
  const groups = VERSIONED.exec(baseName(file.path))?.groups;
  const { version, description } = groups ?? {};
  if (version === undefined || description === undefined) return [];
  return [{ version, item: itemOf(file, { id: flywayId(version), description, isRepeatable: false }) }];
}

function repeatableItem(file: FolderFile): readonly UnorderedItem[] {
  const description = REPEATABLE.exec(baseName(file.path))?.groups?.['description'];
  if (description === undefined) return [];
  return [itemOf(file, { id: flywayRepeatableId(description), description, isRepeatable: true })];
}

function itemOf(
  file: FolderFile,
  about: Pick<UnorderedItem, 'id' | 'description' | 'isRepeatable'>,
): UnorderedItem {
  return {
    ...about,
    description: about.description.replaceAll('_', ' '),
    path: file.path,
    checksum: flywayChecksum(file.text),
    checksumAlgorithm: 'flyway-crc32',
    file,
  };
}

function duplicates(items: readonly UnorderedItem[]): FolderReading['findings'] {
  const pathById = new Map<string, string>();
  return items.flatMap(({ id, path }) => {
    const first = pathById.get(id);
    pathById.set(id, first ?? path);
    return first === undefined ? [] : [invalidFile(path, { reason: 'duplicate', id, first })];
  });
}

/** Part by part as numbers of any length, a part that is missing being 0. */
function compareVersions(left: string, right: string): number {
  const [a, b] = [partsOf(left), partsOf(right)];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const [x, y] = [a[at] ?? 0n, b[at] ?? 0n];
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

function partsOf(version: string): readonly bigint[] {
  return version.split(/[._]/u).map((part) => BigInt(part));
}

/** What the readers of other tools' folders give, all of them in the same form. */
import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { sha256, type Digest } from '../../evidence/index.ts';

/** The tools whose folders can be read; `sql` is a folder of numbered scripts that no tool keeps a table for. */
export const IMPORT_TOOLS = ['flyway', 'graphile-migrate', 'prisma', 'sql'] as const;

/** One of the tools. */
export type ImportTool = (typeof IMPORT_TOOLS)[number];

/** A file of the folder, as read once. */
export interface FolderFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** The bytes as UTF-8, a byte order mark left in. */
  readonly text: string;
}

/**
 * One migration of another tool.
 *
 * Shape: `{ id: 'V1.2', description: 'add views', path: 'V1_2__add_views.sql', checksum: '-1734067268', checksumAlgorithm:
 * 'flyway-crc32', equalChecksums: [], digest: 'sha256:...', order: 3, isRepeatable: false }`
 * Invariant: `id` is what the tool's own table is asked by, and never has the shape of a bundle's id.
 */
export interface ImportedItem {
  readonly id: string;
  readonly description: string;
  readonly path: string;
  /** As the tool writes it. */
  readonly checksum: string;
  readonly checksumAlgorithm: ChecksumAlgorithm;
  /** Checksums that the tool takes for the same content: that of the other line ends. */
  readonly equalChecksums: readonly string[];
  /** Of the content, line ends and a byte order mark left aside: Flyway's 32 bits are no evidence. */
  readonly digest: Digest;
  /** From 1, in the order in which the tool applies them. */
  readonly order: number;
  readonly isRepeatable: boolean;
}

/** How a checksum was made. */
export type ChecksumAlgorithm = 'flyway-crc32' | 'graphile-sha1' | 'sha256';

/** What a reader found in a folder. */
export interface FolderReading {
  readonly tool: ImportTool;
  readonly items: readonly ImportedItem[];
  readonly findings: readonly Finding[];
}

/** An item before its place in the order is known. */
export type UnorderedItem = Omit<ImportedItem, 'order' | 'digest' | 'equalChecksums'> & {
  readonly file: FolderFile;
  readonly equalChecksums?: readonly string[];
};

/** Items in the order given, numbered. */
export function orderedItems(items: readonly UnorderedItem[]): readonly ImportedItem[] {
  return items.map(({ file, equalChecksums = [], ...item }, index) => ({
    ...item,
    equalChecksums,
    digest: contentDigest(file.text),
    order: index + 1,
  }));
}

/** Equal for files that differ in line ends and byte order mark alone. */
export function contentDigest(text: string): Digest {
  return sha256(new TextEncoder().encode(withoutMark(text).replaceAll(/\r\n?/gu, '\n')));
}

/** SHA-256 in hex of the bytes, and what it would be under the other line ends. */
export function fileChecksums({
  bytes,
  text,
}: FolderFile): Pick<UnorderedItem, 'checksum' | 'equalChecksums'> {
  const other = text.includes('\r\n') ? text.replaceAll('\r\n', '\n') : text.replaceAll('\n', '\r\n');
  const checksum = hexOf(bytes);
  const equal = hexOf(new TextEncoder().encode(other));
  return { checksum, equalChecksums: equal === checksum ? [] : [equal] };
}

/** A text without its byte order mark. */
export function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Something about a folder's file that keeps it from being taken over. */
export function invalidFile(path: string, detail: JsonObject & { readonly reason: string }): Finding {
  const hint = HINTS[detail.reason] ?? 'Give the file its content back, or name the tool with --tool.';
  return refusal('import_invalid', path, { detail, hint });
}

const HINTS: Readonly<Record<string, string>> = {
  name: 'Name the file as its tool does, or name the tool with --tool.',
  duplicate: 'Two files have one version: keep the one that was applied under it.',
  header:
    'Commit the migration with its tool again: it has no header of Previous and Hash, then an empty line.',
  line_ends: 'Check the file out with LF: its tool reads no header that ends in CRLF.',
  chain_broken: 'Bring the file back that Previous names, or take this one out.',
  hash_differs: 'Take the file back from version control: its content is not what its Hash was made of.',
  provider: 'Only migrations for postgresql can be taken over.',
  too_large: 'Keep migration files under 16 MiB.',
  not_utf8: 'Save the file as UTF-8.',
  no_regular_file: 'Put the file itself into the folder, not a link to it.',
  outside: 'Name a folder inside the project: its files are looked at again later.',
  missing: 'Name a folder that is there.',
  empty: 'Name the folder that holds the migration files.',
  too_many: 'Split the folder: more than 20,000 files are not read.',
};

function hexOf(bytes: Uint8Array): string {
  return sha256(bytes).slice('sha256:'.length);
}

/**
 * The committed migrations of graphile-migrate: `000001.sql` or `000001-name.sql`, each with the header
 *
 * ```text
 * --! Previous: sha1:<hash of the one before, or - for the first>
 * --! Hash: sha1:<hash>
 *
 * ```
 *
 * whose Hash is the SHA-1 of the previous hash, a line end and the body, both ends trimmed and one line end put after. So each
 * file is held to its content and to the file before it.
 * Source: graphile-migrate's README, "Committed migrations".
 */
import { createHash } from 'node:crypto';
import type { Finding } from '../../base/index.ts';
import {
  baseName,
  invalidFile,
  orderedItems,
  type FolderFile,
  type FolderReading,
  type UnorderedItem,
} from './imported-item.ts';

const COMMITTED = /^(?:committed\/)?\d{6,}(?:-[^/]+)?\.sql$/u;

/** Whether a file is a committed migration, by its place and first line. */
export function isGraphileFile({ path, text }: FolderFile): boolean {
  return COMMITTED.test(path) && text.startsWith('--! Previous:');
}

/** Reads the files of a folder, that of the migrations or the one of the committed among them. */
export function readGraphile(files: readonly FolderFile[]): FolderReading {
  const committed = files
    .filter(({ path }) => COMMITTED.test(path))
    .toSorted((a, b) => (baseName(a.path) < baseName(b.path) ? -1 : 1));
  const items: UnorderedItem[] = [];
  const findings: Finding[] = [];
  let before: string | null = null;
  for (const file of committed) {
    const header = readHeader(file);
    if ('code' in header) {
      findings.push(header);
      continue;
    }
    const { hash, previous, body, allowsOther } = header;
    if (previous !== before)
      findings.push(invalidFile(file.path, { reason: 'chain_broken', previous, expected: before }));
    const made = graphileHash(body, previous);
    if (made !== hash) {
      const finding = invalidFile(file.path, { reason: 'hash_differs', hash, found: made });
      findings.push(allowsOther ? { ...finding, severity: 'warning' } : finding);
    }
    items.push(itemOf(file, hash));
    before = hash;
  }
  return { tool: 'graphile-migrate', items: orderedItems(items), findings };
}

/** The hash of a body after the one with this hash. */
export function graphileHash(body: string, previous: string | null): string {
  const text = `${previous ?? ''}\n${body}`.trim();
  return `sha1:${createHash('sha1').update(`${text}\n`).digest('hex')}`;
}

interface Header {
  readonly hash: string;
  readonly previous: string | null;
  readonly body: string;
  /** The file says that its hash is not that of its content. */
  readonly allowsOther: boolean;
}

function readHeader({ path, text }: FolderFile): Header | Finding {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('--! '));
  const values = new Map(
    lines.slice(0, Math.max(end, 0)).map((line) => {
      const [name = '', ...rest] = line.slice('--! '.length).split(':');
      return [name, rest.join(':').trim()] as const;
    }),
  );
  if (lines.some((line, at) => at <= end && line.endsWith('\r')))
    return invalidFile(path, { reason: 'line_ends' });
  const [hash, previous] = [values.get('Hash'), values.get('Previous')];
  const isWhole =
    /^sha1:[0-9a-f]{40}$/u.test(hash ?? '') && /^(?:-|sha1:[0-9a-f]{40})$/u.test(previous ?? '');
  if (hash === undefined || !isWhole || lines[end] !== '') return invalidFile(path, { reason: 'header' });
  return {
    hash,
    previous: previous === '-' ? null : (previous ?? null),
    body: lines.slice(end + 1).join('\n'),
    allowsOther: values.has('AllowInvalidHash'),
  };
}

function itemOf(file: FolderFile, hash: string): UnorderedItem {
  const name = baseName(file.path);
  return {
    id: name,
    description: name
      .replace(/^\d+-?/u, '')
      .replace(/\.sql$/u, '')
      .replaceAll('_', ' '),
    path: file.path,
    checksum: hash,
    checksumAlgorithm: 'graphile-sha1',
    isRepeatable: false,
    file,
  };
}

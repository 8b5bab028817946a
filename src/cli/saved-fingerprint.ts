import { refusal } from '../base/index.ts';
import type { CatalogObject, Fingerprint } from '../provenance/index.ts';
import type { CommandResult } from './output.ts';

/** What `varve fingerprint --json` prints: `of` is the one schema it was limited to, `objectList` is there with `--objects`. */
export type SavedFingerprint = Fingerprint & {
  readonly of?: string;
  readonly objectList?: readonly CatalogObject[];
};

type Saved =
  | { readonly status: 'read'; readonly fingerprint: SavedFingerprint }
  | (CommandResult & { readonly status: 'refused' });

/** A fingerprint that was saved to a file. */
export function readSaved(file: string, text: string): Saved {
  const value = parse(text);
  if (isFingerprint(value)) return { status: 'read', fingerprint: value };
  const finding = refusal('file_unreadable', file, {
    detail: { reason: 'no saved fingerprint' },
    hint: 'Name a file that `varve fingerprint --json` wrote.',
  });
  return { status: 'refused', findings: [finding] };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isFingerprint(value: unknown): value is SavedFingerprint {
  if (!isRecord(value)) return false;
  const { algorithm, major, digest, strictDigest, schemas, objectList = [] } = value;
  return (
    typeof algorithm === 'string' &&
    typeof major === 'number' &&
    typeof digest === 'string' &&
    typeof strictDigest === 'string' &&
    isList(
      schemas,
      ({ schema, kinds, tables = [] }) =>
        typeof schema === 'string' && isList(kinds, isDigested) && isList(tables, isDigested),
    ) &&
    isList(
      objectList,
      (object) => isDigested(object) && typeof object['name'] === 'string' && isRecord(object['properties']),
    )
  );
}

function isDigested(line: Readonly<Record<string, unknown>>): boolean {
  return typeof line['digest'] === 'string';
}

function isList(value: unknown, holds: (item: Readonly<Record<string, unknown>>) => boolean): boolean {
  return Array.isArray(value) && value.every((item: unknown) => isRecord(item) && holds(item));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `adopted_history.json`: the migrations of another tool that a bundle takes over as applied (schema `adopted_history.v1`). */
import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { validateSchema, type Digest } from '../../evidence/index.ts';
import type { Bundle } from '../bundle.ts';
import type { Refused } from '../refused.ts';
import {
  contentDigest,
  type ChecksumAlgorithm,
  type ImportedItem,
  type ImportTool,
} from './imported-item.ts';
import { readFolderFile } from './list-folder.ts';

/** Its path in a bundle. */
export const ADOPTED_HISTORY = 'adopted_history.json';

/** What was taken over at once. */
export interface AdoptedHistory extends JsonObject {
  readonly history_version: 'v1';
  readonly tool: ImportTool;
  /** The folder of the files, relative to the project, with `/`. */
  readonly folder: string;
  /** The tool's table that says so, `schema.table`; null where whoever adopted said so. */
  readonly table: string | null;
  readonly migrations: readonly AdoptedItem[];
}

/** One migration that was taken over. */
export interface AdoptedItem extends JsonObject {
  readonly id: string;
  readonly description: string;
  readonly path: string;
  readonly checksum: string;
  readonly checksum_algorithm: ChecksumAlgorithm;
  readonly equal_checksums: readonly string[];
  readonly digest: Digest;
  readonly order: number;
  readonly repeatable: boolean;
}

/** An item as it is kept. */
export function adoptedItem(item: ImportedItem): AdoptedItem {
  const { id, description, path, checksum, checksumAlgorithm, equalChecksums, digest, order, isRepeatable } =
    item;
  return {
    id,
    description,
    path,
    checksum,
    checksum_algorithm: checksumAlgorithm,
    equal_checksums: equalChecksums,
    digest,
    order,
    repeatable: isRepeatable,
  };
}

/** What a bundle takes over; `none` where it is another bundle. */
export type HistoryReading =
  { readonly status: 'ok'; readonly history: AdoptedHistory } | { readonly status: 'none' } | Refused;

/** Reads what a bundle takes over. Errors: refuses with `import_invalid`. */
export async function historyIn({
  id,
  documents,
}: Pick<Bundle, 'id' | 'documents'>): Promise<HistoryReading> {
  const document = documents[ADOPTED_HISTORY];
  if (document === undefined) return { status: 'none' };
  const faults = await validateSchema('adopted_history.v1', document);
  if (faults.length === 0) return { status: 'ok', history: document as AdoptedHistory };
  const hint = 'Take the bundle back from version control, or adopt the folder again.';
  const finding = refusal('import_invalid', `${id}/${ADOPTED_HISTORY}`, {
    detail: { reason: 'schema', rule: faults[0]?.rule ?? '' },
    hint,
  });
  return { status: 'refused', findings: [finding] };
}

/** How the file of an adopted migration stands. */
export type FileState = 'same' | 'changed' | 'missing';

/** Whether the file is the one that was taken over; line ends and a byte order mark left aside. */
export async function fileState(folder: string, { path, digest }: AdoptedItem): Promise<FileState> {
  const file = await readFolderFile(folder, path);
  if (file === undefined) return 'missing';
  return contentDigest(file.text) === digest ? 'same' : 'changed';
}

/** The finding for a file that is not the one that was taken over. */
export function driftFinding(
  { folder, tool }: Pick<AdoptedHistory, 'folder' | 'tool'>,
  { id, path, checksum, repeatable }: AdoptedItem,
  state: 'changed' | 'missing',
): Finding {
  const subject = folder === '.' ? path : `${folder}/${path}`;
  const detail = { id, tool, adopted: checksum };
  if (state === 'missing') {
    const hint = 'Bring the file back from version control: it is part of the history of the database.';
    return refusal('import_missing', subject, { detail, hint });
  }
  const hint = repeatable
    ? 'Apply it with its tool, then run `varve adopt --migrations` again.'
    : 'Take the file back as it was applied, and put the change into a new migration.';
  const finding = refusal('import_differs', subject, { detail, hint });
  // To be changed and run again is what a repeatable migration is for.
  return repeatable ? { ...finding, severity: 'warning' } : finding;
}

/** `forward.json` and `rollback.json` of a migration of documents. */
import { refusal, type Finding, type Json, type JsonObject } from '../../../base/index.ts';
import { isDigest } from '../../../evidence/index.ts';
import type { Bundle } from '../../bundle.ts';
import type { Touched } from '../../kind.ts';

/** Documents in a column of the store that the ledger is in. */
export interface ColumnSource extends JsonObject {
  readonly kind: 'column';
  /** `schema.table` */
  readonly table: string;
  readonly column: string;
}

/** Documents in a text column of a file of SQLite. Paths are relative to the project. */
export interface SqliteSource extends JsonObject {
  readonly kind: 'sqlite';
  readonly file: string;
  readonly table: string;
  readonly column: string;
}

/** A file or folder of documents, and where the migrated one is written. */
export interface FileSource extends JsonObject {
  readonly kind: 'files';
  readonly from: string;
  readonly to: string;
}

/** Where documents lie. */
export type Source = ColumnSource | SqliteSource | FileSource;

/** `forward.json`. */
export interface ForwardDocument extends JsonObject {
  readonly format: 'document/1';
  /** The module that exports the type, within the project. */
  readonly types: string;
  readonly type: string;
  /** Of the type's steps, snapshots and places: with other ones nothing is run. */
  readonly type_digest: string;
  readonly to: string;
  /** Readers write back what they move, until the last sweep. Default: all at once. */
  readonly mode?: 'lazy';
  /** Connections that build a column of the store at once. Default 1. */
  readonly connections?: number;
  readonly source: Source;
}

/** `rollback.json`: originals where nobody edited, else the steps down. */
export interface RollbackDocument extends JsonObject {
  readonly format: 'document/1';
  readonly restore: 'originals';
}

/** The `forward.json` of a bundle, or what is wrong with it. */
export function readForward(
  bundle: Bundle,
):
  | { readonly status: 'ok'; readonly forward: ForwardDocument }
  | { readonly status: 'refused'; readonly finding: Finding } {
  const forward = bundle.documents['forward.json'];
  const fault = forward === undefined ? 'missing' : faultOf(forward);
  if (forward !== undefined && fault === undefined)
    return { status: 'ok', forward: forward as unknown as ForwardDocument };
  return {
    status: 'refused',
    finding: refusal('bundle_invalid', `${bundle.id}/forward.json`, {
      detail: { reason: fault ?? 'missing' },
      hint: 'Let `varve document plan` write it, with --column or with --in and --out.',
    }),
  };
}

/** More would take those of the programs. */
export const MOST_CONNECTIONS = 16;

const TEXTS = ['types', 'type', 'type_digest', 'to'] as const;

function faultOf(forward: JsonObject): string | undefined {
  if (forward['format'] !== 'document/1') return 'format';
  const missing = TEXTS.find((name) => typeof forward[name] !== 'string');
  if (missing !== undefined) return missing;
  if (!isDigest(forward['type_digest'])) return 'type_digest';
  if (forward['mode'] !== undefined && forward['mode'] !== 'lazy') return 'mode';
  const { connections = 1, source } = forward;
  if (!Number.isSafeInteger(connections) || Number(connections) < 1 || Number(connections) > MOST_CONNECTIONS)
    return 'connections';
  if (!isObject(source) || !isSource(source)) return 'source';
  // Nobody reads a file that is being written.
  return source['kind'] === 'files' && forward['mode'] === 'lazy' ? 'mode' : undefined;
}

function isSource(source: JsonObject): boolean {
  const { table } = source;
  const isNamed = (...names: readonly string[]): boolean =>
    names.every((name) => typeof source[name] === 'string' && source[name] !== '');
  switch (source['kind']) {
    case 'column':
      return isNamed('column') && typeof table === 'string' && /^[^.]+\.[^.]+$/u.test(table);
    case 'sqlite':
      return isNamed('file', 'table', 'column');
    case 'files':
      return isNamed('from', 'to');
    default:
      return false;
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The name under which scope lists the documents. */
export function placeOf({ source }: Pick<ForwardDocument, 'source'>): string {
  switch (source.kind) {
    case 'column':
      return `${source.table}.${source.column}`;
    case 'sqlite':
      return `${source.file}#${source.table}.${source.column}`;
    case 'files':
      return source.to;
  }
}

/** What a run touches, as plans, counts and receipts name it: of a column its table. */
export function objectOf(forward: Pick<ForwardDocument, 'source'>): string {
  return forward.source.kind === 'column' ? forward.source.table : placeOf(forward);
}

/** As what is touched is listed: a table by its schema, or documents by their place. */
export function namesOf(forward: Pick<ForwardDocument, 'source'>): Pick<Touched, 'kind' | 'schema' | 'name'> {
  if (forward.source.kind !== 'column') return { kind: 'document', schema: '', name: objectOf(forward) };
  const [schema = '', name = ''] = forward.source.table.split('.');
  return { kind: 'table', schema, name };
}

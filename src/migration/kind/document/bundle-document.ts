/** `forward.json` and `rollback.json` of a migration of documents. */
import { refusal, type Finding, type Json, type JsonObject } from '../../../base/index.ts';
import { isDigest } from '../../../evidence/index.ts';
import type { Bundle } from '../../bundle.ts';

/** Documents in a column of the store that the ledger is in. */
export interface ColumnSource extends JsonObject {
  readonly kind: 'column';
  /** `schema.table` */
  readonly table: string;
  readonly column: string;
}

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
  readonly source: ColumnSource;
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
      hint: 'Let `varve document plan --column schema.table.column` write it.',
    }),
  };
}

const TEXTS = ['types', 'type', 'type_digest', 'to'] as const;

function faultOf(forward: JsonObject): string | undefined {
  if (forward['format'] !== 'document/1') return 'format';
  const missing = TEXTS.find((name) => typeof forward[name] !== 'string');
  if (missing !== undefined) return missing;
  if (!isDigest(forward['type_digest'])) return 'type_digest';
  if (forward['mode'] !== undefined && forward['mode'] !== 'lazy') return 'mode';
  const source = forward['source'];
  if (!isObject(source) || source['kind'] !== 'column') return 'source';
  const { table, column } = source;
  const isNamed = typeof table === 'string' && /^[^.]+\.[^.]+$/u.test(table) && typeof column === 'string';
  return isNamed ? undefined : 'source';
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The name under which scope lists the documents. */
export function placeOf({ source }: ForwardDocument): string {
  return `${source.table}.${source.column}`;
}

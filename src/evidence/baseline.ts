import type { JsonObject } from '../base/index.ts';
import type { ObjectState } from './object-diff.ts';

/**
 * The measured state of everything a migration may touch, of every kind; `algorithm` says how its digests were made.
 *
 * Shape: `{ baseline_version: 'v1', algorithm: 'pipeline/1', server_version: '18', object_counts: { table: 2 },
 * schema_fingerprint: { strict: 'sha256:...', logical: 'sha256:...' }, tables: [{ table: 'lab.mouse', rows: 2, digest: 'sha256:...' }] }`
 * Invariant: equal state gives equal bytes: no time, oid, run id or host (M33); `tables` is sorted by name.
 */
export interface Baseline extends JsonObject {
  readonly baseline_version: 'v1';
  /** Name and version of how the digests were made; across either, comparison is refused (M97). */
  readonly algorithm: string;
  readonly server_version: string;
  readonly object_counts: Readonly<Record<string, number>>;
  /** `strict` keeps column order, `logical` keys by name; a rollback is proved on `logical` (M99). */
  readonly schema_fingerprint: { readonly strict: string; readonly logical: string };
  readonly tables: readonly BaselineTable[];
  /** Every class of objects of every schema, in scope or not; kinds that measure the whole catalog have it. */
  readonly classes?: readonly BaselineClass[];
  /** The objects in scope, one by one, so that a difference names them; sorted. */
  readonly objects?: readonly (ObjectState & JsonObject)[];
  /** Where sequences in scope stand; apart, for a rollback leaves them where they are. */
  readonly sequence_positions?: string;
  /** Rows that nobody may touch, by a keyed digest (M123). */
  readonly protected_fingerprint?: ProtectedFingerprint;
}

/** One class of objects of one schema; objects of the database itself stand under the schema `''`. */
export interface BaselineClass extends JsonObject {
  readonly schema: string;
  readonly kind: string;
  readonly objects: number;
  readonly strict: string;
  readonly logical: string;
}

/** Protected tables under a key that `key_id` names; digests of two keys are not comparable. */
export interface ProtectedFingerprint extends JsonObject {
  readonly value: string;
  readonly key_id: string;
  readonly tables: readonly BaselineTable[];
}

/** One table in scope; a table that does not exist is left out. */
export interface BaselineTable extends JsonObject {
  readonly table: string;
  readonly rows: number;
  readonly digest: string;
}

/** How many rows of a table are in which class; every row of an affected table is in exactly one. */
export interface TableCounts extends JsonObject {
  readonly table: string;
  readonly keep: number;
  readonly rekey: number;
  readonly backfill: number;
  readonly recompute: number;
  readonly retire: number;
  readonly ambiguous: number;
  /** Rows written by others since the plan's snapshot and taken along; 0 in a plan. */
  readonly carried: number;
}

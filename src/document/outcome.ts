import type { Finding } from '../base/index.ts';
import type { Assumed } from './assumed.ts';
import type { Provenance } from './provenance.ts';
import type { Residue } from './residue-row.ts';
import type { Refused } from './result.ts';
import type { StepRef } from './step.ts';
import type { Version } from './version.ts';

/** What became of a document that was moved to another version. */
export interface Migrated<D> {
  readonly status: 'migrated';
  readonly document: D;
  readonly from: Version;
  readonly to: Version;
  readonly path: readonly StepRef[];
  /** All that found no place; `kept` says which of it stands in the document. */
  readonly residue: Residue;
  readonly provenance: Provenance;
  readonly assumed: readonly Assumed[];
  /** What the reader should know, such as stale residue. Never an error. */
  readonly findings: readonly Finding[];
}

/**
 * What became of a document.
 *
 * `current`: it was of the wanted version already. `passed`: newer than known, handed on unchanged. `needs_migration`:
 * older, and migrating by itself is switched off.
 */
export type Outcome<D> =
  | Refused
  | { readonly status: 'current'; readonly document: D; readonly findings: readonly Finding[] }
  | { readonly status: 'passed'; readonly document: D; readonly version: Version }
  | { readonly status: 'needs_migration'; readonly from: Version; readonly to: Version }
  | Migrated<D>;

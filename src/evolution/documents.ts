/** The documents of a bundle of kind `pipeline`, and what they say before anything is looked at. */
import type { JsonObject } from '../base/index.ts';
import type { DefinitionSet, Hints, TableSpec } from '../pipeline/index.ts';
import type { Attribution, Decisions } from './attribution.ts';
import { nameSets, type Naming } from './naming.ts';
import type { Operation } from './operation/operation.ts';

/** `forward.json`. */
export interface ForwardDocument extends JsonObject {
  readonly format: 'pipeline/1';
  /** Digest of the deployed set; null where nothing was deployed. */
  readonly from: string | null;
  readonly to: string;
  readonly set: JsonObject;
  readonly operations: readonly JsonObject[];
  readonly attribute: Attribution;
  /** What the definitions say of where tables and columns come from. */
  readonly hints: JsonObject;
  /** Code digests of the makes of the tables that change. */
  readonly code: Readonly<Record<string, string>>;
}

/** `rollback.json`. */
export interface RollbackDocument extends JsonObject {
  readonly format: 'pipeline/1';
  readonly to: string | null;
  readonly set: JsonObject;
}

/** A bundle's documents, as they are worked with. */
export interface Documents {
  readonly forward: ForwardDocument;
  readonly naming: Naming;
  readonly decisions: Decisions;
  readonly sets: { readonly from: DefinitionSet; readonly to: DefinitionSet };
}

/** The operations as `findOperations` wrote them; the bundle's digest holds them to that. */
export function operationsIn(forward: ForwardDocument): readonly Operation[] {
  return forward.operations as unknown as readonly Operation[];
}

/** The set before anything was deployed. */
export const EMPTY: DefinitionSet = { version: 1, tables: [] };

/** Reads the documents of a bundle; whether they are what they claim is for `movedFindings` to say. */
export function documentsOf(documents: Readonly<Record<string, JsonObject>>): Documents {
  const forward = documents['forward.json'] as ForwardDocument;
  const rollback = documents['rollback.json'] as RollbackDocument;
  const from = rollback.to === null ? EMPTY : (rollback.set as unknown as DefinitionSet);
  const to = forward.set as unknown as DefinitionSet;
  const naming = nameSets(from, to, forward.hints as unknown as Hints);
  const decisions = (documents['decisions.json']?.['tables'] ?? {}) as unknown as Decisions;
  return { forward, naming, decisions, sets: { from, to } };
}

/**
 * The specs of the tables that operations touch, the old one where there is one. A redefinition, an adoption and an attested
 * code touch what the catalog says and no table: people write to it all the while, and no proof of equality may hang on that.
 */
export function affectedSpecs(
  forward: ForwardDocument,
  from: DefinitionSet,
  to: DefinitionSet,
): readonly TableSpec[] {
  const names = operationsIn(forward).flatMap((operation): readonly string[] => {
    // Their rows stay where they stand, and people write to them all the while: no proof may hang on that.
    if (['adopt_table', 'attest_code', 'redefine', 'rename_table'].includes(operation.kind)) return [];
    return operation.kind === 'rebuild' ? [operation.table, ...operation.from] : [operation.table];
  });
  return [...new Set(names)].flatMap((name) => {
    const spec =
      from.tables.find((candidate) => candidate.name === name) ??
      to.tables.find((candidate) => candidate.name === name);
    return spec === undefined ? [] : [spec];
  });
}

/** Every table that is touched, by its new name and, where it is another one, by its old. */
export function objectsOf(forward: ForwardDocument): readonly string[] {
  const names = operationsIn(forward).flatMap((operation) => {
    if (operation.kind === 'rebuild') return [operation.table, ...operation.from];
    return operation.kind === 'rename_table' ? [operation.table, operation.was] : [operation.table];
  });
  return [...new Set(names)].toSorted();
}

import type { Pointer } from './pointer.ts';
import type { Version } from './version.ts';

/** The most each count may be; what is left out is 0, but for `undeclared`. */
export type Thresholds = {
  readonly failures?: number;
  readonly quarantined?: number;
  readonly droppedFields?: number;
  readonly impure?: number;
  readonly ambiguous?: number;
  /** Made-up values that nothing declares. Default: as many as there are, each told. */
  readonly undeclared?: number;
};

/** One way in which documents do not fit the target. */
export type CoverageFailure = {
  readonly pointer: Pointer;
  readonly keyword: string;
  readonly count: number;
  /** Ids of documents, never their contents. */
  readonly samples: readonly string[];
};

/**
 * What a move would do to a whole corpus. Nothing was written to find out.
 *
 * Units: counts are documents, but for `assumed` (facts), `droppedFields`, `unknownFields` and `undeclared` (documents by pointer).
 */
export type CoverageReport = {
  readonly target: Version;
  readonly documents: number;
  readonly byVersion: Readonly<Record<Version, number>>;
  readonly byPath: Readonly<Record<string, number>>;
  readonly failures: readonly CoverageFailure[];
  readonly lossy: number;
  readonly assumed: number;
  /** Documents that no step can take, by the code of what refused them. */
  readonly quarantined: Readonly<Record<string, number>>;
  readonly byStep: Readonly<Record<string, number>>;
  /** Steps that no document needed. */
  readonly neverHit: readonly string[];
  readonly droppedFields: Readonly<Record<Pointer, number>>;
  readonly unknownFields: Readonly<Record<Pointer, number>>;
  readonly roundTrip: { readonly equal: number; readonly different: number; readonly noWayBack: number };
  readonly impure: Readonly<Record<string, number>>;
  /** Values that a step makes up, neither declared as a guess nor a default of the schema. */
  readonly undeclared: Readonly<Record<Pointer, number>>;
  /** Documents with a number that no double holds. */
  readonly exactNumbers: number;
  /** Documents with names that JavaScript puts in front of the others. */
  readonly reordered: number;
  readonly ambiguous: number;
};

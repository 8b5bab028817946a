import type { Finding } from '../base/index.ts';
import type { MigrationKind, RunnerOptions } from '../migration/index.ts';
import type { ProjectWorld } from './project-world.ts';

/**
 * The kinds of migration that this command line runs, and what only some of them can do.
 *
 * A kind tells people about a plan in its `shown`: `operations` (lines in words), `questions` (lines), `cost` (an object).
 */
export interface Kinds {
  readonly list: readonly MigrationKind[];
  /** Compares the definitions with the database and writes a bundle of what differs: `varve plan` without an id. */
  readonly draft?: (options: RunnerOptions) => Promise<DraftOutcome>;
  /** Writes into a bundle what becomes of ambiguous rows, and plans it again: `varve apply --attribute`. */
  readonly attribute?: (
    options: RunnerOptions,
    migrationId: string,
    rules: readonly AttributionRule[],
  ) => Promise<AttributeOutcome>;
}

/** What came of comparing the definitions with the database. */
export type DraftOutcome =
  | { readonly status: 'drafted'; readonly migrationId: string }
  | { readonly status: 'unchanged' }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** `--attribute audit.verdict=recompute`; without a table, for every table that has ambiguous rows. */
export interface AttributionRule {
  readonly table: string | undefined;
  readonly rule: string;
}

/** Whether the rules were written. */
export type AttributeOutcome =
  { readonly status: 'attributed' } | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** Makes the kinds for a project. */
export type KindsOf = (world: ProjectWorld) => Promise<Kinds>;

/** All kinds of this release. The one place that names them; each is loaded here, when a command asks. */
export const kindsOf: KindsOf = () => Promise.resolve({ list: [] });

/** What every verification begins with: which tables it is about, and whether they stand as the definitions say. */
import type { Finding } from '../base/index.ts';
import {
  isMakeUnknown,
  loadRelations,
  makeUnknown,
  mismatches,
  unknownTable,
  type AnyTable,
  type Relations,
  type TableSpec,
} from '../pipeline/index.ts';
import type { Store } from '../store/index.ts';
import type { EvolutionWorld } from './operation/operation.ts';

/** How a verification is narrowed and watched. */
export interface VerifyOptions {
  /** Default: all computed tables. */
  readonly tables?: readonly string[];
  /** Also what is imported: reads the outside world again. */
  readonly imported?: boolean;
  readonly signal?: AbortSignal;
  readonly progress?: (progress: {
    readonly table: string;
    readonly computed: number;
    readonly total: number | null;
  }) => void;
}

/** The tables in hand, or why they cannot be verified. */
export type VerifyScope =
  | {
      readonly status: 'ok';
      readonly relations: Relations;
      /** All that can be computed again, in the order of their dependencies. */
      readonly computed: readonly TableSpec[];
      /** Those that were asked for. */
      readonly wanted: readonly TableSpec[];
      /** Those that nobody gave a make yet. */
      readonly unmade: readonly AnyTable[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** Finds the tables. Errors: refuses with `unknown_table`, `not_deployed`. */
export async function verifyScope(
  store: Store,
  { definitions: { set, tableByName } }: EvolutionWorld,
  { tables, imported }: VerifyOptions,
): Promise<VerifyScope> {
  const tiers = imported === true ? ['computed', 'imported'] : ['computed'];
  const made = set.tables.filter(({ tier }) => tiers.includes(tier));
  const unmade = made.flatMap(({ name }) => tableByName.get(name) ?? []).filter(isMakeUnknown);
  const asked = unmade.filter(({ spec }) => tables?.includes(spec.name) === true);
  if (asked.length > 0)
    return { status: 'refused', findings: asked.map((table) => makeUnknown(table, 'error')) };
  const computed = made.filter(({ name }) => !unmade.some(({ spec }) => spec.name === name));
  const unknown = (tables ?? []).filter((name) => !computed.some((spec) => spec.name === name));
  if (unknown.length > 0) {
    const known = computed.map(({ name }) => name);
    return { status: 'refused', findings: unknown.map((name) => unknownTable(name, known)) };
  }
  const relations = await loadRelations(store);
  const undeployed = mismatches(relations, set.tables);
  if (undeployed.length > 0) return { status: 'refused', findings: undeployed };
  const wanted = computed.filter(({ name }) => tables === undefined || tables.includes(name));
  return { status: 'ok', relations, computed, wanted, unmade };
}

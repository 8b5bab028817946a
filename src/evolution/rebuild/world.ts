/** What the verbs of a rebuild look at: both sides of the evolution, and where each table stands while it is under way. */
import { VarveError } from '../../base/index.ts';
import {
  relationOf,
  tableId,
  type CodeIdentity,
  type DefinitionSet,
  type Placement,
  type Relation,
  type Relations,
  type TableSpec,
} from '../../pipeline/index.ts';
import type { Queryable, Sql } from '../../store/index.ts';
import { BUILD, runRelations } from '../building.ts';
import type { Naming, Pair } from '../naming.ts';
import { heirOf } from '../naming.ts';
import type { Attribution, Decisions } from '../attribution.ts';
import type { Operation, PlanScope, Rebuild, RunScope } from '../operation/operation.ts';

/** Both sides. */
export interface RebuildWorld {
  readonly from: DefinitionSet;
  readonly to: DefinitionSet;
  readonly naming: Naming;
  readonly operations: readonly Operation[];
  readonly attribution: Attribution;
  readonly decisions: Decisions;
  readonly codeByTable: ReadonlyMap<string, CodeIdentity>;
  /** The structures that stand, by the names they have had so far. */
  readonly old: Relations;
  /**
   * The new tables: where they are built, and those that stay where they stand. While planning, nothing is built: a table
   * that will be is not among them.
   */
  readonly next: Relations;
  /** The rows of a rebuilt table's list; see `rows.ts`. */
  readonly listOf: (table: string) => Sql;
}

/** One rebuild in its world. */
export interface Rebuilding {
  readonly operation: Rebuild;
  readonly pair: Pair;
  readonly spec: TableSpec;
  /** What the rows come from, in the order of `operation.from`. */
  readonly sources: readonly Relation[];
  readonly world: RebuildWorld;
}

/** A rebuild of this world. */
export function rebuilding(operation: Rebuild, world: RebuildWorld): Rebuilding {
  const pair = pairOf(world.naming, operation.table);
  return {
    operation,
    pair,
    spec: pair.spec,
    sources: operation.from.map((name) => relationOf(world.old, name)),
    world,
  };
}

/** The rebuild of a new table, if it is one. */
export function rebuildOf(
  world: { readonly operations: readonly Operation[] },
  table: string,
): Rebuild | undefined {
  return rebuildsOf(world).find((operation) => operation.table === table);
}

/** All rebuilds, in dependency order. */
export function rebuildsOf({
  operations,
}: {
  readonly operations: readonly Operation[];
}): readonly Rebuild[] {
  return operations.filter((operation) => operation.kind === 'rebuild');
}

/** The pair of a new table. */
export function pairOf(naming: Naming, table: string): Pair {
  const pair = naming.pairs.get(table);
  if (pair !== undefined) return pair;
  throw new VarveError('internal', {
    detail: { table },
    hint: 'Report this: a bundle names a table it does not hold.',
  });
}

/** The world as a plan sees it; `listOf` names what its statement defines. */
export function plannedWorld(scope: PlanScope, listOf: (table: string) => Sql): RebuildWorld {
  const { from, to, naming, operations, attribution, decisions, codeByTable, relations } = scope;
  const next = standing(relations, scope);
  return { from, to, naming, operations, attribution, decisions, codeByTable, old: relations, next, listOf };
}

/** The world of a run: what it builds is found by the run's id. */
export async function runWorld(store: Queryable, scope: RunScope): Promise<RebuildWorld> {
  const { from, to, naming, operations, attribution, decisions, context, world } = scope;
  const { live: old, building } = await runRelations(store, context.runId);
  const next = new Map(standing(old, scope));
  const lists = new Map<string, Sql>();
  for (const { table } of rebuildsOf(scope)) {
    const relation = building.get(table);
    if (relation === undefined) continue;
    next.set(table, relation);
    lists.set(table, listId(relation));
  }
  const listOf = (table: string): Sql => {
    const list = lists.get(table);
    if (list === undefined) throw fenced(table);
    return list;
  };
  const { codeByTable } = world;
  return { from, to, naming, operations, attribution, decisions, codeByTable, old, next, listOf };
}

/** The structure that this run builds. Errors: throws `run_fenced` where another process took it away. */
export function builtOf({ world, operation }: Rebuilding): Relation {
  const relation = world.next.get(operation.table);
  if (relation?.state !== 'building') throw fenced(operation.table);
  return relation;
}

/** Where the list of a structure stands that is built. */
export function listPlacement(next: Relation): Placement {
  return { schema: BUILD, table: `classes of ${String(next.id)}` };
}

function listId(next: Relation): Sql {
  return tableId(listPlacement(next));
}

function fenced(table: string): VarveError {
  return new VarveError('run_fenced', {
    detail: { table },
    hint: 'The run was settled by another process: look at `varve status`.',
  });
}

/** The tables that are not built anew, under their new names and definitions. */
function standing(
  old: Relations,
  { to, naming, operations }: Pick<RebuildWorld, 'to' | 'naming' | 'operations'>,
): Relations {
  const rebuilt = new Set(rebuildsOf({ operations }).map(({ table }) => table));
  const specs = new Map(to.tables.map((spec) => [spec.name, spec]));
  return new Map(
    [...old.values()].flatMap((relation): [string, Relation][] => {
      const name = heirOf(naming, relation.name);
      const spec = name === undefined ? undefined : specs.get(name);
      if (name === undefined || spec === undefined || rebuilt.has(name)) return [];
      return [[name, { ...relation, name, spec }]];
    }),
  );
}

import { refusal, type Finding } from '../base/index.ts';
import type { Queryable, Store } from '../store/index.ts';
import { findTable, type TableGraph } from './graph.ts';
import { walkRows, type Start, type WalkOptions, type WalkOutcome } from './row-set.ts';
import { isCircle, planWalk } from './walk.ts';

/** Rows chosen by conditions on several tables, as a value; each `restrict` narrows it. */
export interface Restriction {
  readonly starts: readonly Start[];
  readonly restrict: (start: Start) => Restriction;
  /**
   * Counts the rows that fulfil every condition on themselves and above them.
   *
   * Errors: refuses with `unknown_table`, `unrelated_table`, `where_invalid`, and with `definition_cycle` where tables
   * below a condition depend on each other in a circle, since "every parent is chosen" then has no first row.
   */
  readonly count: (database: Store | Queryable, options?: WalkOptions) => Promise<WalkOutcome>;
}

/**
 * The rows that fulfil a condition, and below them those all of whose restricted parents do: AND, where a cascade is OR.
 * The result is closed: no row of it refers to a row of a restricted table outside it.
 *
 * Shape: `restrict(graph, { table: 'lab.a', where: 'a = 1' }).restrict({ table: 'lab.b', where: 'b = 2' })`
 */
export function restrict(graph: TableGraph, ...starts: readonly Start[]): Restriction {
  return {
    starts,
    restrict: (start) => restrict(graph, ...starts, start),
    count: async (database, options = {}) => {
      const circle = findCircle(graph, starts);
      if (circle !== undefined) return { status: 'refused', findings: [circle] };
      const way = { toParents: false, throughParts: false, converge: 'all', keepParts: false } as const;
      return await walkRows(database, graph, { ...options, ...way, starts });
    },
  };
}

function findCircle(graph: TableGraph, starts: readonly Start[]): Finding | undefined {
  const seeds = starts.flatMap(({ table }) => {
    const found = findTable(graph, table);
    return 'table' in found ? [{ table: found.table }] : [];
  });
  const walk = planWalk(graph, seeds, { toParents: false, throughParts: false });
  const circle = walk.components.find((component) => isCircle(walk, component));
  if (circle?.[0] === undefined) return undefined;
  return refusal('definition_cycle', circle[0], {
    detail: { tables: circle },
    hint: 'Restrict a table below the circle, or ask for a cascade.',
  });
}

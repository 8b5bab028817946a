import { refusal, type Finding } from '../base/index.ts';
import { isStoreError, type Queryable, type Store } from '../store/index.ts';
import { findTable, type TableGraph } from './graph.ts';
import {
  faultyCondition,
  isFinding,
  readStart,
  walkRows,
  type Start,
  type StartSeed,
  type WalkOptions,
  type WalkOutcome,
} from './row-set.ts';
import { trace, type TraceOptions } from './trace.ts';
import { isCircle, planWalk, type Walk } from './walk.ts';
import { reachedCondition } from './walk-sql.ts';

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
  /**
   * The rows above those rows of the first table that fulfil every condition.
   *
   * Errors: those of `count`; `unrelated_table` too for a condition on a table that is not above the first one, for it
   * would narrow nothing.
   */
  readonly trace: (database: Store | Queryable, options?: TraceOptions) => Promise<WalkOutcome>;
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
      return await walkRows(database, graph, { ...options, ...DOWN, keepParts: false, starts });
    },
    trace: (database, options = {}) => traceChosen(database, graph, starts, options),
  };
}

const DOWN = { toParents: false, throughParts: false, converge: 'all' } as const;

async function traceChosen(
  database: Store | Queryable,
  graph: TableGraph,
  starts: readonly Start[],
  options: TraceOptions,
): Promise<WalkOutcome> {
  const circle = findCircle(graph, starts);
  if (circle !== undefined) return { status: 'refused', findings: [circle] };
  const seeds = await Promise.all(starts.map((start) => readStart(graph, start)));
  const findings = seeds.filter(isFinding);
  const found = seeds.filter((seed): seed is StartSeed => !isFinding(seed));
  const [first] = found;
  if (findings.length > 0 || first === undefined) return { status: 'refused', findings };
  const beside = found.filter(({ table }) => !reaches(graph, table, first.table));
  if (beside.length > 0) {
    return { status: 'refused', findings: beside.map(({ table }) => notAbove(table, first.table)) };
  }
  const walk: Walk = planWalk(graph, found, DOWN, DOWN.converge);
  const start = { table: first.table, condition: reachedCondition(walk, first.table) };
  try {
    return await trace(database, graph, start, options);
  } catch (error) {
    if (!isStoreError(error) || !/^(22|25|42)/u.test(error.fields.sqlstate)) throw error;
    const fault = await faultyCondition(database, graph, starts);
    if (fault === undefined) throw error;
    return { status: 'refused', findings: [fault] };
  }
}

function reaches(graph: TableGraph, from: string, to: string): boolean {
  return planWalk(graph, [{ table: from }], DOWN)
    .components.flat()
    .includes(to);
}

function notAbove(table: string, start: string): Finding {
  return refusal('unrelated_table', table, {
    detail: { start },
    hint: `Name a table above ${start}: \`varve trace ${start}\` lists them.`,
  });
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

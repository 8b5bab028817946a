import type { Queryable, Store } from '../store/index.ts';
import type { TableGraph } from './graph.ts';
import { walkRows, type Start, type WalkOptions, type WalkOutcome } from './row-set.ts';

/** How a trace goes up. */
export interface TraceOptions extends WalkOptions {
  /** Follow a master into its parts and on to their other parents (merge tables). Default false. */
  readonly throughParts?: boolean;
}

/**
 * The rows above the start rows: everything these were derived from, table by table, parents first.
 *
 * Shape: `{ status: 'ok', table: 'lab.scan', rows: 1, tables: [{ table: 'lab.mouse', rows: 1, via: [...] }, { table: 'lab.scan', rows: 1, via: [] }] }`
 * Units: `rows` counts rows of that table, each once; a table that no row leads to is listed with 0.
 * Invariant: one statement, whose cost follows edges and rows, not paths; several starts and several edges are OR.
 * Errors: refuses with `unknown_table`, `unrelated_table`, `where_invalid`.
 * Source: docs/concepts/cascade.md, "Row sets".
 */
export async function trace(
  database: Store | Queryable,
  graph: TableGraph,
  start: Start | readonly Start[],
  options: TraceOptions = {},
): Promise<WalkOutcome> {
  const { throughParts = false, ...rest } = options;
  const starts = 'table' in start ? [start] : start;
  return await walkRows(database, graph, {
    ...rest,
    starts,
    throughParts,
    toParents: true,
    converge: 'any',
    keepParts: false,
  });
}

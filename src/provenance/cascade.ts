import type { Queryable, Store } from '../store/index.ts';
import type { TableGraph } from './graph.ts';
import { walkRows, type Start, type WalkOptions, type WalkOutcome } from './row-set.ts';

/**
 * What becomes of a part's row whose master is not below the start:
 *
 * | value | meaning |
 * |---|---|
 * | `enforce` | refuse, naming table, keys and count |
 * | `ignore` | the part's row alone |
 * | `cascade` | its master too, and so all parts of that master |
 */
export type PartPolicy = 'enforce' | 'ignore' | 'cascade';

/** How a cascade goes down. */
export interface CascadeOptions extends WalkOptions {
  /** Default `enforce`. */
  readonly parts?: PartPolicy;
}

/**
 * The rows below the start rows: everything that depends on these, table by table, parents first. It only looks.
 *
 * Shape: `{ status: 'ok', table: 'lab.mouse', rows: 1, tables: [{ table: 'lab.mouse', rows: 1, via: [] }, { table: 'lab.session', rows: 4, via: [...] }, { table: 'lab.scan', rows: 0, via: [] }] }`
 * Units: `rows` counts rows of that table, each once; a table that no row reaches is listed with 0.
 * Invariant: one statement, whose cost follows edges and rows, not paths; several starts and several edges are OR.
 * Errors: refuses with `unknown_table`, `unrelated_table`, `where_invalid`, `part_without_master`.
 * Source: docs/concepts/cascade.md, "Row sets".
 */
export async function cascade(
  database: Store | Queryable,
  graph: TableGraph,
  start: Start | readonly Start[],
  options: CascadeOptions = {},
): Promise<WalkOutcome> {
  const { parts = 'enforce', ...rest } = options;
  const starts = 'table' in start ? [start] : start;
  return await walkRows(database, graph, {
    ...rest,
    starts,
    toParents: false,
    throughParts: parts === 'cascade',
    converge: 'any',
    keepParts: parts === 'enforce',
  });
}

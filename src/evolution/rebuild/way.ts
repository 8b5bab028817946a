/** One way in which values are found that no old row has. */
import type { Sql } from '../../store/index.ts';
import type { Test } from './row-test.ts';

/** What it joins to an old row, the values by column, and what it says of rows for which it finds none. */
export interface Way {
  readonly joins: readonly Sql[];
  readonly values: ReadonlyMap<string, Sql>;
  readonly tests: readonly Test[];
}

/** Nothing is found in this way. */
export const NO_WAY: Way = { joins: [], values: new Map(), tests: [] };

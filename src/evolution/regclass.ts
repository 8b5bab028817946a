import type { Placement } from '../pipeline/index.ts';
import { quoteIdentifier } from '../store/index.ts';

/** The text that the database reads back as this table. */
export function regclass({ schema, table }: Placement): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}

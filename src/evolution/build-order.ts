/** The order in which new structures are built and filled. */
import { dependenciesOf, type DefinitionSet } from '../pipeline/index.ts';
import type { Operation } from './operation/operation.ts';

/**
 * Parents before children; and what does not depend on a make under observation comes before all that does, for such a
 * make may read any table without saying so, and is to find it filled.
 */
export function buildOrder(
  operations: readonly Operation[],
  { tables }: DefinitionSet,
): readonly Operation[] {
  const late = new Set<string>();
  for (const spec of tables) {
    const isLate = spec.strict === 'observe' || [...dependenciesOf(spec)].some((name) => late.has(name));
    if (isLate) late.add(spec.name);
  }
  const isLate = ({ table }: Operation): boolean => late.has(table);
  return [...operations.filter((each) => !isLate(each)), ...operations.filter(isLate)];
}

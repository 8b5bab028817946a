/** Sets of columns of which no two rows hold the same values from now on, where the old structure did not see to it. */
import type { TableSpec } from '../../pipeline/index.ts';
import type { Rebuilding } from './world.ts';
import { ruleOf } from './values.ts';

/** Those that are new, or that hold values which no old row had. */
export function newUniqueSets(of: Rebuilding): readonly (readonly string[])[] {
  const { spec, pair, operation, world } = of;
  const known = pair.sources.flatMap((old, index) => {
    const names = new Map(Object.entries(pair.columns[index] ?? {}).map(([now, was]) => [was, now]));
    return uniqueSets(old).map((columns) => asText(columns.map((name) => names.get(name) ?? '')));
  });
  return uniqueSets(spec).filter((columns) => {
    const isCopied = columns.every(
      (column) =>
        operation.columns[column]?.from === 'same' &&
        ruleOf(world.attribution, operation.table, column) === undefined,
    );
    return !(isCopied && known.includes(asText(columns)));
  });
}

function uniqueSets(spec: TableSpec): readonly (readonly string[])[] {
  return [
    ...spec.unique,
    ...spec.columns.filter(({ unique }) => unique === true).map(({ name }) => [name]),
    ...spec.foreignKeys.filter(({ unique }) => unique).map(({ columns }) => Object.keys(columns)),
  ];
}

function asText(columns: readonly string[]): string {
  return JSON.stringify(columns.toSorted());
}

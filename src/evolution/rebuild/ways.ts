/**
 * How values are found that no old row has: from the row above, a recorded read, a table that is new, the contents of a
 * lookup, or a rule of the bundle; and what each way says of the rows for which it finds none.
 */
import { sql, type Sql } from '../../store/index.ts';
import { fillsOf } from './fill.ts';
import { copiedKey, fitsType, leads, repointedKeys } from './fitting.ts';
import { insertedWays } from './inserted-ways.ts';
import { parentWays } from './parent-ways.ts';
import { recordedKeys, recordedWays } from './recorded-ways.ts';
import type { Facts, Test } from './row-test.ts';
import { contentsWay, decisionWay, isDecidable, ruleWays, unlessDecided } from './ruled-ways.ts';
import { copiedValue, foundColumn, ruleOf, typeOf } from './values.ts';
import type { Rebuilding } from './world.ts';

/** What all ways join, find and say. */
export interface Ways {
  readonly joins: readonly Sql[];
  /** The found values, in the order of `foundColumns`. */
  readonly values: readonly Sql[];
  readonly tests: readonly Test[];
}

/** How values are found that are not copied: each way joins what it looks at, once. */
export function waysOf(of: Rebuilding, found: readonly string[], facts: Facts): Ways {
  const parents = parentWays(of);
  const reads = recordedWays(of, facts);
  const inserted = insertedWays(of);
  const contents = contentsWay(of);
  const rules = ruleWays(of, found);
  const decided = decisionWay(of);
  const all = new Map([...parents.values, ...reads.values, ...inserted.values, ...contents.values]);
  const values = found.map((column) => {
    const type = sql.raw(typeOf(of.spec, column));
    const rule = rules.values.get(column);
    const source = of.operation.columns[column];
    const value = all.get(column) ?? (source === undefined ? undefined : fittingValue(of, column, facts));
    const said = isDecidable(of, column) ? sql`d.${foundColumn(found.indexOf(column))}` : undefined;
    const known = [value, rule, said].filter((each) => each !== undefined);
    return known.length > 1 ? sql`coalesce(${sql.join(known)})` : (known[0] ?? sql`null::${type}`);
  });
  const ways = [parents, unlessDecided(of, reads), unlessDecided(of, inserted), contents, rules, decided];
  const fills = fillsOf(of, recordedKeys(of), (child) => {
    const place = found.indexOf(child);
    return place < 0 ? undefined : values[place];
  });
  return {
    joins: [...ways.flatMap(({ joins }) => joins), ...fills.joins],
    values,
    tests: [...ways.flatMap(({ tests }) => tests), ...fills.tests],
  };
}

/** What the old row has, unless a rule is there for the rows in which it does not fit. */
function fittingValue(of: Rebuilding, column: string, facts: Facts): Sql | undefined {
  const { spec, operation, world } = of;
  const source = operation.columns[column];
  const value = source === undefined ? undefined : copiedValue(of, column, source);
  if (value === undefined || ruleOf(world.attribution, spec.name, column) === undefined) return value;
  const fits = [
    ...(source?.from === 'cast' ? [fitsType(source, typeOf(spec, column), facts)] : []),
    ...repointedKeys(of)
      .filter(({ columns }) => columns[column] !== undefined)
      .flatMap((key) => leads(of, key, copiedKey(of, key) ?? []) ?? []),
  ];
  return fits.length === 0 ? value : sql`case when ${sql.join(fits, sql` and `)} then ${value} end`;
}

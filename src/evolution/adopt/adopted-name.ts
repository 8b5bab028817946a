/**
 * What tables that stand in a database are called in definitions, and which tier they are of.
 *
 * | DataJoint's name | tier | called |
 * |---|---|---|
 * | `mouse` | manual | `mouse` |
 * | `#species` | lookup | `species` |
 * | `_scan` | imported | `scan` |
 * | `__score` | computed | `score` |
 * | `_scan__field`, `scan__field` | part `field` of `_scan`, `scan` | `scan__field` |
 * | `~log`, `~~score` | none: DataJoint's own | - |
 */
import type { Tier } from '../../pipeline/index.ts';

/** A tier by its prefix; the longer one first. */
const PREFIXES: readonly (readonly [prefix: string, tier: Tier])[] = [
  ['#', 'lookup'],
  ['__', 'computed'],
  ['_', 'imported'],
];

/** A name taken apart by DataJoint's conventions. */
export interface PrefixedName {
  readonly tier: Tier;
  /** Without the prefix. */
  readonly name: string;
}

/** The tier that a name tells, and the name without its prefix. */
export function prefixedName(table: string): PrefixedName {
  const found = PREFIXES.find(([prefix]) => table.startsWith(prefix) && table.length > prefix.length);
  return found === undefined
    ? { tier: 'manual', name: table }
    : { tier: found[1], name: table.slice(found[0].length) };
}

/** Whether a table is what DataJoint keeps for itself: jobs, logs, lineage. */
export function isOwnOfDataJoint(table: string): boolean {
  return table.startsWith('~');
}

/** Master and label that a name tells: of `_scan__field`, `_scan` and `field`; the prefix is the master's. */
export function partName(table: string): { readonly master: string; readonly label: string } | undefined {
  const prefix = PREFIXES.find(([each]) => table.startsWith(each))?.[0] ?? '';
  const at = table.indexOf('__', prefix.length + 1);
  const label = table.slice(at + 2);
  return at < 0 || label === '' ? undefined : { master: table.slice(0, at), label };
}

/**
 * Where a table of this name and tier may stand: under its own name, under the one that DataJoint gives its tier, or that
 * of another tier, for definitions may know better. A part goes by the tier of its master.
 */
export function standingNames(name: string, tier: Tier, masterTier?: Tier): readonly string[] {
  const own = tier === 'part' ? masterTier : tier;
  const prefixes = [
    ...PREFIXES.filter(([, each]) => each === own),
    ...PREFIXES.filter(([, each]) => each !== own),
  ];
  return [name, ...prefixes.map(([prefix]) => `${prefix}${name}`)];
}

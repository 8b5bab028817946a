import type { Finding } from '../../base/index.ts';
import { inexpressible, nameOf, type DraftKey, type DraftTable } from './draft-table.ts';

/** A table and its parts, which are defined in one go. */
interface Unit {
  readonly master: DraftTable;
  readonly tables: readonly DraftTable[];
}

/**
 * Tables in an order in which every foreign key leads to one that is defined before. Foreign keys that go round in a
 * circle are taken away until none does, references first.
 */
export function orderUnits(tables: readonly DraftTable[]): {
  readonly tables: readonly DraftTable[];
  readonly findings: readonly Finding[];
} {
  const findings: Finding[] = [];
  const units = tables
    .filter(({ master }) => master === undefined)
    .map((master): Unit => ({
      master,
      tables: [master, ...tables.filter((each) => each.master === master)],
    }));
  const left = new Set(units);
  const ordered: DraftTable[] = [];
  while (left.size > 0) {
    const next = [...left].find((unit) => blockers(unit, left).length === 0);
    if (next === undefined) findings.push(...breakCircle([...left], left));
    else {
      left.delete(next);
      ordered.push(...partsInOrder(next));
    }
  }
  return { tables: ordered, findings };
}

/** Foreign keys to tables that are not defined yet. */
function blockers(
  unit: Unit,
  left: ReadonlySet<Unit>,
): readonly { readonly table: DraftTable; readonly key: DraftKey }[] {
  return unit.tables.flatMap((table) =>
    [...table.references, ...table.parents]
      .filter(({ to }) => [...left].some((other) => other !== unit && other.tables.includes(to)))
      .map((key) => ({ table, key })),
  );
}

function breakCircle(units: readonly Unit[], left: ReadonlySet<Unit>): readonly Finding[] {
  const all = circle(units, left).flatMap((unit) => blockers(unit, left));
  const cut = all.find(({ table, key }) => table.references.includes(key)) ?? all[0];
  if (cut === undefined) return [];
  const { table, key } = cut;
  table.references = table.references.filter((each) => each !== key);
  table.parents = table.parents.filter((each) => each !== key);
  if (table.parents.length === 0 && ['computed', 'imported'].includes(table.tier)) table.tier = 'manual';
  const columns = Object.keys(key.columns).join(', ');
  return [
    inexpressible(
      `${nameOf(table.standing)} (${columns})`,
      `a foreign key: with others it leads from ${nameOf(table.standing)} back to it`,
      'The database keeps to it as before; definitions know no circles.',
    ),
  ];
}

/** Units that lie on a circle, found by following blockers until one comes again. */
function circle(units: readonly Unit[], left: ReadonlySet<Unit>): readonly Unit[] {
  const path: Unit[] = [];
  let unit = units[0];
  while (unit !== undefined && !path.includes(unit)) {
    path.push(unit);
    const [blocker] = blockers(unit, left);
    unit = blocker && [...left].find(({ tables }) => tables.includes(blocker.key.to));
  }
  return unit === undefined ? path : path.slice(path.indexOf(unit));
}

/** A part comes after the part that it lies within. */
function partsInOrder({ master, tables }: Unit): readonly DraftTable[] {
  const depth = (table: DraftTable): number => (table.within === undefined ? 0 : 1 + depth(table.within));
  const parts = tables.filter((table) => table !== master);
  return [master, ...parts.toSorted((left, right) => depth(left) - depth(right))];
}

/**
 * What a table waits for, so that one populate drives a whole graph without waiting for full tables.
 *
 * A table follows another key by key where the key itself says that its inputs are there: the other is a parent, and is
 * read only as the one row that the key leads to. Everything else that a make can see of another table (many rows, a row
 * that may come later, a foreign key beside the key) waits until that table is finished.
 */
import type { DefinitionSet } from '../definition-set.ts';
import type { ForeignKeySpec, ReadSpec, TableSpec } from '../spec.ts';

/** The computed tables above one, as `schema.table` of their masters. */
export interface Upstream {
  /** Whose rows bring this table's keys: each key follows as soon as its row is there. */
  readonly followed: readonly string[];
  /** Which have to be finished first. */
  readonly awaited: readonly string[];
}

/** What each of these tables has above it among them. */
export function upstreamOf(set: DefinitionSet, targets: readonly TableSpec[]): ReadonlyMap<string, Upstream> {
  const specByName = new Map(set.tables.map((spec) => [spec.name, spec]));
  const names = new Set(targets.map(({ name }) => name));
  return new Map(targets.map((spec) => [spec.name, upstreamOfOne(spec, specByName, names)]));
}

function upstreamOfOne(
  spec: TableSpec,
  specByName: ReadonlyMap<string, TableSpec>,
  targets: ReadonlySet<string>,
): Upstream {
  const unitOf = (table: string): string => specByName.get(table)?.master ?? table;
  const isAbove = (table: string): boolean => table !== spec.name && targets.has(table);
  const parts = Object.values(spec.parts).flatMap((name) => specByName.get(name) ?? []);
  const parents = spec.foreignKeys.filter(({ kind }) => kind === 'primary');
  const followed = new Set(parents.map(({ to }) => unitOf(to)).filter(isAbove));
  const awaited = new Set(
    [
      ...spec.foreignKeys.filter(({ kind }) => kind === 'secondary').map(({ to }) => to),
      ...parts.flatMap((part) => part.foreignKeys.map(({ to }) => to)),
      ...spec.reads.filter((read) => !isParentRow(spec, read, parents)).map(({ table }) => table),
    ]
      .map(unitOf)
      .filter(isAbove),
  );
  // Tables between this one and an awaited one need no edge of their own: they are awaited in their turn.
  return { followed: [...followed].filter((name) => !awaited.has(name)), awaited: [...awaited] };
}

/** Whether a read is of the very row that a parent's foreign key leads to. */
function isParentRow(spec: TableSpec, read: ReadSpec, parents: readonly ForeignKeySpec[]): boolean {
  if (spec.form !== 'make' || read.cardinality !== 'one') return false;
  return parents.some(
    ({ to, columns }) =>
      to === read.table &&
      Object.entries(columns).every(([child, parent]) => {
        const origin = read.match[parent];
        return origin?.kind === 'key' && origin.column === child;
      }),
  );
}

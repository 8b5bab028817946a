/** What the changes that are about foreign keys share. */
import type { ForeignKeySpec } from '../../pipeline/index.ts';
import type { Pair } from '../naming.ts';
import type { ChangeWorld, ColumnSource } from './change.ts';

/** Foreign keys that go on from no old one. */
export function newKeys({ spec, keys, sources }: Pair): readonly ForeignKeySpec[] {
  if (sources.length === 0) return [];
  return spec.foreignKeys.filter(
    ({ name, kind }) => kind !== 'part' && !keys.some((matched) => matched[name] !== undefined),
  );
}

/** Where the columns come from that a new foreign key brings. */
export function keyValues(
  pair: Pair,
  reference: string,
  { naming }: ChangeWorld,
): Readonly<Record<string, ColumnSource>> {
  const key = pair.spec.foreignKeys.find(({ name }) => name === reference);
  if (key === undefined) return {};
  const isNew = (naming.pairs.get(key.to)?.sources.length ?? 0) === 0;
  const from = isNew ? 'inserted' : 'recorded';
  return Object.fromEntries(
    Object.entries(key.columns)
      .filter(([child]) => !pair.columns.some((columns) => columns[child] !== undefined))
      .map(([child, column]) => [child, { from, table: key.to, reference, column } as const]),
  );
}

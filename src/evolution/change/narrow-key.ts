import { words, type ChangeType, type NarrowKey } from './change.ts';

/** Fewer columns name a row: two rows on one key are ambiguous. */
export const narrowKey: ChangeType<NarrowKey> = {
  kind: 'narrow_key',
  find: (pair) => {
    const [old] = pair.sources;
    const names = new Map(Object.entries(pair.columns[0] ?? {}).map(([now, was]) => [was, now]));
    const gone = (old?.primaryKey ?? []).filter(
      (column) => !pair.spec.primaryKey.includes(names.get(column) ?? ''),
    );
    return gone.length === 0 ? [] : [{ kind: 'narrow_key', columns: gone }];
  },
  describe: ({ columns }, table) => words('narrow', `${table} without ${columns.join(', ')}`),
};

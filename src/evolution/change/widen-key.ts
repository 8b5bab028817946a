/** More columns name a row: those of a new primary foreign key, or own ones. */
import { words, type ChangeType, type WidenKey } from './change.ts';
import { keyValues, newKeys } from './foreign-key.ts';

/** Rows that are known to have read one row get its key; where several were read, the rows are computed anew. */
export const widenKey: ChangeType<WidenKey> = {
  kind: 'widen_key',
  find: (pair) => {
    const known = pair.columns[0] ?? {};
    const keys = newKeys(pair).filter(({ kind }) => kind !== 'secondary');
    const added = keys
      .map(({ name, to, columns }) => ({
        to,
        reference: name,
        columns: Object.keys(columns).filter((column) => known[column] === undefined),
      }))
      .filter(({ columns }) => columns.length > 0);
    const byKey = new Set(pair.spec.foreignKeys.flatMap(({ columns }) => Object.keys(columns)));
    const [old] = pair.sources;
    const own = pair.spec.primaryKey.filter(
      (column) =>
        !byKey.has(column) &&
        (known[column] === undefined || old?.primaryKey.includes(known[column]) !== true),
    );
    return [
      ...added.map((each): WidenKey => ({ kind: 'widen_key', ...each })),
      ...(own.length === 0 ? [] : [{ kind: 'widen_key' as const, columns: own }]),
    ];
  },
  describe: ({ to, columns }, table) =>
    words(
      'widen',
      to === undefined ? `${table} by ${columns.join(', ')}` : `${table} by ${to} (${columns.join(', ')})`,
    ),
  values: (change, pair, world) =>
    change.reference === undefined ? {} : keyValues(pair, change.reference, world),
};

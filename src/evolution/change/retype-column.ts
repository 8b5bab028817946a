import type { Pair } from '../naming.ts';
import { words, type ChangeType, type ColumnSource, type RetypeColumn } from './change.ts';

/** A column of another type: kept where the value is the same in it. */
export const retypeColumn: ChangeType<RetypeColumn> = {
  kind: 'retype_column',
  find: (pair) =>
    pair.sources.flatMap((_, index) =>
      Object.entries(pair.columns[index] ?? {}).flatMap(([now, was]): RetypeColumn[] => {
        const types = [typeOf(pair.sources[index], was), typeOf(pair.spec, now)];
        return types[0] === types[1]
          ? []
          : [{ kind: 'retype_column', column: now, was: types[0] ?? '', now: types[1] ?? '' }];
      }),
    ),
  describe: ({ column, was, now }, table) => words('retype', `${table}.${column} ${was} -> ${now}`),
  values: ({ column, was }, pair): Readonly<Record<string, ColumnSource>> => {
    const source = pair.columns.findIndex((columns) => columns[column] !== undefined);
    const old = pair.columns[source]?.[column];
    return old === undefined ? {} : { [column]: { from: 'cast', source, column: old, was } };
  },
};

function typeOf(spec: Pair['spec'] | undefined, column: string): string | undefined {
  return spec?.columns.find(({ name }) => name === column)?.type;
}

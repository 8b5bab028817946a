import type { TableSpec } from '../../pipeline/index.ts';
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

/** What a make is given of a type in JavaScript, in words; undefined where only its definition knows. */
function givenAs(type: string): string | undefined {
  if (type.endsWith('[]')) return undefined;
  return GIVEN.find(([pattern]) => pattern.test(type))?.[1];
}

const GIVEN: readonly (readonly [RegExp, string])[] = [
  [/^(?:smallint|integer|real|double precision)$/u, 'a number'],
  [/^bigint$/u, 'a bigint'],
  [/^boolean$/u, 'a boolean'],
  [/^bytea$/u, 'bytes'],
  [/^(?:text|uuid|numeric|date|time|timestamp|interval)/u, 'text'],
];

/**
 * What to tell of makes that read a column of another type: equal values have equal digests whatever their type is, so what
 * was made of them is kept, although a make is given something else now. Undefined where it is given the same, or nobody reads.
 */
export function readAsOther(
  { column, was, now }: RetypeColumn,
  table: string,
  tables: readonly TableSpec[],
): string | undefined {
  const [before, after] = [givenAs(was), givenAs(now)];
  if (before === undefined || after === undefined || before === after) return undefined;
  const readers = tables.filter(
    ({ name, form, reads }) =>
      name !== table &&
      form !== undefined &&
      reads.some((read) => read.table === table && read.columns.includes(column)),
  );
  if (readers.length === 0) return undefined;
  return `${table}.${column} is given to makes as ${after}, no longer as ${before}: what ${readers.map(({ name }) => name).join(', ')} made of the same values is kept. Change a make that minds, and its rows are computed anew; whether the others give the same shows \`varve verify --sample\` after the apply`;
}

function typeOf(spec: Pair['spec'] | undefined, column: string): string | undefined {
  return spec?.columns.find(({ name }) => name === column)?.type;
}

import { words, type AddColumn, type ChangeType, type ColumnSource } from './change.ts';

/** A column: its default or nothing where that is right, the make's answer in a computed table. */
export const addColumn: ChangeType<AddColumn> = {
  kind: 'add_column',
  find: (pair) => {
    const byKey = new Set(pair.spec.foreignKeys.flatMap(({ columns }) => Object.keys(columns)));
    return pair.spec.columns
      .filter(({ name }) => !byKey.has(name) && !pair.columns.some((columns) => columns[name] !== undefined))
      .map(({ name }) => ({ kind: 'add_column', column: name }));
  },
  describe: ({ column }, table) => words('add', `${table}.${column}`),
  values: ({ column }, { spec }): Readonly<Record<string, ColumnSource>> => {
    if (spec.contents !== undefined) return { [column]: { from: 'contents' } };
    const of = spec.columns.find(({ name }) => name === column);
    const isOpen = of?.nullable === true || of?.default !== undefined;
    const isMade = spec.form !== undefined || spec.master !== undefined;
    return { [column]: { from: isOpen && !isMade ? 'default' : 'make' } };
  },
};

import { words, type ChangeType, type InsertTable } from './change.ts';

/** A table that is new and that rows of others are given rows of: it is computed before they are. */
export const insertTable: ChangeType<InsertTable> = {
  kind: 'insert_table',
  find: ({ sources }) => (sources.length === 0 ? [{ kind: 'insert_table' }] : []),
  describe: (_, table) => words('insert', table),
};

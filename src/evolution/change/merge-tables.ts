import { words, type ChangeType, type MergeTables } from './change.ts';

/** Rows of several tables joined on their key; one without a partner is ambiguous. */
export const mergeTables: ChangeType<MergeTables> = {
  kind: 'merge_tables',
  find: ({ sources }) =>
    sources.length < 2 ? [] : [{ kind: 'merge_tables', of: sources.map(({ name }) => name) }],
  describe: ({ of }, table) => words('merge', `${of.join(', ')} -> ${table}`),
};

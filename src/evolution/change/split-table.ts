import { words, type ChangeType, type SplitTable } from './change.ts';

/** One of several tables that the columns of one go to. */
export const splitTable: ChangeType<SplitTable> = {
  kind: 'split_table',
  find: ({ sources }, { naming }) => {
    const [old] = sources;
    return old === undefined || (naming.heirs.get(old.name)?.length ?? 0) < 2
      ? []
      : [{ kind: 'split_table', of: old.name }];
  },
  describe: ({ of }, table) => words('split', `${of} -> ${table}`),
};

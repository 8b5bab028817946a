import { words, type ChangeType, type RenameColumn } from './change.ts';

/** A column under another name. */
export const renameColumn: ChangeType<RenameColumn> = {
  kind: 'rename_column',
  find: (pair) =>
    Object.entries(pair.columns[0] ?? {})
      .filter(([now, was]) => now !== was)
      .map(([now, was]) => ({ kind: 'rename_column', column: now, was })),
  describe: ({ column, was }, table) => words('rename', `${table}.${was} -> ${column}`),
};

import { words, type ChangeType, type DropColumn } from './change.ts';

/** A column that is no more: its values stay in history. */
export const dropColumn: ChangeType<DropColumn> = {
  kind: 'drop_column',
  find: (pair, { naming }) => {
    const [old] = pair.sources;
    if (old === undefined || (naming.heirs.get(old.name)?.length ?? 0) > 1) return [];
    const kept = new Set(Object.values(pair.columns[0] ?? {}));
    return old.columns
      .filter(({ name }) => !kept.has(name))
      .map(({ name }) => ({ kind: 'drop_column', column: name }));
  },
  describe: ({ column }, table) => words('drop', `${table}.${column}`),
};

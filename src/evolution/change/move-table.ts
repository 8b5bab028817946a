import { words, type ChangeType, type MoveTable } from './change.ts';

/** Another name, another schema, or a part that becomes a table, and back. */
export const moveTable: ChangeType<MoveTable> = {
  kind: 'move_table',
  find: ({ sources, spec }, { naming }) => {
    const [old, another] = sources;
    if (old === undefined || another !== undefined || old.name === spec.name) return [];
    return (naming.heirs.get(old.name)?.length ?? 0) > 1 ? [] : [{ kind: 'move_table', was: old.name }];
  },
  describe: ({ was }, table) => words('move', `${was} -> ${table}`),
};

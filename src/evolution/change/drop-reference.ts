import { words, type ChangeType, type DropReference } from './change.ts';

/** A foreign key that is no more: the rows are kept. */
export const dropReference: ChangeType<DropReference> = {
  kind: 'drop_reference',
  find: (pair) => {
    const [old] = pair.sources;
    const goesOn = new Set(Object.values(pair.keys[0] ?? {}));
    return (old?.foreignKeys ?? [])
      .filter((key) => !goesOn.has(key))
      .map(({ to }) => ({ kind: 'drop_reference', to }));
  },
  describe: ({ to }, table) => words('undeclare', `${table} -> ${to}`),
};

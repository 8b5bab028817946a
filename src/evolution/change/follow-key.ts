import { words, type ChangeType, type ColumnSource, type FollowKey } from './change.ts';

/** A foreign key goes on to a row above whose key changed: the row below takes the new one along. */
export const followKey: ChangeType<FollowKey> = {
  kind: 'follow_key',
  find: (pair) => {
    const known = pair.columns[0] ?? {};
    return pair.spec.foreignKeys
      .filter(({ name }) => pair.keys[0]?.[name] !== undefined)
      .filter(({ columns }) => Object.keys(columns).some((column) => known[column] === undefined))
      .map(({ to }) => ({ kind: 'follow_key', to }));
  },
  describe: ({ to }, table) => words('follow', `${table} the key of ${to}`),
  values: ({ to }, pair) => {
    const known = pair.columns[0] ?? {};
    const values: Record<string, ColumnSource> = {};
    for (const now of pair.spec.foreignKeys.filter((key) => key.to === to)) {
      const was = pair.keys[0]?.[now.name];
      if (was === undefined) continue;
      for (const [child, column] of Object.entries(now.columns)) {
        if (known[child] !== undefined) continue;
        values[child] = {
          from: 'parent',
          source: 0,
          key: was.columns,
          old: was.to,
          table: to,
          column,
          optional: was.optional,
        };
      }
    }
    return values;
  },
};

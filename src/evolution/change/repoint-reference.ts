import { words, type ChangeType, type RepointReference } from './change.ts';
import { newKeys } from './foreign-key.ts';

/** Columns that are there already lead to a table that they did not lead to: rows are kept where it has the same rows. */
export const repointReference: ChangeType<RepointReference> = {
  kind: 'repoint_reference',
  find: (pair) =>
    newKeys(pair)
      .filter(({ columns }) => Object.keys(columns).every((name) => pair.columns[0]?.[name] !== undefined))
      .map(({ name, to }) => ({ kind: 'repoint_reference', reference: name, to })),
  describe: ({ to }, table) => words('repoint', `${table} -> ${to}`),
};

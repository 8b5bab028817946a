/**
 * A recorded undeclared read becomes a secondary foreign key: rows keep their values and get the key of the row that they
 * are known to have read.
 */
import { words, type ChangeType, type DeclareReference } from './change.ts';
import { keyValues, newKeys } from './foreign-key.ts';

/** See the header. */
export const declareReference: ChangeType<DeclareReference> = {
  kind: 'declare_reference',
  find: (pair) =>
    newKeys(pair)
      .filter(({ kind }) => kind === 'secondary')
      .filter(({ columns }) => Object.keys(columns).some((name) => pair.columns[0]?.[name] === undefined))
      .map(({ name, to, columns }) => ({ kind: 'declare_reference', reference: name, to, columns })),
  describe: ({ to }, table) => words('declare', `${table} -> ${to}`),
  values: (change, pair, world) => keyValues(pair, change.reference, world),
};

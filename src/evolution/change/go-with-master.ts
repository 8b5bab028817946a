import { words, type ChangeType, type GoWithMaster } from './change.ts';

/** A part of a master that is built anew: what becomes of its rows is what becomes of the master's. */
export const goWithMaster: ChangeType<GoWithMaster> = {
  kind: 'go_with_master',
  find: ({ spec }) => (spec.master === undefined ? [] : [{ kind: 'go_with_master', master: spec.master }]),
  describe: ({ master }, table) => words('follow', `${table} its master ${master}`),
};

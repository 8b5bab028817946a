import { movedReads } from '../naming.ts';
import { words, type ChangeReads, type ChangeType } from './change.ts';

/** What a make reads: rows whose recorded inputs do not cover it are computed anew. */
export const changeReads: ChangeType<ChangeReads> = {
  kind: 'change_reads',
  find: (pair, { naming }) => {
    const [old, another] = pair.sources;
    if (old === undefined || another !== undefined || pair.spec.form === undefined) return [];
    const reads = movedReads(old, pair, naming);
    return reads.length === 0 ? [] : [{ kind: 'change_reads', reads }];
  },
  describe: ({ reads }, table) => words('reads', `${table} ${reads.join(', ')}`),
};

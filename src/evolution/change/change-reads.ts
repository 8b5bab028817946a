import { sameJson } from '../../pipeline/index.ts';
import { underNewNames } from '../naming.ts';
import { words, type ChangeReads, type ChangeType } from './change.ts';

/** What a make reads: rows whose recorded inputs do not cover it are computed anew. */
export const changeReads: ChangeType<ChangeReads> = {
  kind: 'change_reads',
  find: (pair, { naming }) => {
    const old = underNewNames(pair, naming);
    if (old === undefined || pair.spec.form === undefined) return [];
    const moved = pair.spec.reads.filter((read) => {
      const was = old.reads.find(({ name }) => name === read.name);
      return was === undefined || !sameJson({ ...was, columns: [] }, { ...read, columns: [] });
    });
    return moved.length === 0 ? [] : [{ kind: 'change_reads', reads: moved.map(({ name }) => name) }];
  },
  describe: ({ reads }, table) => words('reads', `${table} ${reads.join(', ')}`),
};

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
      // A column that a table above got makes nothing of what was computed before it different.
      const isWider = was?.columns.every((column) => read.columns.includes(column)) === true;
      return was === undefined || !isWider || !sameJson({ ...was, columns: [] }, { ...read, columns: [] });
    });
    return moved.length === 0 ? [] : [{ kind: 'change_reads', reads: moved.map(({ name }) => name) }];
  },
  describe: ({ reads }, table) => words('reads', `${table} ${reads.join(', ')}`),
};

import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare, lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

type Reading = 'source' | 'source and sides' | 'a column';

function reads(what: Reading): Pipeline {
  return lab((given, s) => {
    const side = given.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
    const options = { parents: [s], columns: { value: t.integer() } } as const;
    if (what === 'source')
      given.computed('r', { ...options, reads: { s }, make: (inputs) => ({ value: inputs.s.v }) });
    if (what === 'a column')
      given.computed('r', {
        ...options,
        reads: { s: s.columns('v') },
        make: (inputs) => ({ value: inputs.s.v }),
      });
    if (what === 'source and sides')
      given.computed('r', {
        ...options,
        reads: { s, sides: side.all() },
        make: (inputs) => ({ value: inputs.s.v + inputs.sides.reduce((sum, { off }) => sum + off, 0) }),
      });
  });
}

/** The source alone is read, and has one more column. */
function widerSource(): Pipeline {
  return bare((given) => {
    const columns = { v: t.integer(), more: t.integer().default(0) };
    const s = given.manual('s', { key: { s: t.integer() }, columns });
    given.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s },
      make: (inputs) => ({ value: inputs.s.v }),
    });
  });
}

const ROWS = `${TWO_SOURCES} insert into lab.side values (1, 7);`;
const OLD = [
  { s: 1, value: 10 },
  { s: 2, value: 20 },
];
const NEW = [
  { s: 1, value: 17 },
  { s: 2, value: 27 },
];

lifecycleTable('change_reads', [
  {
    name: 'a read of which nothing is recorded has the rows computed',
    given: { from: reads('source'), to: reads('source and sides'), rows: ROWS },
    look: 'lab.r',
    wantWords: ['reads lab.r sides'],
    wantCounts: { 'lab.r': { recompute: 2 } },
    afterApply: NEW,
    afterRollback: OLD,
    afterSecondApply: NEW,
  },
  {
    name: 'a read that is no more leaves the rows as they are, if the make gives the same',
    given: { from: reads('source and sides'), to: reads('source'), rows: TWO_SOURCES },
    look: 'lab.r',
    wantCounts: { 'lab.r': { keep: 2 } },
    afterApply: OLD,
    afterRollback: OLD,
    afterSecondApply: OLD,
  },
  {
    name: 'and is found out if it does not',
    given: { from: reads('source and sides'), to: reads('source'), rows: ROWS },
    look: 'lab.r',
    wantCounts: { 'lab.r': { keep: 2 } },
    wantApplyFindings: ['make_changed'],
  },
  {
    name: 'also where what it goes on reading has a column more',
    given: { from: reads('source and sides'), to: widerSource(), rows: ROWS },
    look: 'lab.r',
    wantCounts: { 'lab.r': { keep: 2 } },
    wantApplyFindings: ['make_changed'],
  },
  {
    name: 'less of a row that was read is less than what is recorded',
    given: { from: reads('source'), to: reads('a column'), rows: ROWS },
    look: 'lab.r',
    afterApply: OLD,
    afterRollback: OLD,
    afterSecondApply: OLD,
  },
]);

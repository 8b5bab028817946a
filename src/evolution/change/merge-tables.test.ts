import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { lab } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

function apart(): Pipeline {
  return lab((given, s) => {
    given.manual('a', { parents: [s], columns: { x: t.integer() } });
    const b = given.manual('b', { parents: [s], columns: { y: t.integer() } });
    given.computed('d', {
      parents: [b],
      columns: { z: t.integer() },
      reads: { b },
      make: (inputs) => ({ z: inputs.b.y * 2 }),
    });
  });
}

function together(isOpen = false): Pipeline {
  const y = isOpen ? (t.integer().nullable() as unknown as ReturnType<typeof t.integer>) : t.integer();
  return lab((given, s) => {
    const m = given.manual('m', {
      mergedFrom: ['a', 'b'],
      parents: [s],
      columns: { x: t.integer(), y },
    });
    given.computed('d', {
      parents: [m],
      columns: { z: t.integer() },
      reads: { b: m.columns('y') },
      make: (inputs) => ({ z: inputs.b.y * 2 }),
    });
  });
}

const SOURCES = 'insert into lab.s select i, i from generate_series(1, 100) i;';
const ALL = `${SOURCES} insert into lab.a select i, i from generate_series(1, 100) i; insert into lab.b select i, -i from generate_series(1, 100) i;`;
const MISSING = `${ALL} delete from lab.b where s in (5, 50, 95);`;
const A = Array.from({ length: 100 }, (_, index) => ({ s: index + 1, x: index + 1 }));
const COUNT = 'select count(*)::int as rows, sum(x)::int as x, sum(y)::int as y from lab.m';

lifecycleTable('merge_tables', [
  {
    name: 'rows are joined on their key',
    given: { from: apart(), to: together(), rows: ALL },
    look: 'lab.a',
    wantCounts: { 'lab.m': { keep: 100 } },
    also: { [COUNT]: [{ rows: 100, x: 5050, y: -5050 }] },
    afterRollback: A,
  },
  {
    name: 'those without a partner are ambiguous',
    given: { from: apart(), to: together(), rows: MISSING },
    look: 'lab.a',
    wantCounts: { 'lab.m': { keep: 97, ambiguous: 3 } },
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'go to history by rule',
    given: { from: apart(), to: together(), rows: MISSING, attribute: { 'lab.m': 'retire' } },
    look: 'lab.a',
    wantCounts: { 'lab.m': { keep: 97, retire: 3 } },
    also: { [COUNT]: [{ rows: 97, x: 4900, y: -4900 }] },
    afterRollback: A,
  },
  {
    name: 'or stay as they are where what they lack may be empty',
    given: { from: apart(), to: together(true), rows: MISSING, attribute: { 'lab.m': 'keep' } },
    look: 'lab.a',
    wantCounts: { 'lab.m': { keep: 100 } },
    also: { [COUNT]: [{ rows: 100, x: 5050, y: -4900 }] },
    afterRollback: A,
  },
]);

import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

function written(): Pipeline {
  return lab((given, s) => {
    given.manual('m', { parents: [s], columns: { w: t.integer() } });
  });
}

function made(): Pipeline {
  return lab((given, s) => {
    given.computed('m', {
      parents: [s],
      columns: { w: t.integer() },
      reads: { s },
      make: (inputs) => ({ w: inputs.s.v * 2 }),
    });
  });
}

const RIGHT = `${TWO_SOURCES} insert into lab.m values (1, 20), (2, 40);`;
const WRONG = `${TWO_SOURCES} insert into lab.m values (1, 20), (2, 41);`;
const COMPUTED = [
  { s: 1, w: 20 },
  { s: 2, w: 40 },
];
const WRITTEN = [
  { s: 1, w: 20 },
  { s: 2, w: 41 },
];
const ORIGINS =
  "select s.origin, count(*)::int as rows from varve.computation c join varve.computation_spec s on s.id = c.spec join varve.relation r on r.id = c.relation where r.state = 'live' group by 1";

lifecycleTable('change_tier', [
  {
    name: 'what was written is computed, and stands where it is the same',
    given: { from: written(), to: made(), rows: RIGHT },
    look: 'lab.m',
    wantWords: ['tier lab.m manual -> computed', 'reads lab.m s'],
    wantCounts: { 'lab.m': { recompute: 2 } },
    afterApply: COMPUTED,
    also: { [ORIGINS]: [{ origin: 'computed', rows: 2 }] },
    afterRollback: COMPUTED,
    afterSecondApply: COMPUTED,
  },
  {
    name: 'where it differs somebody has to say which holds',
    given: { from: written(), to: made(), rows: WRONG },
    look: 'lab.m',
    wantCounts: { 'lab.m': { recompute: 2 } },
    wantApplyFindings: ['rows_differ'],
  },
  {
    name: 'what is computed, by rule',
    given: { from: written(), to: made(), rows: WRONG, attribute: { 'lab.m': 'recompute' } },
    look: 'lab.m',
    afterApply: COMPUTED,
    afterRollback: WRITTEN,
    afterSecondApply: COMPUTED,
  },
  {
    name: 'what was written, by rule: nothing is said of how it came about',
    given: { from: written(), to: made(), rows: WRONG, attribute: { 'lab.m': 'keep' } },
    look: 'lab.m',
    wantCounts: { 'lab.m': { keep: 2 } },
    afterApply: WRITTEN,
    also: { [ORIGINS]: [] },
    afterRollback: WRITTEN,
    afterSecondApply: WRITTEN,
  },
  {
    name: 'what was computed is kept where people fill the table from now on',
    given: { from: made(), to: written(), rows: TWO_SOURCES },
    look: 'lab.m',
    wantWords: ['tier lab.m computed -> manual'],
    wantCounts: { 'lab.m': { keep: 2 } },
    afterApply: COMPUTED,
    afterRollback: COMPUTED,
    afterSecondApply: COMPUTED,
  },
]);

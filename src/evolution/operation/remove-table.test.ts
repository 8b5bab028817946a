import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

/** Results, and what is made of them. */
function results(has: 'both' | 'results' | 'none'): Pipeline {
  return lab((given, s) => {
    if (has === 'none') return;
    const r = given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s },
      make: (inputs) => ({ value: inputs.s.v * 2 }),
    });
    if (has === 'results') return;
    given.computed('d', {
      parents: [r],
      columns: { half: t.integer() },
      reads: { r },
      make: (inputs) => ({ half: inputs.r.value / 2 }),
    });
  });
}

/** A table below two; without it, the one above may hold empty values and is built anew, or is gone as well. */
function below(has: 'all' | 'one' | 'none'): Pipeline {
  return lab((given, s) => {
    if (has === 'none') return;
    const r = given.computed('r', {
      parents: [s],
      columns: { value: has === 'all' ? t.integer() : t.integer().nullable() },
      reads: { s },
      make: (inputs) => ({ value: inputs.s.v * 2 }),
    });
    if (has !== 'all') return;
    given.computed('d', {
      parents: [s, r],
      columns: { half: t.integer() },
      reads: { s },
      make: (inputs) => ({ half: inputs.s.v / 2 }),
    });
  });
}

const OUTSIDE = 'create table public.outside (s integer references lab.r (s))';
const VALUES = [
  { s: 1, value: 20 },
  { s: 2, value: 40 },
];

lifecycleTable('remove_table', [
  {
    name: 'a table that nothing declares goes to history, and comes back',
    given: { from: results('results'), to: results('none'), rows: TWO_SOURCES },
    look: 'lab.r',
    wantWords: ['remove lab.r'],
    wantCounts: { 'lab.r': { retire: 2 } },
    afterRollback: VALUES,
  },
  {
    name: 'two go together, with the key between them',
    given: { from: results('both'), to: results('none'), rows: TWO_SOURCES },
    look: 'lab.r',
    wantWords: ['remove lab.d', 'remove lab.r'],
    wantCounts: { 'lab.d': { retire: 2 }, 'lab.r': { retire: 2 } },
    afterRollback: VALUES,
  },
  {
    name: 'one comes back with all its keys where the table above is built anew',
    given: { from: below('all'), to: below('one'), rows: TWO_SOURCES },
    look: 'lab.r',
    wantCounts: { 'lab.d': { retire: 2 }, 'lab.r': { keep: 2 } },
    afterApply: VALUES,
    afterRollback: VALUES,
    afterSecondApply: VALUES,
  },
  {
    name: 'one comes back with all its keys where the table above goes as well',
    given: { from: below('all'), to: below('none'), rows: TWO_SOURCES },
    look: 'lab.d',
    wantCounts: { 'lab.d': { retire: 2 }, 'lab.r': { retire: 2 } },
    afterRollback: [
      { s: 1, half: 5 },
      { s: 2, half: 10 },
    ],
  },
  {
    name: 'one that a table outside the pipeline leads to stays',
    given: { from: results('results'), to: results('none'), rows: TWO_SOURCES, later: OUTSIDE },
    look: 'lab.r',
    wantFindings: ['dependents_in_the_way'],
  },
  {
    name: 'one that a view reads stays',
    given: {
      from: results('results'),
      to: results('none'),
      rows: TWO_SOURCES,
      later: 'drop table if exists public.outside; create view public.seen as select * from lab.r',
    },
    look: 'lab.r',
    wantFindings: ['dependents_in_the_way'],
  },
]);

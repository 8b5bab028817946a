import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

/** `all` reads the whole of `s`, `some` its column v. */
function lab(hasGone: boolean): Pipeline {
  return bare((given) => {
    const s = given.manual('s', {
      key: { s: t.integer() },
      columns: { v: t.integer(), ...(hasGone ? { gone: t.integer() } : {}) },
    });
    given.computed('all', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s },
      make: (inputs) => ({ value: (inputs.s as { readonly v: number }).v }),
    });
    given.computed('some', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s: s.columns('v') },
      make: (inputs) => ({ value: (inputs.s as { readonly v: number }).v * 2 }),
    });
  });
}

/** A column of a computed table; one table below reads it, another one does not. */
function results(hasGone: boolean): Pipeline {
  return bare((given) => {
    const s = given.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
    const r = given.computed('r', {
      parents: [s],
      columns: { value: t.integer(), ...(hasGone ? { gone: t.integer().nullable() } : {}) },
      reads: { s },
      make: (inputs) => ({ value: inputs.s.v * 2 }),
    });
    given.computed('d', {
      parents: [r],
      columns: { twice: t.integer() },
      reads: { r: r.columns('value') },
      make: (inputs) => ({ twice: (inputs.r as { readonly value: number }).value * 2 }),
    });
  });
}

const ROWS = 'insert into lab.s (s, v, gone) values (1, 10, 5), (2, 20, 6);';

lifecycleTable('drop_column', [
  {
    name: 'rows that read the column are computed, those that read others are kept',
    given: { from: lab(true), to: lab(false), rows: ROWS },
    look: 'lab.s',
    wantWords: ['drop lab.s.gone', 'reads lab.all s'],
    wantCounts: { 'lab.s': { keep: 2 }, 'lab.all': { recompute: 2 } },
    afterApply: [
      { s: 1, v: 10 },
      { s: 2, v: 20 },
    ],
    also: {
      "select r.name, s.origin, count(*)::int as rows from varve.computation c join varve.computation_spec s on s.id = c.spec join varve.relation r on r.id = c.relation where r.state = 'live' group by 1, 2 order by 1":
        [
          { name: 'lab.all', origin: 'computed', rows: 2 },
          { name: 'lab.some', origin: 'computed', rows: 2 },
        ],
    },
    afterRollback: [
      { s: 1, v: 10, gone: 5 },
      { s: 2, v: 20, gone: 6 },
    ],
    afterSecondApply: [
      { s: 1, v: 10 },
      { s: 2, v: 20 },
    ],
  },
  {
    name: 'a column of a computed table goes, and its rows stay',
    given: {
      from: results(true),
      to: results(false),
      rows: 'insert into lab.s values (1, 10), (2, 20)',
    },
    look: 'lab.r',
    wantCounts: { 'lab.r': { keep: 2 } },
    afterApply: [
      { s: 1, value: 20 },
      { s: 2, value: 40 },
    ],
    afterRollback: [
      { s: 1, value: 20, gone: null },
      { s: 2, value: 40, gone: null },
    ],
    afterSecondApply: [
      { s: 1, value: 20 },
      { s: 2, value: 40 },
    ],
  },
]);

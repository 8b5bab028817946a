import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

function takes(hasTake: boolean): Pipeline {
  return bare((given) => {
    const key = { s: t.integer(), ...(hasTake ? { take: t.integer() } : {}) };
    const s = given.manual('s', { key, columns: { v: t.integer() } });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s },
      make: (inputs) => ({ value: (inputs.s as { readonly v: number }).v * 2 }),
    });
  });
}

const NARROWER = { from: takes(true), to: takes(false) };
const ALONE = 'insert into lab.s values (1, 1, 10), (2, 1, 20);';
const TWICE = `${ALONE} insert into lab.s values (2, 2, 21);`;
const WAS = [
  { s: 1, take: 1, value: 20 },
  { s: 2, take: 1, value: 40 },
];

lifecycleTable('narrow_key', [
  {
    name: 'rows that are alone on their new key take it, and rows below follow',
    given: { ...NARROWER, rows: ALONE },
    look: 'lab.r',
    wantCounts: { 'lab.s': { rekey: 2 }, 'lab.r': { rekey: 2 } },
    afterApply: [
      { s: 1, value: 20 },
      { s: 2, value: 40 },
    ],
    also: {
      'select * from lab.s order by s': [
        { s: 1, v: 10 },
        { s: 2, v: 20 },
      ],
    },
    afterRollback: WAS,
    afterSecondApply: [
      { s: 1, value: 20 },
      { s: 2, value: 40 },
    ],
  },
  {
    name: 'two rows on one key are ambiguous',
    given: { ...NARROWER, rows: TWICE },
    look: 'lab.s',
    wantCounts: { 'lab.s': { rekey: 1, ambiguous: 2 }, 'lab.r': { rekey: 1, ambiguous: 2 } },
    wantFindings: ['rows_ambiguous', 'rows_ambiguous'],
  },
  {
    name: 'and go to history by rule, with what was computed from them',
    given: { ...NARROWER, rows: TWICE, attribute: { 'lab.s': 'retire' } },
    look: 'lab.r',
    wantCounts: { 'lab.s': { rekey: 1, retire: 2 }, 'lab.r': { rekey: 1, retire: 2 } },
    afterApply: [{ s: 1, value: 20 }],
    also: { 'select * from lab.s': [{ s: 1, v: 10 }] },
    afterRollback: [...WAS, { s: 2, take: 2, value: 42 }],
    afterSecondApply: [{ s: 1, value: 20 }],
  },
]);

import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

function direct(): Pipeline {
  return lab((given, s) => {
    const clustering = given.computed('clustering', {
      parents: [s],
      columns: { n: t.integer() },
      reads: { s },
      make: (inputs) => ({ n: inputs.s.v }),
    });
    const units = given.computed('units', {
      parents: [clustering],
      columns: { m: t.integer() },
      reads: { clustering },
      make: (inputs) => ({ m: inputs.clustering.n + 1 }),
    });
    given.computed('below', {
      parents: [units],
      columns: { q: t.integer() },
      reads: { units },
      make: (inputs) => ({ q: inputs.units.m + 1 }),
    });
  });
}

/** With a curation between the two, by a make that gives so many for each clustering; `as` renames what leads to it. */
function curated(curations: readonly number[], as: 's' | 'source' = 's'): Pipeline {
  return lab((given, s) => {
    const clustering = given.computed('clustering', {
      parents: [s.as({ s: as })],
      columns: { n: t.integer() },
      reads: { s },
      make: (inputs) => ({ n: inputs.s.v }),
    });
    const curation = given.computed('curation', {
      parents: [clustering],
      key: { curation: t.integer() },
      columns: { shift: t.integer() },
      reads: { clustering },
      make: () => curations.map((each) => ({ curation: each, shift: 1 })),
    });
    const units = given.computed('units', {
      parents: [curation],
      columns: { m: t.integer() },
      reads: { clustering, curation },
      make: (inputs) => ({ m: inputs.clustering.n + inputs.curation.shift }),
    });
    given.computed('below', {
      parents: [units],
      columns: { q: t.integer() },
      reads: { units },
      make: (inputs) => ({ q: inputs.units.m + 1 }),
    });
  });
}

/** With a curation for each of two methods, which the code knows. */
function byMethod(): Pipeline {
  return lab((given, s) => {
    const clustering = given.computed('clustering', {
      parents: [s],
      columns: { n: t.integer() },
      reads: { s },
      make: (inputs) => ({ n: inputs.s.v }),
    });
    const method = given.lookup('method', {
      key: { method: t.text() },
      columns: { shift: t.integer() },
      contents: [
        { method: 'plain', shift: 1 },
        { method: 'strict', shift: 5 },
      ],
    });
    const curation = given.computed('curation', {
      parents: [clustering, method],
      columns: { shift: t.integer() },
      reads: { method },
      make: (inputs) => ({ shift: inputs.method.shift }),
    });
    const units = given.computed('units', {
      parents: [curation],
      columns: { m: t.integer() },
      reads: { clustering, curation },
      make: (inputs) => ({ m: inputs.clustering.n + inputs.curation.shift }),
    });
    given.computed('below', {
      parents: [units],
      columns: { q: t.integer() },
      reads: { units },
      make: (inputs) => ({ q: inputs.units.m + 1 }),
    });
  });
}

const OLD = [
  { s: 1, m: 11 },
  { s: 2, m: 21 },
];
const NEW = [
  { s: 1, curation: 0, m: 11 },
  { s: 2, curation: 0, m: 21 },
];

const SEVERAL = [
  { s: 1, curation: 0, m: 11 },
  { s: 1, curation: 1, m: 11 },
  { s: 2, curation: 0, m: 21 },
  { s: 2, curation: 1, m: 21 },
];
const BY_METHOD = [
  { s: 1, method: 'plain', m: 11 },
  { s: 1, method: 'strict', m: 15 },
  { s: 2, method: 'plain', m: 21 },
  { s: 2, method: 'strict', m: 25 },
];

lifecycleTable('insert_table', [
  {
    name: 'rows below belong to the one row that is computed for each',
    given: { from: direct(), to: curated([0]), rows: TWO_SOURCES },
    look: 'lab.units',
    wantCounts: { 'lab.units': { rekey: 2 }, 'lab.below': { rekey: 2 } },
    afterApply: NEW,
    also: {
      'select * from lab.below order by s': [
        { s: 1, curation: 0, q: 12 },
        { s: 2, curation: 0, q: 22 },
      ],
      'select * from lab.curation order by s': [
        { s: 1, curation: 0, shift: 1 },
        { s: 2, curation: 0, shift: 1 },
      ],
    },
    afterRollback: OLD,
    afterSecondApply: NEW,
  },
  {
    name: 'where what leads to the table above is called otherwise, the key is still that of the rows above',
    given: { from: direct(), to: curated([0], 'source'), rows: TWO_SOURCES },
    look: 'lab.units',
    wantCounts: { 'lab.units': { rekey: 2 }, 'lab.below': { rekey: 2 } },
    afterApply: [
      { source: 1, curation: 0, m: 11 },
      { source: 2, curation: 0, m: 21 },
    ],
    afterRollback: OLD,
    afterSecondApply: [
      { source: 1, curation: 0, m: 11 },
      { source: 2, curation: 0, m: 21 },
    ],
  },
  {
    name: 'where it gives several, they are computed for each',
    given: { from: direct(), to: curated([0, 1]), rows: TWO_SOURCES },
    look: 'lab.units',
    // How many a make will give, no plan can know.
    wantCounts: { 'lab.units': { rekey: 2 }, 'lab.below': { rekey: 2 } },
    afterApply: SEVERAL,
    also: {
      'select s, curation, q from lab.below order by 1, 2': SEVERAL.map(({ m, ...key }) => ({
        ...key,
        q: m + 1,
      })),
      'select count(*)::int as n from lab.curation': [{ n: 4 }],
    },
    afterRollback: OLD,
    afterSecondApply: SEVERAL,
  },
  {
    name: 'where the rows above say that it will give several, the plan says so',
    given: { from: direct(), to: byMethod(), rows: TWO_SOURCES },
    look: 'lab.units',
    wantCounts: { 'lab.units': { recompute: 2 }, 'lab.below': { recompute: 2 } },
    afterApply: BY_METHOD,
    afterRollback: OLD,
    afterSecondApply: BY_METHOD,
  },
  {
    name: 'and a rule keeps the old rows for one of them',
    given: {
      from: direct(),
      to: byMethod(),
      rows: TWO_SOURCES,
      attribute: { 'lab.units.method': "'plain'" },
    },
    look: 'lab.units',
    wantCounts: { 'lab.units': { rekey: 2 }, 'lab.below': { rekey: 2 } },
    afterApply: BY_METHOD.filter(({ method }) => method === 'plain'),
    afterRollback: OLD,
    afterSecondApply: BY_METHOD.filter(({ method }) => method === 'plain'),
  },
  {
    name: 'but a rule does, and the others are new work',
    given: {
      from: direct(),
      to: curated([0, 1]),
      rows: TWO_SOURCES,
      attribute: { 'lab.units.curation': '0' },
    },
    look: 'lab.units',
    wantCounts: { 'lab.units': { rekey: 2 }, 'lab.below': { rekey: 2 } },
    afterApply: NEW,
    afterRollback: OLD,
    afterSecondApply: NEW,
  },
]);

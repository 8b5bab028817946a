import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare, lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { pipeline, t, type Pipeline } from '../../pipeline/index.ts';

/** `lab.s` with one more column, and a table that reads it. */
function wider(column: ReturnType<typeof t.integer>): Pipeline {
  return bare((given) => {
    const s = given.manual('s', { key: { s: t.integer() }, columns: { v: t.integer(), w: column } });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s: s.columns('v') },
      make: (inputs) => ({ value: inputs.s.v * 2 }),
    });
  });
}

function before(): Pipeline {
  return lab((given, s) => {
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s: s.columns('v') },
      make: (inputs) => ({ value: inputs.s.v * 2 }),
    });
  });
}

/** The make gives the column. */
function computed(): Pipeline {
  return lab((given, s) => {
    const r = given.computed('r', {
      parents: [s],
      columns: { value: t.integer(), word: t.text() },
      reads: { s: s.columns('v') },
      make: (inputs) => ({ value: inputs.s.v * 2, word: `v${String(inputs.s.v)}` }),
    });
    given.computed('d', {
      parents: [r],
      columns: { half: t.integer() },
      reads: { r: r.columns('value') },
      make: (inputs) => ({ half: inputs.r.value / 2 }),
    });
  });
}

function beforeComputed(): Pipeline {
  return lab((given, s) => {
    const r = given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s: s.columns('v') },
      make: (inputs) => ({ value: inputs.s.v * 2 }),
    });
    given.computed('d', {
      parents: [r],
      columns: { half: t.integer() },
      reads: { r: r.columns('value') },
      make: (inputs) => ({ half: inputs.r.value / 2 }),
    });
  });
}

function units(hasFactor: boolean): Pipeline {
  const given = pipeline('lab');
  const unit = given.lookup('unit', {
    key: { unit: t.text() },
    columns: hasFactor ? { factor: t.integer() } : {},
    contents: [
      { unit: 'm', ...(hasFactor ? { factor: 1 } : {}) },
      { unit: 'km', ...(hasFactor ? { factor: 1000 } : {}) },
    ] as never,
  });
  given.manual('reading', { key: { reading: t.integer() }, references: { unit } });
  return given;
}

const OLD = [
  { s: 1, v: 10 },
  { s: 2, v: 20 },
];
const with_ = (w: number | null) => OLD.map((row) => ({ ...row, w }));
const COMPUTED = [
  { s: 1, value: 20, word: 'v10' },
  { s: 2, value: 40, word: 'v20' },
];
const UNITS = [
  { unit: 'km', factor: 1000 },
  { unit: 'm', factor: 1 },
];

lifecycleTable('add_column', [
  {
    name: 'one that may be empty is empty, and nothing that reads other columns changes',
    given: {
      from: before(),
      to: wider(t.integer().nullable() as never),
      rows: TWO_SOURCES,
    },
    look: 'lab.s',
    wantWords: ['add lab.s.w'],
    wantCounts: { 'lab.s': { keep: 2 } },
    afterApply: with_(null),
    also: {
      'select * from lab.r order by s': [
        { s: 1, value: 20 },
        { s: 2, value: 40 },
      ],
    },
    afterRollback: OLD,
    afterSecondApply: with_(null),
  },
  {
    name: 'one with a default has it',
    given: { from: before(), to: wider(t.integer().default(5)), rows: TWO_SOURCES },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 2 } },
    afterApply: with_(5),
    afterRollback: OLD,
    afterSecondApply: with_(5),
  },
  {
    name: 'a required one without a default is asked for',
    given: { from: before(), to: wider(t.integer()), rows: TWO_SOURCES },
    look: 'lab.s',
    wantCounts: { 'lab.s': { ambiguous: 2 } },
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'and given by a rule',
    given: {
      from: before(),
      to: wider(t.integer()),
      rows: TWO_SOURCES,
      attribute: { 'lab.s.w': 'v + 1' },
    },
    look: 'lab.s',
    wantCounts: { 'lab.s': { backfill: 2 } },
    afterApply: [
      { s: 1, v: 10, w: 11 },
      { s: 2, v: 20, w: 21 },
    ],
    afterRollback: OLD,
    afterSecondApply: [
      { s: 1, v: 10, w: 11 },
      { s: 2, v: 20, w: 21 },
    ],
  },
  {
    name: 'a rule that has no value for some rows leaves those ambiguous',
    given: {
      from: before(),
      to: wider(t.integer()),
      rows: TWO_SOURCES,
      attribute: { 'lab.s.w': 'nullif(v, 20)' },
    },
    look: 'lab.s',
    wantCounts: { 'lab.s': { backfill: 1, ambiguous: 1 } },
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'one of a computed table is the answer of its make, and rows below that read other columns are kept',
    given: { from: beforeComputed(), to: computed(), rows: TWO_SOURCES },
    look: 'lab.r',
    wantCounts: { 'lab.r': { recompute: 2 } },
    afterApply: COMPUTED,
    also: {
      'select * from lab.d order by s': [
        { s: 1, half: 10 },
        { s: 2, half: 20 },
      ],
    },
    afterRollback: [
      { s: 1, value: 20 },
      { s: 2, value: 40 },
    ],
    afterSecondApply: COMPUTED,
  },
  {
    name: 'one of a lookup is what its rows in the code say',
    given: {
      from: units(false),
      to: units(true),
      rows: "insert into lab.reading values (1, 'km')",
    },
    look: 'lab.unit',
    wantCounts: { 'lab.unit': { backfill: 2 } },
    afterApply: UNITS,
    also: { 'select * from lab.reading': [{ reading: 1, unit: 'km' }] },
    afterRollback: [{ unit: 'km' }, { unit: 'm' }],
    afterSecondApply: UNITS,
  },
]);

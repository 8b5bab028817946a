import { sql as ksql } from 'kysely';
import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

/** `r` reads one parameter without declaring it, and both where v is 30. */
function narrow(): Pipeline {
  return lab((given, s) => {
    given.manual('param', { key: { param: t.integer() }, columns: { k: t.integer() } });
    const r = given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      strict: 'observe',
      reads: { s },
      makeWith: async (db) => {
        const { v } = await db.selectFrom('s').select('v').executeTakeFirstOrThrow();
        const wanted = v === 30 ? ksql`true` : ksql`param = 1`;
        const found = await ksql<{
          k: number;
        }>`select k from lab.param where ${wanted} order by param`.execute(db);
        return { value: v * (found.rows[0]?.k ?? 0) };
      },
    });
    given.computed('d', {
      parents: [r],
      columns: { twice: t.integer() },
      reads: { r },
      make: (inputs) => ({ twice: inputs.r.value * 2 }),
    });
    given.manual('note', { key: { note: t.integer() }, references: { r } });
  });
}

/** The parameter is part of the key; `r` may have a column more, which only its make knows. */
function wide(hasMore = false): Pipeline {
  return lab((given, s) => {
    const param = given.manual('param', { key: { param: t.integer() }, columns: { k: t.integer() } });
    const r = given.computed('r', {
      parents: [s, param],
      columns: { value: t.integer(), ...(hasMore ? { more: t.integer() } : {}) },
      reads: { s, param },
      make: (inputs) => ({ value: inputs.s.v * inputs.param.k, ...(hasMore ? { more: 5 } : {}) }) as never,
    });
    given.computed('d', {
      parents: [r],
      columns: { twice: t.integer() },
      reads: { r },
      make: (inputs) => ({ twice: inputs.r.value * 2 }),
    });
    given.manual('note', { key: { note: t.integer() }, references: { r } });
  });
}

/** A table that people fill, one below it. */
function samples(hasReplicate: boolean): Pipeline {
  return lab((given) => {
    const key = { sample: t.integer(), ...(hasReplicate ? { replicate: t.integer() } : {}) };
    const sample = given.manual('sample', { key, columns: { w: t.integer() } });
    given.computed('half', {
      parents: [sample],
      columns: { h: t.integer() },
      reads: { sample },
      make: (inputs) => ({ h: (inputs.sample as { readonly w: number }).w / 2 }),
    });
  });
}

const WIDER = { from: narrow(), to: wide() };
const PARAMS = 'insert into lab.param values (1, 7), (2, 9);';
const READ_ONE = [
  { s: 1, param: 1, value: 70 },
  { s: 2, param: 1, value: 140 },
];
const WAS = [
  { s: 1, value: 70 },
  { s: 2, value: 140 },
];
const SAMPLES = 'insert into lab.sample values (1, 4), (2, 6)';

lifecycleTable('widen_key', [
  {
    name: 'rows that read one row get its key, and rows below follow',
    given: { ...WIDER, rows: TWO_SOURCES + PARAMS },
    look: 'lab.r',
    wantCounts: { 'lab.r': { rekey: 2 }, 'lab.d': { rekey: 2 }, 'lab.note': {} },
    afterApply: READ_ONE,
    also: {
      'select * from lab.d order by s': [
        { s: 1, param: 1, twice: 140 },
        { s: 2, param: 1, twice: 280 },
      ],
    },
    afterRollback: WAS,
    afterSecondApply: READ_ONE,
  },
  {
    name: 'a row that read several is computed, once for each',
    given: { ...WIDER, rows: `${TWO_SOURCES}${PARAMS} insert into lab.s values (3, 30)` },
    look: 'lab.r',
    wantCounts: { 'lab.r': { rekey: 2, recompute: 1 }, 'lab.d': { rekey: 2, recompute: 1 } },
    afterApply: [...READ_ONE, { s: 3, param: 1, value: 210 }, { s: 3, param: 2, value: 270 }],
    also: { 'select count(*)::int as rows from lab.d where s = 3': [{ rows: 2 }] },
    afterRollback: [...WAS, { s: 3, value: 210 }],
    afterSecondApply: [...READ_ONE, { s: 3, param: 1, value: 210 }, { s: 3, param: 2, value: 270 }],
  },
  {
    name: 'a reference of a table that people fill goes on to the same row',
    given: { ...WIDER, rows: TWO_SOURCES + PARAMS, later: 'insert into lab.note values (7, 2)' },
    look: 'lab.note',
    wantCounts: { 'lab.note': { rekey: 1 } },
    afterApply: [{ note: 7, s: 2, param: 1 }],
    afterRollback: [{ note: 7, s: 2 }],
    afterSecondApply: [{ note: 7, s: 2, param: 1 }],
  },
  {
    name: 'and is ambiguous where that row is computed anew',
    given: {
      ...WIDER,
      rows: `${TWO_SOURCES}${PARAMS} insert into lab.s values (3, 30)`,
      later: 'insert into lab.note values (7, 3)',
    },
    look: 'lab.note',
    wantCounts: { 'lab.note': { ambiguous: 1 } },
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'rows below go along where the row above is computed anew under the key of the one row that it read',
    given: {
      from: narrow(),
      to: wide(true),
      rows: TWO_SOURCES + PARAMS,
      later: 'insert into lab.note values (7, 2)',
    },
    look: 'lab.d',
    wantCounts: { 'lab.r': { recompute: 2 }, 'lab.d': { rekey: 2 }, 'lab.note': { rekey: 1 } },
    afterApply: [
      { s: 1, param: 1, twice: 140 },
      { s: 2, param: 1, twice: 280 },
    ],
    also: { 'select * from lab.note': [{ note: 7, s: 2, param: 1 }] },
    afterRollback: [
      { s: 1, twice: 140 },
      { s: 2, twice: 280 },
    ],
    afterSecondApply: [
      { s: 1, param: 1, twice: 140 },
      { s: 2, param: 1, twice: 280 },
    ],
  },
  {
    name: 'a column of its own is asked for',
    given: { from: samples(false), to: samples(true), rows: SAMPLES },
    look: 'lab.sample',
    wantFindings: ['rows_ambiguous', 'rows_ambiguous'],
  },
  {
    name: 'and given by a rule, to the rows below as well',
    given: {
      from: samples(false),
      to: samples(true),
      rows: SAMPLES,
      attribute: { 'lab.sample.replicate': 'sample * 10' },
    },
    look: 'lab.sample',
    wantCounts: { 'lab.sample': { rekey: 2 }, 'lab.half': { rekey: 2 } },
    afterApply: [
      { sample: 1, replicate: 10, w: 4 },
      { sample: 2, replicate: 20, w: 6 },
    ],
    also: {
      'select * from lab.half order by sample': [
        { sample: 1, replicate: 10, h: 2 },
        { sample: 2, replicate: 20, h: 3 },
      ],
    },
    afterRollback: [
      { sample: 1, w: 4 },
      { sample: 2, w: 6 },
    ],
    afterSecondApply: [
      { sample: 1, replicate: 10, w: 4 },
      { sample: 2, replicate: 20, w: 6 },
    ],
  },
]);

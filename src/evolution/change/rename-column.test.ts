import { sql as ksql } from 'kysely';
import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

function before(): Pipeline {
  return bare((given) => {
    const s = given.manual('s', { key: { s: t.integer() }, columns: { v: t.integer(), w: t.integer() } });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s: s.columns('v') },
      make: (inputs) => ({ value: inputs.s.v * 2 }),
    });
  });
}

/** A key column, one that is read, one that a make writes. */
function after(): Pipeline {
  return bare((given) => {
    const s = given.manual('s', {
      key: { sample: t.integer().renamedFrom('s') },
      columns: { volume: t.integer().renamedFrom('v'), w: t.integer() },
    });
    given.computed('r', {
      parents: [s],
      columns: { result: t.integer().renamedFrom('value') },
      reads: { s: s.columns('volume') },
      make: (inputs) => ({ result: inputs.s.volume * 2 }),
    });
  });
}

/** Two columns take each other's names. */
function swapped(): Pipeline {
  return bare((given) => {
    const s = given.manual('s', {
      key: { s: t.integer() },
      columns: { v: t.integer().renamedFrom('w'), w: t.integer().renamedFrom('v') },
    });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s: s.columns('w') },
      make: (inputs) => ({ value: inputs.s.w * 2 }),
    });
  });
}

/** What nobody declared. */
function unclear(): Pipeline {
  return bare((given) => {
    given.manual('s', { key: { s: t.integer() }, columns: { v: t.integer(), x: t.integer() } });
  });
}

/** A make that reads a column of another table without saying so; with a word beside, it has to run again. */
function reading(column: 'off' | 'shift'): Pipeline {
  return bare((given) => {
    const s = given.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
    const named = column === 'off' ? t.integer() : t.integer().renamedFrom('off');
    given.manual('side', { parents: [s], key: { side: t.integer() }, columns: { [column]: named } });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer(), ...(column === 'off' ? {} : { word: t.text() }) },
      strict: 'observe',
      reads: { s },
      makeWith: async (db) => {
        const { v } = await db.selectFrom('s').select('v').executeTakeFirstOrThrow();
        const { rows } = await ksql<{ off: number }>`
          select ${ksql.id(column)} as "off" from lab.side order by side desc limit 1`.execute(db);
        const value = v + (rows[0]?.off ?? 0);
        return column === 'off' ? { value } : { value, word: `${value}` };
      },
    });
  });
}

const ROWS = 'insert into lab.s values (1, 10, 3), (2, 20, 4)';
const OLD = [
  { s: 1, value: 20 },
  { s: 2, value: 40 },
];
const NEW = [
  { sample: 1, result: 20 },
  { sample: 2, result: 40 },
];

lifecycleTable('rename_column', [
  {
    name: 'rows of the table and of those below are kept',
    given: { from: before(), to: after(), rows: ROWS },
    look: 'lab.r',
    wantCounts: { 'lab.s': { keep: 2 }, 'lab.r': { keep: 2 } },
    afterApply: NEW,
    also: {
      'select * from lab.s order by 1': [
        { sample: 1, volume: 10, w: 3 },
        { sample: 2, volume: 20, w: 4 },
      ],
    },
    afterRollback: OLD,
    afterSecondApply: NEW,
  },
  {
    name: 'two columns may take each other’s names',
    given: { from: before(), to: swapped(), rows: ROWS },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 2 } },
    afterApply: [
      { s: 1, v: 3, w: 10 },
      { s: 2, v: 4, w: 20 },
    ],
    also: { 'select * from lab.r order by 1': OLD },
    afterRollback: [
      { s: 1, v: 10, w: 3 },
      { s: 2, v: 20, w: 4 },
    ],
    afterSecondApply: [
      { s: 1, v: 3, w: 10 },
      { s: 2, v: 4, w: 20 },
    ],
  },
  {
    name: 'a make that reads it without saying so, and has to run, finds it under its new name',
    given: {
      from: reading('off'),
      to: reading('shift'),
      rows: 'insert into lab.s values (1, 10); insert into lab.side (s, side, off) values (1, 1, 7)',
    },
    look: 'lab.r',
    wantCounts: { 'lab.side': { keep: 1 }, 'lab.r': { recompute: 1 } },
    afterApply: [{ s: 1, value: 17, word: '17' }],
    afterRollback: [{ s: 1, value: 17 }],
    afterSecondApply: [{ s: 1, value: 17, word: '17' }],
  },
  {
    name: 'one that is not declared is asked about',
    given: { from: before(), to: unclear(), rows: ROWS },
    look: 'lab.s',
    wantFindings: ['rename_unclear'],
  },
]);

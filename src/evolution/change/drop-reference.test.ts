import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

type Shape = 'refers' | 'keeps the column' | 'drops it';

function notes(shape: Shape): Pipeline {
  return lab((given, s) => {
    const text = { text: t.text() };
    given.manual('note', {
      key: { note: t.integer() },
      ...(shape === 'refers' ? { references: { s } } : {}),
      columns: shape === 'keeps the column' ? { s: t.integer(), ...text } : text,
    });
  });
}

function refers(): Pipeline {
  return lab((given, s) => {
    const side = given.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
    given.computed('r', {
      parents: [s],
      references: { side },
      columns: { value: t.integer() },
      reads: { s, sides: side.all() },
      make: (inputs) => ({ side: 1, value: inputs.s.v + (inputs.sides[0]?.off ?? 0) }),
    });
  });
}

function refersNoMore(): Pipeline {
  return lab((given, s) => {
    given.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
    given.computed('r', {
      parents: [s],
      columns: { value: t.integer() },
      reads: { s },
      make: (inputs) => ({ value: inputs.s.v + 7 }),
    });
  });
}

/** Notes of two tables, or of one: then nothing says any more that they stand below the other. */
function notesOf(both: boolean): Pipeline {
  return lab((given, s) => {
    const off = both ? t.integer() : t.integer().nullable();
    const side = given.manual('side', { parents: [s], key: { side: t.integer() }, columns: { off } });
    const references = both ? { s, side } : { s };
    given.manual('note', { key: { note: t.integer() }, references, columns: {} });
  });
}

const NOTES = `${TWO_SOURCES} insert into lab.note (note, s, text) values (1, 1, 'a'), (2, 1, 'b')`;
const WITH = [
  { note: 1, s: 1, text: 'a' },
  { note: 2, s: 1, text: 'b' },
];
const WITHOUT = [
  { note: 1, text: 'a' },
  { note: 2, text: 'b' },
];

lifecycleTable('drop_reference', [
  {
    name: 'the rows are kept, and the column where it stays',
    given: { from: notes('refers'), to: notes('keeps the column'), rows: NOTES },
    look: 'lab.note',
    wantCounts: { 'lab.note': { keep: 2 } },
    afterApply: WITH,
    also: {
      "select count(*)::int as keys from pg_constraint where contype = 'f' and conrelid = 'lab.note'::regclass":
        [{ keys: 0 }],
    },
    afterRollback: WITH,
    afterSecondApply: WITH,
  },
  {
    name: 'a column that goes with it comes back with rollback',
    given: { from: notes('refers'), to: notes('drops it'), rows: NOTES },
    look: 'lab.note',
    wantCounts: { 'lab.note': { keep: 2 } },
    afterApply: WITHOUT,
    afterRollback: WITH,
    afterSecondApply: WITHOUT,
  },
  {
    name: 'the key comes back, also where the table that it led to is built anew as well',
    given: {
      from: notesOf(true),
      to: notesOf(false),
      rows: `${TWO_SOURCES} insert into lab.side (s, side, off) values (1, 7, 70); insert into lab.note (note, s, side) values (1, 1, 7)`,
    },
    look: 'lab.note',
    wantCounts: { 'lab.note': { keep: 1 }, 'lab.side': { keep: 1 } },
    afterApply: [{ note: 1, s: 1 }],
    afterRollback: [{ note: 1, s: 1, side: 7 }],
    afterSecondApply: [{ note: 1, s: 1 }],
  },
  {
    name: 'a computed row is kept where it reads less than before',
    given: {
      from: refers(),
      to: refersNoMore(),
      rows: `${TWO_SOURCES} insert into lab.side values (1, 7)`,
    },
    look: 'lab.r',
    wantCounts: { 'lab.r': { keep: 2 } },
    afterApply: [
      { s: 1, value: 17 },
      { s: 2, value: 27 },
    ],
    afterRollback: [
      { s: 1, side: 1, value: 17 },
      { s: 2, side: 1, value: 27 },
    ],
    afterSecondApply: [
      { s: 1, value: 17 },
      { s: 2, value: 27 },
    ],
  },
]);

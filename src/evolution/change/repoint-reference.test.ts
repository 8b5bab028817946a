import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

/** Notes lead to cats or to dogs, by a column of the same name. */
function notes(to: 'cat' | 'dog'): Pipeline {
  return bare((given) => {
    const cat = given.manual('cat', { key: { pet: t.integer() } });
    const dog = given.manual('dog', { key: { pet: t.integer() } });
    given.manual('note', { key: { note: t.integer() }, references: { pet: to === 'cat' ? cat : dog } });
  });
}

const ROWS = `insert into lab.cat values (1), (2); insert into lab.dog values (1), (3);`;
const TARGET = {
  "select confrelid::regclass::text as target from pg_constraint where contype = 'f' and conrelid = 'lab.note'::regclass":
    [{ target: 'lab.dog' }],
};

lifecycleTable('repoint_reference', [
  {
    name: 'rows are kept whose row is there in the other table',
    given: { from: notes('cat'), to: notes('dog'), rows: `${ROWS} insert into lab.note values (7, 1)` },
    look: 'lab.note',
    wantCounts: { 'lab.note': { keep: 1 } },
    afterApply: [{ note: 7, pet: 1 }],
    also: TARGET,
    afterRollback: [{ note: 7, pet: 1 }],
    afterSecondApply: [{ note: 7, pet: 1 }],
  },
  {
    name: 'a row whose row is not there is ambiguous',
    given: {
      from: notes('cat'),
      to: notes('dog'),
      rows: `${ROWS} insert into lab.note values (7, 1), (8, 2)`,
    },
    look: 'lab.note',
    wantCounts: { 'lab.note': { keep: 1, ambiguous: 1 } },
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'and goes to history by rule',
    given: {
      from: notes('cat'),
      to: notes('dog'),
      rows: `${ROWS} insert into lab.note values (7, 1), (8, 2)`,
      attribute: { 'lab.note': 'retire' },
    },
    look: 'lab.note',
    wantCounts: { 'lab.note': { keep: 1, retire: 1 } },
    afterApply: [{ note: 7, pet: 1 }],
    also: TARGET,
    afterRollback: [
      { note: 7, pet: 1 },
      { note: 8, pet: 2 },
    ],
    afterSecondApply: [{ note: 7, pet: 1 }],
  },
  {
    name: 'or is given another one',
    given: {
      from: notes('cat'),
      to: notes('dog'),
      rows: `${ROWS} insert into lab.note values (7, 1), (8, 2)`,
      attribute: { 'lab.note.pet': 'case pet when 2 then 3 else pet end' },
    },
    look: 'lab.note',
    afterApply: [
      { note: 7, pet: 1 },
      { note: 8, pet: 3 },
    ],
    also: TARGET,
    afterRollback: [
      { note: 7, pet: 1 },
      { note: 8, pet: 2 },
    ],
    afterSecondApply: [
      { note: 7, pet: 1 },
      { note: 8, pet: 3 },
    ],
  },
  {
    name: 'and a rule that leads nowhere leaves it ambiguous',
    given: {
      from: notes('cat'),
      to: notes('dog'),
      rows: `${ROWS} insert into lab.note values (7, 1), (8, 2)`,
      attribute: { 'lab.note.pet': '99' },
    },
    look: 'lab.note',
    wantCounts: { 'lab.note': { backfill: 1, ambiguous: 1 } },
    wantFindings: ['rows_ambiguous'],
  },
]);

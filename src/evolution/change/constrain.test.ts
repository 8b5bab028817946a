import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

function constrained(column: ReturnType<typeof t.integer>, uniques?: readonly (readonly 'v'[])[]): Pipeline {
  return bare((given) => {
    given.manual('s', {
      key: { s: t.integer() },
      columns: { v: column, w: t.integer().nullable() },
      ...(uniques === undefined ? {} : { uniques }),
    });
  });
}

const OPEN = constrained(t.integer().nullable() as never);
const REQUIRED = constrained(t.integer());
const UNIQUE = constrained(t.integer().nullable() as never, [['v']]);
const CHECKED = constrained(
  (t.integer().nullable() as unknown as ReturnType<typeof t.integer>).checked('v > 0'),
);
const GOOD = 'insert into lab.s (s, v) values (1, 10), (2, 20)';
const ROWS = [
  { s: 1, v: 10, w: null },
  { s: 2, v: 20, w: null },
];
const REFUSES = (constraint: string) => ({
  [`select ${constraint} as held from pg_class c where oid = 'lab.s'::regclass`]: [{ held: true }],
});

lifecycleTable('constrain', [
  {
    name: 'a column that is required from now on',
    given: { from: OPEN, to: REQUIRED, rows: GOOD },
    look: 'lab.s',
    wantWords: ['constrain lab.s v nullable'],
    wantCounts: { 'lab.s': { keep: 2 } },
    afterApply: ROWS,
    also: REFUSES("(select attnotnull from pg_attribute where attrelid = c.oid and attname = 'v')"),
    afterRollback: ROWS,
    afterSecondApply: ROWS,
  },
  {
    name: 'and is empty in some rows',
    given: { from: OPEN, to: REQUIRED, rows: `${GOOD}; insert into lab.s (s) values (3)` },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 2, ambiguous: 1 } },
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'and a rule fills it there alone, until it is taken back',
    given: {
      from: OPEN,
      to: REQUIRED,
      rows: `${GOOD}; insert into lab.s (s) values (3)`,
      attribute: { 'lab.s.v': 's * 100' },
    },
    look: 'lab.s',
    wantCounts: { 'lab.s': { backfill: 3 } },
    afterApply: [...ROWS, { s: 3, v: 300, w: null }],
    afterRollback: [...ROWS, { s: 3, v: null, w: null }],
    afterSecondApply: [...ROWS, { s: 3, v: 300, w: null }],
  },
  {
    name: 'a column whose values are unique from now on',
    given: { from: OPEN, to: UNIQUE, rows: GOOD },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 2 } },
    afterApply: ROWS,
    also: REFUSES("exists (select from pg_constraint where conrelid = c.oid and contype = 'u')"),
    afterRollback: ROWS,
    afterSecondApply: ROWS,
  },
  {
    name: 'and two rows have the same',
    given: { from: OPEN, to: UNIQUE, rows: `${GOOD}; insert into lab.s (s, v) values (3, 20)` },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 1, ambiguous: 2 } },
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'a condition that all rows meet',
    given: { from: OPEN, to: CHECKED, rows: GOOD },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 2 } },
    afterApply: ROWS,
    also: REFUSES("exists (select from pg_constraint where conrelid = c.oid and contype = 'c')"),
    afterRollback: ROWS,
    afterSecondApply: ROWS,
  },
  {
    name: 'and one that some do not',
    given: { from: OPEN, to: CHECKED, rows: `${GOOD}; insert into lab.s (s, v) values (3, -1)` },
    look: 'lab.s',
    wantCounts: { 'lab.s': { keep: 2, ambiguous: 1 } },
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'less than before needs nothing',
    given: { from: CHECKED, to: OPEN, rows: GOOD },
    look: 'lab.s',
    afterApply: ROWS,
    afterRollback: ROWS,
    afterSecondApply: ROWS,
  },
]);

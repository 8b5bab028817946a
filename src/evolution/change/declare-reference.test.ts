import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { declaredFrom, undeclaredFrom } from '../../../test/evolution/reference-case.ts';
import { versionOne, versionTwo } from '../../../test/evolution/side-pipeline.ts';
import { lab, TWO_SOURCES } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

const SIDE = { from: versionOne('lab'), to: versionTwo('lab') };
const TWO_ROWS = 'insert into lab.s values (1, 10), (2, 20); insert into lab.side values (1, 7);';
const OLD = [
  { s: 1, value: 17 },
  { s: 2, value: 27 },
];
const NEW = [
  { s: 1, side: 1, value: 17 },
  { s: 2, side: 1, value: 27 },
];
const ADOPTED = 'insert into lab.s values (3, 30); insert into lab.r values (3, 37);';

/** Rows that people wrote, of which nothing is ever recorded, before and after they name a parent. */
function written(isDeclared: boolean): Pipeline {
  return lab((given, s) => {
    const columns = { x: t.integer() };
    if (isDeclared) given.manual('w', { key: { w: t.integer() }, references: { of: s }, columns });
    else given.manual('w', { key: { w: t.integer() }, columns });
  });
}

const WRITTEN = { from: written(false), to: written(true) };
const WRITTEN_ROWS = `${TWO_SOURCES} insert into lab.w values (1, 2), (2, 1);`;

lifecycleTable('declare_reference', [
  {
    name: 'rows with one recorded read are backfilled',
    given: { ...SIDE, rows: TWO_ROWS },
    look: 'lab.r',
    afterApply: NEW,
    afterRollback: OLD,
    afterSecondApply: NEW,
  },
  {
    name: 'an empty table is only reshaped',
    given: { ...SIDE, rows: 'insert into lab.side values (1, 7)' },
    look: 'lab.r',
    afterApply: [],
    afterRollback: [],
    afterSecondApply: [],
  },
  {
    name: 'a row of which nothing is recorded is ambiguous',
    given: { ...SIDE, rows: TWO_ROWS, later: ADOPTED },
    look: 'lab.r',
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'a rule lets it be computed, and the way back gives the row that was there',
    given: { ...SIDE, rows: TWO_ROWS, later: ADOPTED, attribute: { 'lab.r': 'recompute' } },
    look: 'lab.r',
    afterApply: [...NEW, { s: 3, side: 1, value: 37 }],
    afterRollback: [...OLD, { s: 3, value: 37 }],
    afterSecondApply: [...NEW, { s: 3, side: 1, value: 37 }],
  },
  {
    name: 'a read that found nothing leaves an optional reference empty',
    given: { from: undeclaredFrom(), to: declaredFrom(true), rows: 'insert into lab.s values (1, 10, null)' },
    look: 'lab.r',
    afterApply: [{ s: 1, side: null, value: 10 }],
    afterRollback: [{ s: 1, value: 10 }],
    afterSecondApply: [{ s: 1, side: null, value: 10 }],
  },
  {
    name: 'and is ambiguous where the reference is required',
    given: {
      from: undeclaredFrom(),
      to: declaredFrom(false),
      rows: 'insert into lab.s values (1, 10, null)',
    },
    look: 'lab.r',
    wantFindings: ['rows_ambiguous'],
  },
  {
    name: 'a rule for a table that the plan does not change is refused',
    given: { ...SIDE, rows: TWO_ROWS, attribute: { 'lab.side': 'recompute' } },
    look: 'lab.r',
    wantFindings: ['attribute_invalid'],
  },
  {
    name: 'a rule says what rows refer to that people wrote',
    given: { ...WRITTEN, rows: WRITTEN_ROWS, attribute: { 'lab.w.s': 'x' } },
    look: 'lab.w',
    wantCounts: { 'lab.w': { backfill: 2 } },
    afterApply: [
      { w: 1, s: 2, x: 2 },
      { w: 2, s: 1, x: 1 },
    ],
    afterRollback: [
      { w: 1, x: 2 },
      { w: 2, x: 1 },
    ],
    afterSecondApply: [
      { w: 1, s: 2, x: 2 },
      { w: 2, s: 1, x: 1 },
    ],
  },
  {
    name: 'but not where no such row is there',
    given: { ...WRITTEN, rows: WRITTEN_ROWS, attribute: { 'lab.w.s': 'x + 1' } },
    look: 'lab.w',
    wantFindings: ['rows_ambiguous'],
  },
]);

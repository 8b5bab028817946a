import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { declaredFrom, undeclaredFrom } from '../../../test/evolution/reference-case.ts';
import { versionOne, versionTwo } from '../../../test/evolution/side-pipeline.ts';

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
]);

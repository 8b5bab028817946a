import { t, pipeline, type Pipeline } from '../../pipeline/index.ts';
import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';

function notes(comment?: string, extra = false): Pipeline {
  const lab = pipeline('lab');
  lab.manual('note', {
    key: { note: t.integer() },
    ...(extra ? { columns: { text: t.text().nullable() } } : {}),
    ...(comment === undefined ? {} : { comment }),
  });
  return lab;
}

const ROWS = [{ note: 1 }, { note: 2 }];

lifecycleTable('redefine', [
  {
    name: 'another comment keeps every row',
    given: { from: notes(), to: notes('what people saw'), rows: 'insert into lab.note values (1), (2)' },
    look: 'lab.note',
    afterApply: ROWS,
    afterRollback: ROWS,
    afterSecondApply: ROWS,
  },
  {
    name: 'a column that may be empty is no redefinition: the table is built anew with it',
    given: { from: notes(), to: notes(undefined, true), rows: 'insert into lab.note values (1), (2)' },
    look: 'lab.note',
    afterApply: ROWS.map((row) => ({ ...row, text: null })),
    afterRollback: ROWS,
    afterSecondApply: ROWS.map((row) => ({ ...row, text: null })),
  },
  {
    name: 'the same definition is nothing to do',
    given: { from: notes(), to: notes(), rows: 'insert into lab.note values (1), (2)' },
    look: 'lab.note',
    wantFindings: ['nothing'],
  },
]);

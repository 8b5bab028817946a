import { t, type Pipeline } from '../../pipeline/index.ts';
import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { versionOne } from '../../../test/evolution/side-pipeline.ts';

const ROWS = 'insert into lab.s values (1, 10); insert into lab.side values (1, 7);';

function withLookup(): Pipeline {
  const lab = versionOne('lab');
  lab.lookup('unit', {
    key: { unit: t.text() },
    columns: { factor: t.integer() },
    contents: [
      { unit: 'm', factor: 1 },
      { unit: 'mm', factor: 1000 },
    ],
  });
  return lab;
}

const CONTENTS = [
  { unit: 'm', factor: 1 },
  { unit: 'mm', factor: 1000 },
];

lifecycleTable('create_table', [
  {
    name: 'a lookup comes with its contents, goes to history, and comes again',
    given: { from: versionOne('lab'), to: withLookup(), rows: ROWS },
    look: 'lab.unit',
    afterApply: CONTENTS,
    afterSecondApply: CONTENTS,
  },
  {
    name: 'a table of that name that someone else made is not taken over',
    given: {
      from: versionOne('lab'),
      to: withLookup(),
      rows: `${ROWS} create table lab.unit (mine integer)`,
    },
    look: 'lab.unit',
    wantFindings: ['table_exists'],
  },
]);

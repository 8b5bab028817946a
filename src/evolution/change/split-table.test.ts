import { lifecycleTable } from '../../../test/evolution/lifecycle-table.ts';
import { bare } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

/** A make that does three things; what lies below reads one of them. */
function fat(): Pipeline {
  return bare((given) => {
    const file = given.manual('file', { key: { file: t.integer() }, columns: { n: t.integer() } });
    const ingest = given.computed('ingest', {
      parents: [file],
      columns: { rows: t.integer(), mean: t.double(), thumb: t.text() },
      reads: { file },
      make: (inputs) => ({ rows: inputs.file.n, mean: inputs.file.n / 2, thumb: 'x'.repeat(inputs.file.n) }),
    });
    given.computed('page', {
      parents: [ingest],
      columns: { size: t.integer() },
      reads: { ingest: ingest.columns('thumb') },
      make: (inputs) => ({ size: inputs.ingest.thumb.length }),
    });
  });
}

function thin(): Pipeline {
  return bare((given) => {
    const file = given.manual('file', { key: { file: t.integer() }, columns: { n: t.integer() } });
    const rows = given.computed('rows', {
      splitFrom: 'ingest',
      parents: [file],
      columns: { rows: t.integer() },
      reads: { file },
      make: (inputs) => ({ rows: inputs.file.n }),
    });
    given.computed('stats', {
      splitFrom: 'ingest',
      parents: [rows],
      columns: { mean: t.double() },
      reads: { rows },
      make: (inputs) => ({ mean: inputs.rows.rows / 2 }),
    });
    const thumbnail = given.computed('thumbnail', {
      splitFrom: 'ingest',
      parents: [file],
      columns: { thumb: t.text() },
      reads: { file },
      make: (inputs) => ({ thumb: 'x'.repeat(inputs.file.n) }),
    });
    given.computed('page', {
      parents: [thumbnail],
      columns: { size: t.integer() },
      reads: { ingest: thumbnail.columns('thumb') },
      make: (inputs) => ({ size: inputs.ingest.thumb.length }),
    });
  });
}

const WAS = [
  { file: 1, rows: 4, mean: 2, thumb: 'xxxx' },
  { file: 2, rows: 6, mean: 3, thumb: 'xxxxxx' },
];

const looks = (table: string): string => `select * from ${table} order by 1`;

lifecycleTable('split_table', [
  {
    name: 'columns go to the tables that have them, and rows below to the one whose columns they read',
    given: { from: fat(), to: thin(), rows: 'insert into lab.file values (1, 4), (2, 6)' },
    look: 'lab.ingest',
    wantCounts: {
      'lab.rows': { keep: 2 },
      'lab.stats': { keep: 2 },
      'lab.thumbnail': { keep: 2 },
      'lab.page': { keep: 2 },
    },
    also: {
      [looks('lab.rows')]: [
        { file: 1, rows: 4 },
        { file: 2, rows: 6 },
      ],
      [looks('lab.stats')]: [
        { file: 1, mean: 2 },
        { file: 2, mean: 3 },
      ],
      [looks('lab.thumbnail')]: [
        { file: 1, thumb: 'xxxx' },
        { file: 2, thumb: 'xxxxxx' },
      ],
      [looks('lab.page')]: [
        { file: 1, size: 4 },
        { file: 2, size: 6 },
      ],
    },
    afterRollback: WAS,
  },
]);

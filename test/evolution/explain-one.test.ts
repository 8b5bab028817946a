import { expect, it } from 'vitest';
import { explainEvolution } from '../../src/evolution/index.ts';
import { t, type Pipeline } from '../../src/pipeline/index.ts';
import { withPostgres } from '../harness/index.ts';
import { openLab, worldOf } from './lab.ts';
import { definitionsFrom } from './side-pipeline.ts';
import { bare } from './tables.ts';

/** Notes on pages of books, with keys of one type or another. */
function notes(isWide: boolean): Pipeline {
  return bare((lab) => {
    const book = lab.manual('book', { key: { book: isWide ? t.bigint() : t.integer() } });
    const page = lab.manual('page', {
      parents: [book],
      key: { page: t.integer() },
      columns: { n: t.integer() },
    });
    lab.manual('note', { key: { note: t.integer() }, references: { page } });
  });
}

withPostgres('a row of a plan that is asked about', 18, (given) => {
  it('is found by its key, and so are the rows above it: no table is gone over', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(notes(false));
    await lab.store.script(`
      insert into lab.book select i from generate_series(1, 3000) i;
      insert into lab.page select i, 1, i from generate_series(1, 3000) i;
      insert into lab.note select i, i, 1 from generate_series(1, 3000) i;`);
    await lab.store.script('analyze lab.book; analyze lab.page; analyze lab.note');
    const read = async (): Promise<number> => {
      const [row] = await lab.rows(`select pg_stat_force_next_flush(), pg_stat_clear_snapshot(),
        (select sum(seq_tup_read)::int from pg_stat_all_tables where schemaname = 'lab') as rows`);
      return Number(row?.['rows']);
    };
    await new Promise((done) => setTimeout(done, 1_500));
    const before = await read();
    const world = worldOf(definitionsFrom(notes(true)));
    const answer = await explainEvolution(lab.options(notes(true)), world, {
      table: 'lab.note',
      key: { note: 77 },
    });
    expect(answer).toMatchObject({
      status: 'row',
      row: {
        key: { note: 77 },
        class: 'keep',
        above: [{ table: 'lab.page', key: { book: 77, page: 1 }, class: 'keep' }],
      },
    });
    await lab.store.script('select pg_stat_force_next_flush()');
    await new Promise((done) => setTimeout(done, 1_500));
    const one = await read();
    expect(one - before).toBeLessThan(100);
    // The whole table is another matter.
    await explainEvolution(lab.options(notes(true)), world, { table: 'lab.note' });
    await lab.store.script('select pg_stat_force_next_flush()');
    await new Promise((done) => setTimeout(done, 1_500));
    expect((await read()) - one).toBeGreaterThan(2_999);
  });
});

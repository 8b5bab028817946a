import { expect, it } from 'vitest';
import { history, pipeline, t, type Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { declaredFrom, undeclaredFrom } from './reference-case.ts';

const TWO = declaredFrom(true);

withStores('an evolution that is taken back after new results', (given) => {
  it('keeps what carrying back wrote over, and knows on the way forward what those results read', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(undeclaredFrom());
    await lab.store.script(
      'insert into lab.s values (1, 10, 1), (2, 20, null); insert into lab.side values (1, 7)',
    );
    await lab.populate(undeclaredFrom());
    const id = await lab.deploy(TWO);
    await lab.store.script('update lab.s set v = 11 where s = 1; update lab.s set v = 21 where s = 2');
    expect(await lab.populate(TWO)).toMatchObject({ tables: [{ table: 'lab.r', computed: 2 }] });
    expect(await lab.rollback(TWO, id)).toMatchObject({ status: 'applied' });
    expect(await lab.rows('select s, value from lab.r order by s')).toEqual([
      { s: 1, value: 18 },
      { s: 2, value: 21 },
    ]);
    const found = await history(given.store, 'lab.r', { key: { s: 1 } });
    const values =
      found.status === 'ok' ? found.versions.map(({ rows }) => rows['lab.r']?.[0]?.['value']) : [];
    expect(new Set(values)).toEqual(new Set([18, 17]));
    expect(
      await lab.rows(`select (rows -> 'lab.r' -> 0 ->> 'value')::int as value from varve.superseded p
        join varve.relation r on r.id = p.relation and r.state = 'live' order by 1`),
    ).toEqual([{ value: 17 }, { value: 20 }]);
    expect(await lab.plan(TWO)).toMatchObject({
      outcome: { plan: { bound: { tables: [{ table: 'lab.r', backfill: 2, recompute: 0, ambiguous: 0 }] } } },
    });
    await lab.deploy(TWO);
    expect(await lab.rows('select s, side, value from lab.r order by s')).toEqual([
      { s: 1, side: 1, value: 18 },
      { s: 2, side: null, value: 21 },
    ]);
    expect(await lab.verify(TWO)).toMatchObject({ status: 'equal' });
  });
});

/** People's rows, with a column more or without. */
function people(column: 'word' | undefined): Pipeline {
  const lab = pipeline('lab');
  lab.manual('s', {
    key: { s: t.integer() },
    columns: { v: t.integer(), ...(column === undefined ? {} : { [column]: t.text().nullable() }) },
  });
  return lab;
}

withStores('an evolution during which people write', (given) => {
  it('is taken back with what they wrote, and the proof says that it is there', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(people(undefined));
    await lab.store.script('insert into lab.s values (1, 10), (2, 20), (3, 30)');
    const id = await lab.planned(people('word'));
    const outcome = await lab.apply(people('word'), id, {
      fault: async (point) => {
        if (point !== 'E05_checked') return;
        await lab.store.script(
          'insert into lab.s values (4, 40); update lab.s set v = 11 where s = 1; delete from lab.s where s = 2',
        );
      },
    });
    expect(outcome).toMatchObject({ status: 'applied' });
    const back = await lab.rollback(people('word'), id);
    expect(back).toMatchObject({
      status: 'applied',
      receipt: {
        receipt: { proof: { status: 'equal_except_new_writes', new_writes: [{ table: 'lab.s' }] } },
      },
    });
    expect(await lab.rows('select s, v from lab.s order by s')).toEqual([
      { s: 1, v: 11 },
      { s: 3, v: 30 },
      { s: 4, v: 40 },
    ]);
  });
});

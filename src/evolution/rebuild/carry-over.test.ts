import { expect, it } from 'vitest';
import { withEmbedded } from '../../../test/harness/index.ts';
import { openLab } from '../../../test/evolution/lab.ts';
import { bare } from '../../../test/evolution/tables.ts';
import { t, type Pipeline } from '../../pipeline/index.ts';

/** Two tables that people fill, built one after the other. */
function two(isWide: boolean): Pipeline {
  return bare((given) => {
    const columns = { n: isWide ? t.bigint() : t.integer() };
    given.manual('first', { key: { k: t.integer() }, columns });
    given.manual('second', { key: { k: t.integer() }, columns });
  });
}

withEmbedded('what is written while other tables are listed', (given) => {
  it.each(['first', 'second'])('is carried over, told of and goes back: %s', async (table) => {
    await using at = await openLab(given.store);
    await at.deploy(two(false));
    await at.store.script('insert into lab.first values (1, 1); insert into lab.second values (1, 1)');
    const id = await at.planned(two(true));
    let passed = 0;
    const fault = async (point: string): Promise<void> => {
      if (point !== 'E01_classified') return;
      passed += 1;
      if (passed === 1) await at.store.script(`insert into lab.${table} values (2, 2)`);
    };
    expect(await at.apply(two(true), id, { fault })).toMatchObject({ status: 'applied' });
    expect(passed).toBe(2);
    expect(await at.rows(`select k from lab.${table} order by k`)).toEqual([{ k: 1 }, { k: 2 }]);
    const back = await at.rollback(two(true), id);
    expect(back, JSON.stringify(back)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await at.rows(`select k, n from lab.${table} order by k`)).toEqual([
      { k: 1, n: 1 },
      { k: 2, n: 2 },
    ]);
  });
});

import { expect, it } from 'vitest';
import { t, type Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, type Lab } from './lab.ts';
import { bare } from './tables.ts';

/** Results that read a row which an item may name; the row has a second column, or has it no more. */
function items(side: 'two columns' | 'one column' | 'two columns, one read'): Pipeline {
  return bare((given) => {
    const item = given.manual('item', {
      key: { item: t.integer() },
      columns: { wants: t.integer().nullable() },
    });
    const key = { side: t.integer() };
    const off = { off: t.integer() };
    const common = { parents: [item], columns: { value: t.integer() } } as const;
    const make = (inputs: { readonly side: { readonly off: number } | null }) => ({
      value: inputs.side?.off ?? 0,
    });
    if (side === 'one column') {
      const table = given.manual('side', { key, columns: off });
      const chosen = table
        .as({ side: 'chosen' })
        .optional()
        .from({ side: item.column('wants') });
      given.computed('r', { ...common, references: { chosen }, reads: { item, side: chosen }, make });
      return;
    }
    const table = given.manual('side', { key, columns: { ...off, more: t.integer().nullable() } });
    const chosen = table
      .as({ side: 'chosen' })
      .optional()
      .from({ side: item.column('wants') });
    const read = side === 'two columns' ? chosen : table.columns('side', 'off');
    given.computed('r', { ...common, references: { chosen }, reads: { item, side: read }, make });
  });
}

async function begin(at: Lab, from: Pipeline): Promise<void> {
  await at.deploy(from);
  await at.store.script(
    'insert into lab.side (side, "off") values (1, 7); insert into lab.item values (1, 1), (2, null), (3, null)',
  );
  expect(await at.populate(from)).toMatchObject({ status: 'done', findings: [] });
}

withStores('a row whose make found nothing to read', (given) => {
  it.each([
    ['loses a column', items('two columns'), items('one column')],
    ['is read whole from now on', items('two columns, one read'), items('two columns')],
  ])('is kept where the table that it did not find a row of %s', async (_, from, to) => {
    await using at = await openLab(given.store);
    await begin(at, from);
    const id = await at.planned(to);
    expect(await at.apply(to, id)).toMatchObject({
      status: 'applied',
      tables: expect.arrayContaining([
        expect.objectContaining({ table: 'lab.r', keep: 2, recompute: 1, ambiguous: 0 }),
      ]) as object,
    });
    expect(await at.populate(to)).toMatchObject({ tables: [{ table: 'lab.r', computed: 0 }] });
    await at.store.script('update lab.item set wants = 1 where item = 2');
    expect(await at.populate(to)).toMatchObject({ tables: [{ table: 'lab.r', computed: 1 }] });
    expect(await at.rows('select item, chosen, value from lab.r order by item')).toEqual([
      { item: 1, chosen: 1, value: 7 },
      { item: 2, chosen: 1, value: 7 },
      { item: 3, chosen: null, value: 0 },
    ]);
    expect(await at.verify(to)).toMatchObject({ status: 'equal' });
  });
});

import { expect, it } from 'vitest';
import { t, type Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { lab } from './tables.ts';

/** The second one reads another table, too. */
function withSides(as: 'apart' | 'together'): Pipeline {
  return lab((given, s) => {
    const side = given.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
    const sum = (sides: readonly { readonly off: number }[]): number =>
      sides.reduce((total, { off }) => total + off, 0);
    if (as === 'apart') {
      given.computed('a', {
        parents: [s],
        columns: { x: t.integer() },
        reads: { s },
        make: (inputs) => ({ x: inputs.s.v }),
      });
      given.computed('b', {
        parents: [s],
        columns: { y: t.integer() },
        reads: { sides: side.all() },
        make: (inputs) => ({ y: sum(inputs.sides) }),
      });
      return;
    }
    given.computed('m', {
      mergedFrom: ['a', 'b'],
      parents: [s],
      columns: { x: t.integer(), y: t.integer() },
      reads: { s, sides: side.all() },
      make: (inputs) => ({ x: inputs.s.v, y: sum(inputs.sides) }),
    });
  });
}

/** Two results of the same row, each by a make of its own. */
function apart(): Pipeline {
  return lab((given, s) => {
    given.computed('a', {
      parents: [s],
      columns: { x: t.integer() },
      reads: { s },
      make: (inputs) => ({ x: inputs.s.v }),
    });
    given.computed('b', {
      parents: [s],
      columns: { y: t.integer() },
      reads: { s },
      make: (inputs) => ({ y: inputs.s.v * 2 }),
    });
  });
}

/** Both by one make. */
function together(): Pipeline {
  return lab((given, s) => {
    given.computed('m', {
      mergedFrom: ['a', 'b'],
      parents: [s],
      columns: { x: t.integer(), y: t.integer() },
      reads: { s },
      make: (inputs) => ({ x: inputs.s.v, y: inputs.s.v * 2 }),
    });
  });
}

const ROWS = [
  { s: 1, x: 11, y: 22 },
  { s: 2, x: 20, y: 40 },
];

withStores('computed tables that are merged', (given) => {
  it.each([
    ['the first one', 'lab.a'],
    ['the other one', 'lab.b'],
  ])('a row is of the present only where both of its halves are: %s was not', async (_, isPresent) => {
    await using at = await openLab(given.store);
    await at.deploy(apart());
    await at.store.script('insert into lab.s values (1, 10), (2, 20)');
    await at.populate(apart());
    await at.store.script('update lab.s set v = 11 where s = 1');
    await at.populate(apart(), [isPresent]);
    await at.deploy(together());
    expect(await at.populate(together())).toMatchObject({ tables: [{ table: 'lab.m', computed: 1 }] });
    expect(await at.rows('select s, x, y from lab.m order by s')).toEqual(ROWS);
    expect(await at.verify(together())).toMatchObject({ status: 'equal' });
  });

  it('what either of them was recorded to read is recorded of the row', async () => {
    await using at = await openLab(given.store);
    await at.deploy(withSides('apart'));
    await at.store.script('insert into lab.s values (1, 10), (2, 20); insert into lab.side values (1, 7)');
    await at.populate(withSides('apart'));
    await at.deploy(withSides('together'));
    expect(await at.populate(withSides('together'))).toMatchObject({
      tables: [{ table: 'lab.m', computed: 0 }],
    });
    await at.store.script('update lab.side set "off" = 9');
    expect(await at.populate(withSides('together'))).toMatchObject({
      tables: [{ table: 'lab.m', computed: 2 }],
    });
    expect(await at.rows('select s, x, y from lab.m order by s')).toEqual([
      { s: 1, x: 10, y: 9 },
      { s: 2, x: 20, y: 9 },
    ]);
  });
});

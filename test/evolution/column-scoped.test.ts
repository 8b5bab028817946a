import { expect, it } from 'vitest';
import { t, why, type Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, type Lab } from './lab.ts';
import { lab } from './tables.ts';

/** How `r` is made: without the column `word`, with it, or with it and another value for the second row. */
type Make = 'narrow' | 'wide' | 'other';

/** A result, what reads one column of it, what reads all of that, and what reads the whole result. */
function words(make: Make): Pipeline {
  return lab((given, s) => {
    if (make === 'narrow') {
      const r = given.computed('r', {
        parents: [s],
        columns: { value: t.integer() },
        reads: { s },
        derives: { value: ['s.v'] },
        make: ({ s: { v } }) => ({ value: v + 1 }),
      });
      const half = given.computed('half', {
        parents: [r],
        columns: { half: t.integer() },
        reads: { r: r.columns('value') },
        make: ({ r: { value } }) => ({ half: value * 5 }),
      });
      given.computed('whole', {
        parents: [r],
        columns: { next: t.integer() },
        reads: { r },
        make: ({ r: { value } }) => ({ next: value + 1 }),
      });
      given.computed('rest', {
        parents: [half],
        columns: { rest: t.integer() },
        reads: { half },
        make: ({ half: { half: n } }) => ({ rest: n + 1 }),
      });
      return;
    }
    const r = given.computed('r', {
      parents: [s],
      columns: { value: t.integer(), word: t.text() },
      reads: { s },
      derives: { value: ['s.v'], word: ['s.v'] },
      make:
        make === 'wide'
          ? ({ s: { v } }) => ({ value: v + 1, word: `w${v}` })
          : ({ s: { s: key, v } }) => ({ value: v + key, word: `w${v}` }),
    });
    const half = given.computed('half', {
      parents: [r],
      columns: { half: t.integer() },
      reads: { r: r.columns('value') },
      make: ({ r: { value } }) => ({ half: value * 5 }),
    });
    given.computed('rest', {
      parents: [half],
      columns: { rest: t.integer() },
      reads: { half },
      make: ({ half: { half: n } }) => ({ rest: n + 1 }),
    });
    given.computed('whole', {
      parents: [r],
      columns: { next: t.integer() },
      reads: { r },
      make: ({ r: { value } }) => ({ next: value + 1 }),
    });
  });
}

/** In which run a row was computed. */
async function runOf(at: Lab, table: string, s: number): Promise<string> {
  const answer = await why(at.store, table, { s });
  const computation = answer.status === 'ok' ? answer.origin.computation : null;
  if (computation === null) throw new Error(JSON.stringify(answer));
  expect(computation.inputs.every(({ isPresent }) => isPresent)).toBe(true);
  return computation.run.name;
}

withStores('a column added to a computed table', (given) => {
  it.each<[Make, number]>([
    ['wide', 0],
    ['other', 1],
  ])('computes below it only rows whose columns became others: %s, %i', async (make, changed) => {
    await using at = await openLab(given.store);
    await at.deploy(words('narrow'));
    await at.store.script('insert into lab.s values (1, 10), (2, 20)');
    expect(await at.populate(words('narrow'))).toMatchObject({ status: 'done' });
    const below = ['lab.half', 'lab.rest', 'lab.whole'];
    const runs = async (s: number): Promise<readonly string[]> =>
      Promise.all(below.map(async (table) => runOf(at, table, s)));
    const before = [await runs(1), await runs(2)];

    const id = await at.planned(words(make));
    const applied = await at.apply(words(make), id);
    if (applied.status !== 'applied') throw new Error(JSON.stringify(applied));
    const [recomputed, ...others] = applied.tables.toSorted(
      (left, right) => right.recompute - left.recompute,
    );
    expect(recomputed).toMatchObject({ table: 'lab.r', keep: 0, recompute: 2, ambiguous: 0 });
    for (const table of others) expect(table).toMatchObject({ keep: 2, recompute: 0 });
    expect(await at.rows('select value, word from lab.r order by s')).toEqual([
      { value: 11, word: 'w10' },
      { value: 21 + changed, word: 'w20' },
    ]);
    expect(await at.populate(words(make))).toMatchObject({
      tables: expect.arrayContaining([
        expect.objectContaining({ table: 'lab.half', computed: changed }),
        expect.objectContaining({ table: 'lab.rest', computed: changed }),
        expect.objectContaining({ table: 'lab.whole', computed: changed }),
      ]),
    });
    expect(await runs(1)).toEqual(before[0]);
    expect((await runs(2)).filter((run, index) => run !== before[1]?.[index])).toHaveLength(3 * changed);
    expect(await at.verify(words(make))).toMatchObject({ status: 'equal' });
  });
});

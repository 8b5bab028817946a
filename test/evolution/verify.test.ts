import { expect, it } from 'vitest';
import { verifySample, type SampleOptions, type SampleResult } from '../../src/evolution/index.ts';
import type { Pipeline } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, worldOf, type Lab } from './lab.ts';
import { definitionsFrom } from './side-pipeline.ts';
import { leftovers } from './state.ts';
import { OTHER, SAME, WORDS, words } from './word-pipeline.ts';

async function wordLab(lab: Lab, notes: number): Promise<void> {
  await lab.deploy(WORDS);
  await lab.store.script(
    `insert into lab.note select n, 'secret word ' || n from generate_series(1, ${notes}) n`,
  );
  expect(await lab.populate(WORDS)).toMatchObject({ status: 'done' });
}

function sample(lab: Lab, given: Pipeline, options: SampleOptions = {}): Promise<SampleResult> {
  return verifySample(lab.store, worldOf(definitionsFrom(given)), options);
}

const KEY = expect.stringMatching(/^[0-9a-f]{32}$/u) as string;
const DIGEST = expect.stringMatching(/^sha256:[0-9a-f]{64}$/u) as string;
const WRONG = { key: KEY, stored: DIGEST, computed: DIGEST };

withStores('verify --full', (given) => {
  it('tells rows that are wrong from rows that are stale, and those below stale ones from both', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab, 4);
    expect(await lab.verify(WORDS)).toMatchObject({ status: 'equal', findings: [] });

    await lab.store.script(`
      update lab.note set text = 'short' where note = 1;
      update lab.split__word set word = 'tampered' where note = 2 and n = 0;
      update lab.twice set twice = -1 where note = 3;
      insert into lab.note values (5, 'not populated');`);
    const found = await lab.verify(WORDS);
    expect(found).toMatchObject({
      status: 'different',
      tables: [
        { table: 'lab.split', rows: 4, equal: 3, stale: 1, differing: 0, missing: 1, extra: 0 },
        // Recorded inputs are those of the parent as it stands, which is stale itself.
        { table: 'lab.twice', rows: 4, equal: 2, stale: 1, differing: 1, missing: 1, extra: 0 },
        { table: 'lab.split__word', rows: 12, equal: 8, stale: 3, differing: 1, missing: 2, extra: 0 },
      ],
      findings: [
        { code: 'verify_differs', subject: 'lab.split', detail: { missing: 1, keys: [WRONG] } },
        { code: 'verify_stale', subject: 'lab.split', detail: { rows: 1 } },
        {
          code: 'verify_differs',
          subject: 'lab.twice',
          detail: { differing: 1, missing: 1, keys: [WRONG, WRONG] },
        },
        { code: 'verify_stale', subject: 'lab.twice', detail: { rows: 1 } },
        { code: 'verify_differs', subject: 'lab.split__word', detail: { differing: 1, missing: 2 } },
        { code: 'verify_stale', subject: 'lab.split__word', detail: { rows: 3 } },
      ],
    });
    expect(JSON.stringify(found)).not.toMatch(/secret|tampered|short/u);
    expect(await leftovers(lab.store)).toEqual([]);

    await lab.store.script(`
      update lab.split__word set word = 'secret' where note = 2 and n = 0;
      update lab.twice set twice = 6 where note = 3;
      delete from lab.note where note = 5`);
    expect(await lab.verify(WORDS)).toMatchObject({ status: 'stale' });
    await lab.populate(WORDS);
    expect(await lab.verify(WORDS)).toMatchObject({ status: 'equal' });
  });

  it('rows of an older make are stale where the present one gives others, and equal where it gives the same', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab, 3);
    expect(await lab.verify(SAME)).toMatchObject({ status: 'equal' });
    expect(await lab.verify(OTHER)).toMatchObject({
      status: 'stale',
      tables: [{ equal: 3 }, { table: 'lab.twice', equal: 0, stale: 3, differing: 0 }, { equal: 9 }],
    });
  });
});

withStores('verify --sample', (given) => {
  it('computes some keys of each table from its parents as they stand, and says what that proves', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab, 60);
    const table = {
      isPresent: true,
      keys: 60,
      sampled: 40,
      equal: 40,
      stale: 0,
      differing: 0,
      wrongAtMost: 0.075,
    };
    expect(await sample(lab, WORDS, { size: 40 })).toMatchObject({
      status: 'equal',
      tables: [
        { table: 'lab.split', codes: [table] },
        { table: 'lab.twice', codes: [table] },
      ],
      findings: [],
    });
    expect(await sample(lab, WORDS, { size: 60, tables: ['lab.split'] })).toMatchObject({
      tables: [{ table: 'lab.split', codes: [{ keys: 60, sampled: 60, wrongAtMost: 0 }] }],
    });
    expect(await leftovers(lab.store)).toEqual([]);
  });

  it('finds what is wrong, parts included, and only where it is: what lies below is computed from what stands', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab, 6);
    await lab.store.script(`
      update lab.note set text = 'short' where note = 1;
      update lab.split set count = 7 where note = 2;
      update lab.split__word set word = 'tampered' where note = 3 and n = 0;
      delete from lab.split__word where note = 4;
      insert into lab.note values (7, 'adopted'), (8, 'not populated');
      insert into lab.split values (7, 99);`);
    const found = await sample(lab, WORDS);
    expect(found).toMatchObject({
      status: 'different',
      tables: [
        {
          table: 'lab.split',
          codes: [
            { keys: 6, sampled: 6, equal: 2, stale: 1, differing: 3, wrongAtMost: null },
            { code: null, isPresent: false, keys: 1, sampled: 1, differing: 1 },
          ],
        },
        // The row of note 2 says what it was computed from, which is no longer there.
        {
          table: 'lab.twice',
          codes: [{ keys: 6, sampled: 6, equal: 5, stale: 1, differing: 0, wrongAtMost: 0 }],
        },
      ],
      findings: [
        {
          code: 'verify_differs',
          subject: 'lab.split',
          detail: { sampled: 7, differing: 4, keys: [WRONG, WRONG, WRONG, WRONG] },
        },
        { code: 'verify_stale', subject: 'lab.split', detail: { rows: 1 } },
        { code: 'verify_stale', subject: 'lab.twice', detail: { rows: 1 } },
      ],
    });
    expect(JSON.stringify(found)).not.toMatch(/secret|tampered|short|adopted/u);
  });

  it('takes as many keys of each code, so that the few rows of an older make are looked at', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab, 40);
    await lab.populate(SAME);
    // As when the other 37 had been computed anew, and these were left aside.
    await lab.store.script(`
      with r as (select id from varve.relation where name = 'lab.twice')
      update varve.computation set spec = (select min(id) from varve.computation_spec where relation = (select id from r))
      where key_hash in (select key_hash from varve.computation where relation = (select id from r)
        order by key_hash limit 3) and relation = (select id from r)`);
    const codes = async (with_: Pipeline): Promise<unknown> => {
      const result = await sample(lab, with_, { size: 2, tables: ['lab.twice'] });
      if (result.status === 'refused') throw new Error(JSON.stringify(result));
      return result.tables.map((one) => one.codes);
    };
    expect(await codes(SAME)).toMatchObject([
      [
        { isPresent: true, keys: 37, sampled: 2, equal: 2, wrongAtMost: 1 },
        { isPresent: false, keys: 3, sampled: 2, equal: 2, wrongAtMost: 1 },
      ],
    ]);
    expect(await codes(OTHER)).toMatchObject([
      [
        { isPresent: false, keys: 37, sampled: 2, equal: 0, stale: 2, wrongAtMost: null },
        { isPresent: false, keys: 3, sampled: 2, equal: 0, stale: 2, wrongAtMost: null },
      ],
    ]);
  });

  it('takes the same keys when asked again, and others with another seed', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab, 40);
    await lab.store.script('update lab.twice set twice = -1');
    const keys = async (seed: string): Promise<unknown> => {
      const result = await sample(lab, WORDS, { size: 5, seed, tables: ['lab.twice'] });
      return result.findings[0]?.detail['keys'];
    };
    const first = await keys('a');
    expect(first).toHaveLength(5);
    expect(await keys('a')).toEqual(first);
    expect(await keys('b')).not.toEqual(first);
  });

  it('a key whose make fails is not equal', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab, 3);
    const failing = words(({ split }) => {
      throw new RangeError(String(split.count));
    });
    expect(await sample(lab, failing, { tables: ['lab.twice'] })).toMatchObject({
      status: 'stale',
      tables: [{ codes: [{ equal: 0, stale: 3 }] }],
      findings: expect.arrayContaining([expect.objectContaining({ code: 'make_failed' })]) as unknown,
    });
  });

  it('refuses what it cannot compute', async () => {
    await using lab = await openLab(given.store);
    await wordLab(lab, 1);
    expect(await sample(lab, WORDS, { tables: ['lab.note'] })).toMatchObject({
      status: 'refused',
      findings: [{ code: 'unknown_table', subject: 'lab.note' }],
    });
  });
});

import { expect, it } from 'vitest';
import { t, type Pipeline } from '../../src/pipeline/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { liveState, SETTLED, settledState } from './state.ts';
import { bare } from './tables.ts';

/** Samples as they were, and in types that hold more. */
function samples(isWide: boolean): Pipeline {
  return bare((lab) => {
    const strain = lab.manual('strain', { key: { strain: t.text() }, columns: { n: t.integer() } });
    lab.manual('sample', {
      key: { sample: isWide ? t.bigint() : t.integer() },
      columns: {
        count: isWide ? t.bigint() : t.integer(),
        code: isWide ? t.text() : t.custom('character varying(4)'),
        grams: isWide ? t.text() : t.double(),
        place: isWide ? t.text().nullable() : t.text(),
        level: isWide ? t.integer() : t.integer().checked('level > 0'),
        label: isWide ? t.text() : t.text().unique(),
        ...(isWide ? { strain: t.text() } : {}),
      },
      references: isWide ? {} : { strain },
    });
  });
}

const FIRST = `insert into lab.strain values ('a', 1);
  insert into lab.sample (sample, count, code, grams, place, level, label, strain)
    values (1, 5, 'x', 1.5, 'north', 1, 'one', 'a'), (2, 6, 'y', 0.1, 'south', 2, 'two', 'a')`;

function written(change: object): string {
  const row = {
    sample: 3,
    count: 7,
    code: 'z',
    grams: '2.5',
    place: 'east',
    level: 3,
    label: 'three',
    strain: 'a',
    ...change,
  };
  const values = Object.values(row).map((value) => (value === null ? 'null' : `'${String(value)}'`));
  return `insert into lab.sample (${Object.keys(row).join(', ')}) values (${values.join(', ')})`;
}

function suite(given: StoreUnderTest): void {
  it.each([
    ['a number that is too large', { count: 2 ** 40 }, '{"sample": 3}', 'against the old type: count'],
    [
      'a key that is too large',
      { sample: 2 ** 40 },
      '{"sample": 1099511627776}',
      'against the old type: sample',
    ],
    ['a text that is too long', { code: 'xxxxx' }, '{"sample": 3}', 'against the old type: code'],
    ['a text that is no number', { grams: 'many' }, '{"sample": 3}', 'against the old type: grams'],
    ['no value', { place: null }, '{"sample": 3}', 'no value'],
    ['a value against a check', { level: 0 }, '{"sample": 3}', 'against the old check: '],
    ['a value that another row has', { label: 'one' }, '{"sample": 3}', 'another row with the same: label'],
    ['a row that leads nowhere', { strain: 'b' }, '{"sample": 3}', 'no row that it leads to: '],
  ])('%s is a finding with the key, and nothing is changed', async (_, change, key, why) => {
    await using lab = await openLab(given.store);
    await lab.deploy(samples(false));
    await lab.store.script(FIRST);
    const old = await lab.rows('select * from lab.sample order by sample');
    const id = await lab.deploy(samples(true));
    await lab.store.script(written(change));
    const before = await liveState(lab.store);
    const refused = await lab.rollback(samples(true), id);
    expect(refused.status).not.toBe('applied');
    expect(refused).toMatchObject({
      findings: [
        {
          code: 'rows_unrepresentable',
          subject: 'lab.sample',
          detail: {
            keys: expect.arrayContaining([{ key, why: expect.stringContaining(why) as string }]) as unknown,
          },
        },
      ],
    });
    expect(await liveState(lab.store)).toEqual(before);
    await lab.store.script('delete from lab.sample where sample > 2');
    expect(await lab.rollback(samples(true), id)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await lab.rows('select * from lab.sample order by sample')).toEqual(old);
    expect(await settledState(lab.options(samples(false)))).toEqual(SETTLED);
  });

  it('what it can hold is carried back in its old types', async () => {
    await using lab = await openLab(given.store);
    await lab.deploy(samples(false));
    await lab.store.script(FIRST);
    const id = await lab.deploy(samples(true));
    await lab.store.script(written({}));
    expect(await lab.rollback(samples(true), id)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await lab.rows('select sample, count, code, grams from lab.sample where sample = 3')).toEqual([
      { sample: 3, count: 7, code: 'z', grams: 2.5 },
    ]);
  });
}

withEmbedded('what the old shape cannot hold', suite);
// That release has no way of its own to ask whether a text is a value.
withPostgres('what the old shape cannot hold', 15, suite);

import { expect, it } from 'vitest';
import { part, pipeline, stale, t, type AnyTable } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { deploy, type Deployed } from './pipeline-lab.ts';

withStores('early cutoff', (given) => {
  it('stops at the level whose result is equal, however many levels there are', async () => {
    const { world, calls, tables, update } = await chain();
    const [, Rounded, Half, Sign, Word] = tables;
    calls.length = 0;

    await update(1, 5.4);
    await world.populate();
    expect(calls).toEqual(['rounded 1']);

    calls.length = 0;
    await update(1, 7);
    await world.populate();
    expect(calls).toEqual(['rounded 1', 'half 1', 'sign 1']);

    calls.length = 0;
    await update(1, -7);
    await world.populate();
    expect(calls).toEqual(['rounded 1', 'half 1', 'sign 1', 'word 1']);
    for (const table of [Rounded, Half, Sign, Word]) expect(await world.wrongOutputs(table)).toBe(0);
    expect(await staleTables(world)).toEqual({});
  });

  it('is foretold by stale: what is stale itself, and what stands below it', async () => {
    const { world, tables, update } = await chain();
    const [, Rounded, , , Word] = tables;
    await update(2, 50);
    expect(await staleTables(world)).toEqual({
      rounded: { stale: 1, upstream: [] },
      half: { stale: 0, upstream: ['rounded 1'] },
      sign: { stale: 0, upstream: ['rounded 1'] },
      word: { stale: 0, upstream: ['rounded 1'] },
    });
    // The tables above are looked at though only this one is asked for.
    const alone = await stale(given.store, world.definitions, world.codeByTable, [Word.spec.name]);
    expect(alone).toEqual({
      status: 'ok',
      tables: [
        {
          table: Word.spec.name,
          stale: [],
          below: [],
          upstream: [{ table: Rounded.spec.name, rows: 1 }],
        },
      ],
    });
  });

  it('goes by part rows: equal ones in another order touch nothing, another one touches who reads them', async () => {
    const lab = pipeline(uniqueName('s'));
    const calls: string[] = [];
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { text: t.text() } });
    const Words = lab.computed('words', {
      parents: [Source],
      columns: { sorted: t.boolean() },
      reads: { source: Source },
      parts: { word: part({ key: { word: t.text() }, columns: { letters: t.integer() } }) },
      make: ({ source }) => {
        calls.push('words');
        return {
          sorted: false,
          parts: { word: source.text.split(' ').map((word) => ({ word, letters: word.length })) },
        };
      },
    });
    const Count = lab.computed('count', {
      parents: [Words],
      columns: { n: t.integer() },
      reads: { words: Words.parts.word.matching({ id: 'id' }) },
      make: ({ words }) => {
        calls.push('count');
        return { n: words.reduce((sum, { letters }) => sum + letters, 0) };
      },
    });
    const Each = lab.computed('each', {
      parents: [Words.parts.word],
      columns: { twice: t.text() },
      reads: { word: Words.parts.word },
      make: ({ word }) => {
        calls.push(`each ${word.word}`);
        return { twice: word.word + word.word };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1, text: 'a bb ccc' }]);
    expect(await world.populate()).toMatchObject({ status: 'done' });
    const update = (text: string) =>
      given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set text = ${text} where id = 1`);

    calls.length = 0;
    await update('ccc a bb');
    await world.populate();
    expect(calls).toEqual(['words']);

    calls.length = 0;
    await update('ccc a bb dddd');
    await world.populate();
    expect(calls.toSorted()).toEqual(['count', 'each dddd', 'words']);
    expect(await world.rows(Count)).toEqual([{ id: 1, n: 10 }]);
    expect(await world.rows(Each)).toHaveLength(4);
    expect(await staleTables(world)).toEqual({});
  });

  /** A source, and four tables each of which tells less than the one before. */
  async function chain() {
    const lab = pipeline(uniqueName('s'));
    const calls: string[] = [];
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { value: t.double() } });
    const Rounded = lab.computed('rounded', {
      parents: [Source],
      columns: { n: t.integer() },
      reads: { source: Source },
      make: ({ source }) => {
        calls.push(`rounded ${source.id}`);
        return { n: Math.round(source.value) };
      },
    });
    const Half = lab.computed('half', {
      parents: [Rounded],
      columns: { n: t.integer() },
      reads: { rounded: Rounded },
      make: ({ rounded }) => {
        calls.push(`half ${rounded.id}`);
        return { n: Math.trunc(rounded.n / 2) };
      },
    });
    const Sign = lab.computed('sign', {
      parents: [Half],
      columns: { sign: t.integer() },
      reads: { half: Half },
      make: ({ half }) => {
        calls.push(`sign ${half.id}`);
        return { sign: Math.sign(half.n) };
      },
    });
    const Word = lab.computed('word', {
      parents: [Sign],
      columns: { word: t.text() },
      reads: { sign: Sign },
      make: ({ sign }) => {
        calls.push(`word ${sign.id}`);
        return { word: sign.sign > 0 ? 'plus' : 'minus' };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [
      { id: 1, value: 5 },
      { id: 2, value: 9 },
    ]);
    await world.populate();
    const update = (id: number, value: number) =>
      given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set value = ${value} where id = ${id}`);
    const tables: readonly [AnyTable, AnyTable, AnyTable, AnyTable, AnyTable] = [
      Source,
      Rounded,
      Half,
      Sign,
      Word,
    ];
    return { world, calls, tables, update };
  }

  /** Of each table with something to tell: how many keys are stale, and which tables above are. */
  async function staleTables(world: Deployed) {
    const found = await stale(given.store, world.definitions, world.codeByTable);
    if (found.status === 'refused') throw new Error(JSON.stringify(found.findings));
    const short = (name: string) => name.slice(name.indexOf('.') + 1);
    return Object.fromEntries(
      found.tables
        .filter((table) => table.stale.length + table.upstream.length > 0)
        .map((table) => [
          short(table.table),
          {
            stale: table.stale.length,
            upstream: table.upstream.map((above) => `${short(above.table)} ${String(above.rows)}`),
          },
        ]),
    );
  }
});

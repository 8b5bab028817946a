import { expect, it } from 'vitest';
import { listJobs, part, pipeline, t, type Job, type PopulateResult } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { countsOf, deploy } from './pipeline-lab.ts';

/** What a make that keeps no promise gives back; the compiler would refuse most of these. */
type Anything = (id: number) => unknown;

withStores('makes that keep no promise', (given) => {
  /** A table over ids 1 and 2 whose make misbehaves for 2 alone. */
  async function compute(
    bad: Anything,
    timeoutSeconds = 600,
  ): Promise<{
    result: PopulateResult;
    jobs: readonly Job[];
    rows: readonly object[];
    pieces: number | undefined;
  }> {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { x: t.double(), name: t.text(), maybe: t.text().nullable() },
      parts: { piece: part({ key: { n: t.integer() } }) },
      reads: { source: Source },
      timeoutSeconds,
      make: (({ source }: { source: { id: number } }) =>
        source.id === 2 ? bad(source.id) : { x: 1, name: 'fine' }) as never,
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }, { id: 2 }, { id: 3 }]);
    const result = await world.populate();
    return {
      result,
      jobs: await listJobs(given.store, [await world.relation(Out)]),
      rows: await world.rows(Out),
      pieces: (
        await given.store.query<{ n: number }>(
          sql`select count(*)::int as n from ${sql.id(lab.schema, 'out__piece')}`,
        )
      )[0]?.n,
    };
  }

  const good = { x: 2, name: 'two' };
  const cases: readonly (readonly [string, Anything, string])[] = [
    [
      'throws',
      () => {
        throw new Error('no');
      },
      'make_failed',
    ],
    [
      'throws what is no error',
      () => {
        // oxlint-disable-next-line typescript/only-throw-error -- what a make may do
        throw 'no';
      },
      'make_failed',
    ],
    [
      'throws undefined',
      () => {
        // oxlint-disable-next-line typescript/only-throw-error -- what a make may do
        throw undefined;
      },
      'make_failed',
    ],
    [
      'throws what cannot be printed',
      () => {
        // oxlint-disable-next-line typescript/only-throw-error -- what a make may do
        throw Object.create(null);
      },
      'make_failed',
    ],
    ['rejects', () => Promise.reject(new Error('no')), 'make_failed'],
    ['returns nothing', () => undefined, 'make_returned_nothing'],
    ['returns an empty list', () => [], 'make_returned_nothing'],
    ['returns a promise of nothing', () => Promise.resolve(), 'make_returned_nothing'],
    ['returns another key', () => ({ ...good, id: 7 }), 'make_returned_another_key'],
    ['returns two rows for one key', () => [good, good], 'make_returned_another_key'],
    ['returns NaN', () => ({ ...good, x: Number.NaN }), 'make_returned_nan'],
    ['returns infinity', () => ({ ...good, x: -Infinity }), 'make_returned_nan'],
    ['returns a lone surrogate', () => ({ ...good, name: '\uD800' }), 'make_returned_bad_text'],
    ['returns a NUL', () => ({ ...good, name: 'a\0b' }), 'make_returned_bad_text'],
    ['returns text for a number', () => ({ ...good, x: '2' }), 'make_returned_wrong_type'],
    ['returns a number for text', () => ({ ...good, name: 2 }), 'make_returned_wrong_type'],
    ['returns null where a value must be', () => ({ ...good, name: null }), 'make_returned_null'],
    ['leaves a column out', () => ({ x: 2 }), 'make_returned_null'],
    ['returns an unknown column', () => ({ ...good, extra: 1 }), 'make_returned_wrong_type'],
    ['returns text', () => 'row', 'make_returned_wrong_type'],
    [
      'returns a row with a getter that throws',
      () => ({
        get x() {
          throw new Error('no');
        },
        name: 'n',
      }),
      'make_failed',
    ],
    ['returns an unknown part', () => ({ ...good, parts: { nothing: [] } }), 'make_returned_wrong_type'],
    ['returns parts that are no list', () => ({ ...good, parts: { piece: 5 } }), 'make_returned_wrong_type'],
    ['returns parts that are text', () => ({ ...good, parts: 'piece' }), 'make_returned_wrong_type'],
    [
      'returns a part row that is null',
      () => ({ ...good, parts: { piece: [null] } }),
      'make_returned_wrong_type',
    ],
    [
      'returns a part row of another key',
      () => ({ ...good, parts: { piece: [{ id: 1, n: 1 }] } }),
      'make_returned_another_key',
    ],
    [
      'returns one part row twice',
      () => ({ ...good, parts: { piece: [{ n: 1 }, { n: 1 }] } }),
      'constraint_violated',
    ],
    [
      'throws in a generator',
      function* () {
        yield good;
        throw new Error('no');
      },
      'make_failed',
    ],
    [
      'throws in an async generator',
      async function* () {
        yield good;
        throw new Error('no');
      },
      'make_failed',
    ],
  ];

  it.each(cases)('a make that %s fails its key alone', async (_, bad, code) => {
    const { result, jobs, rows, pieces } = await compute(bad);
    expect(result).toMatchObject({ status: 'failed', findings: [{ code, detail: { keys: 1 } }] });
    expect(jobs).toMatchObject([{ key: { id: 2 }, state: 'error', code, attempts: 1 }]);
    expect(rows).toEqual([1, 3].map((id) => ({ id, x: 1, name: 'fine', maybe: null })));
    expect(pieces).toBe(0);
  });

  it.each<readonly [string, Anything]>([
    [
      'spins',
      () => {
        for (;;);
      },
    ],
    ['never settles', () => new Promise(() => undefined)],
    [
      'yields for ever',
      function* () {
        for (;;) yield { parts: { piece: [] } };
      },
    ],
    [
      'yields for ever, waiting',
      async function* () {
        for (;;) yield await new Promise((resolve) => setTimeout(resolve, 5));
      },
    ],
  ])('a make that %s is ended after its time', async (_, bad) => {
    const { result, jobs, rows } = await compute(bad, 1);
    expect(result).toMatchObject({ status: 'failed', findings: [{ code: 'make_timed_out' }] });
    expect(jobs).toMatchObject([{ key: { id: 2 }, code: 'make_timed_out' }]);
    expect(rows).toHaveLength(2);
  });

  it('the signal of a key whose time is over is aborted', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const seen: boolean[] = [];
    lab.computed('out', {
      parents: [Source],
      reads: { source: Source },
      timeoutSeconds: 0.2,
      make: ({ source }, { signal }) =>
        source.id === 1
          ? new Promise(() => signal.addEventListener('abort', () => seen.push(signal.aborted)))
          : { id: source.id },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }, { id: 2 }]);
    expect(await world.populate()).toMatchObject({ tables: [{ computed: 1, failed: 1 }] });
    expect(seen).toEqual([true]);
  });

  it('a key that fails here and is computed there leaves no job', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const order: (() => Promise<unknown>)[] = [];
    const Out = lab.computed('out', {
      parents: [Source],
      reads: { source: Source },
      make: async () => {
        const other = order.shift();
        if (other === undefined) return {};
        await other();
        throw new Error('lost the race');
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }]);
    order.push(() => world.populate({ isShared: false }));
    expect(await world.populate({ isShared: false })).toMatchObject({
      status: 'done',
      tables: [{ computed: 0, failed: 0, remaining: 0 }],
    });
    expect(await listJobs(given.store, [await world.relation(Out)])).toEqual([]);
  });

  it('a key that fails there while it is computed here leaves no job', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    let calls = 0;
    const Out = lab.computed('out', {
      parents: [Source],
      reads: { source: Source },
      make: async () => {
        calls += 1;
        if (calls === 2) throw new Error('too early');
        await world.populate({ isShared: false });
        return {};
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }]);
    expect(await world.populate({ isShared: false })).toMatchObject({
      status: 'done',
      tables: [{ computed: 1, failed: 0, remaining: 0 }],
    });
    expect(await listJobs(given.store, [await world.relation(Out)])).toEqual([]);
  });

  it('a generator of many part rows is written whole', async () => {
    const count = given.store.capabilities.sharedByProcesses ? 1_000_000 : 100_000;
    const { result, pieces } = await compute(function* () {
      yield good;
      for (let n = 0; n < count; n += 1) yield { parts: { piece: [{ n }] } };
    });
    expect(result).toMatchObject({ status: 'done' });
    expect(pieces).toBe(count);
  });

  it('one key that the database refuses among five thousand is found, and the others are written', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { label: t.text().unique(), size: t.integer().checked('size < 4000') },
      reads: { source: Source },
      make: ({ source: { id } }) => ({
        label: id === 1234 ? 'k7' : `k${id}`,
        size: id === 4321 ? 4000 : id % 4000,
      }),
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      Source,
      Array.from({ length: 5000 }, (_, index) => ({ id: index + 1 })),
    );
    const result = await world.populate();
    expect(countsOf(result, Out)).toEqual({ computed: 4998, failed: 2, remaining: 0, skippedUnchanged: 0 });
    const jobs = await listJobs(given.store, [await world.relation(Out)]);
    expect(jobs.map(({ key }) => key)).toEqual(expect.arrayContaining([{ id: 4321 }]));
    expect(jobs).toHaveLength(2);
    expect(JSON.stringify(jobs)).not.toContain('k7');
    expect(await world.wrongOutputs(Out)).toBe(0);
  });

  it('a stale key whose make fails keeps its old row, and says so', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { value: t.integer() },
      reads: { source: Source },
      make: ({ source }) => {
        if (source.value === 13) throw new Error('unlucky');
        return { value: source.value };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1, value: 1 }]);
    await world.populate();
    const update = (value: number) =>
      given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set value = ${value}`);
    await update(13);
    expect(await world.populate()).toMatchObject({
      status: 'failed',
      findings: [{ code: 'make_failed', detail: { keys: 1, keptOldRows: 1 } }],
    });
    expect(await world.rows(Out)).toEqual([{ id: 1, value: 1 }]);
    expect(await world.populate()).toMatchObject({ status: 'done', tables: [{ computed: 0 }] });
    await update(14);
    await given.store.execute(sql`delete from varve.job where relation = ${(await world.relation(Out)).id}`);
    expect(await world.populate()).toMatchObject({ status: 'done', tables: [{ computed: 1 }] });
    expect(await world.rows(Out)).toEqual([{ id: 1, value: 14 }]);
  });
});

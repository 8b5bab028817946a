import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  definitionsOf,
  listJobs,
  part,
  pipeline,
  populate,
  t,
  type Columns,
} from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { attach, countsOf, deploy, environment } from './pipeline-lab.ts';

withStores('populate', (given) => {
  it('stores values at the edges of their types, and gives back what was made', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const columns = {
      text: t.text(),
      real: t.double(),
      big: t.bigint(),
      exact: t.numeric(),
      day: t.date(),
      at: t.timestamptz(),
      list: t.array(t.text()),
      lists: t.array(t.bigint()),
      doc: t.json(),
      bytes: t.bytea(),
      flag: t.boolean(),
      id2: t.uuid(),
    };
    const rows = [
      {
        text: `it's "quoted"\n\t\\ -- ; $1 \u{1F600} \u202E`,
        real: -0,
        big: -9223372036854775808n,
        exact: '1234567890123456789012345678901234567890.0123456789',
        day: '0044-03-15 BC',
        at: '0001-01-01T00:00:00.000001Z BC',
        list: [],
        lists: [9223372036854775807n],
        doc: { a: [{ b: [null, true, 'x', 1.5, {}] }], 'k\'"': '\u{1F600}' },
        bytes: new Uint8Array(),
        flag: false,
        id2: '00000000-0000-0000-0000-000000000000',
      },
      {
        text: '',
        real: 1e308,
        big: 9223372036854775807n,
        exact: '-0.00000000000000000001',
        day: '9999-12-31',
        at: '2026-05-12T09:14:07.123456Z',
        list: ['', 'NULL', '{}', '"', '\\', ',', ' '],
        lists: [],
        doc: [],
        bytes: Uint8Array.of(0, 255, 10),
        flag: true,
        id2: 'ffffffff-ffff-ffff-ffff-ffffffffffff',
      },
      {
        text: ' ',
        real: 5e-324,
        big: 0n,
        exact: '0.10',
        day: '2000-02-29',
        at: '1969-12-31T23:59:59.999999Z',
        list: ['a', 'b'],
        lists: [1n, -1n],
        doc: 'text',
        bytes: Uint8Array.of(92, 120),
        flag: true,
        id2: '123e4567-e89b-42d3-a456-426614174000',
      },
    ];
    const Out = lab.computed('out', {
      parents: [Source],
      columns,
      reads: { source: Source },
      make: ({ source }) => rows[source.id] as (typeof rows)[0],
    });
    const Copy = lab.computed('copy', {
      parents: [Out],
      columns,
      reads: { out: Out },
      make: ({ out }) => out,
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      Source,
      rows.map((_, id) => ({ id })),
    );
    expect(await world.populate()).toMatchObject({ status: 'done', findings: [] });
    const expected = rows.map((row, id) => ({ id, ...row }));
    expect(await world.rows(Out)).toEqual(expected);
    expect(await world.rows(Copy)).toEqual(expected);
    expect(Object.is((await world.rows(Copy))[0]?.['real'], -0)).toBe(true);
    expect(await world.wrongOutputs(Out)).toBe(0);
    expect(await world.wrongOutputs(Copy)).toBe(0);
  });

  it('keys of every type lead to their rows', async () => {
    const lab = pipeline(uniqueName('s'));
    const key = {
      u: t.uuid(),
      at: t.timestamptz(),
      day: t.date(),
      text: t.text(),
      big: t.bigint(),
      flag: t.boolean(),
      bytes: t.bytea(),
      exact: t.numeric(),
      real: t.double(),
      clock: t.time(),
    };
    const Source = lab.manual('source', { key });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { label: t.text() },
      parts: { piece: part({ key: { n: t.integer() } }) },
      reads: { source: Source, same: Source.matching({ day: 'day', big: 'big' }) },
      make: ({ source, same }, context) => {
        expect(context.key).toEqual(source);
        return { ...source, label: `${source.text}${same.length}`, parts: { piece: [{ n: 1 }] } };
      },
    });
    const world = await deploy(given.store, lab);
    const row = {
      u: '123e4567-e89b-42d3-a456-426614174000',
      at: '2026-05-12T09:14:07.123456Z',
      day: '0044-03-15 BC',
      text: `'"\\\n\u{1F600}`,
      big: 9007199254740993n,
      flag: true,
      bytes: Uint8Array.of(0, 92, 255),
      exact: '1.50',
      real: 0.1,
      clock: '23:59:59.999999',
    };
    await world.insert(Source, [row, { ...row, flag: false, bytes: new Uint8Array(), text: '' }]);
    expect(await world.populate()).toMatchObject({ status: 'done', tables: [{ computed: 2, remaining: 0 }] });
    expect((await world.rows(Out)).map(({ label }) => label)).toEqual(['2', `${row.text}2`]);
    expect(await world.rows(Out.parts.piece)).toHaveLength(2);
    expect(await world.populate()).toMatchObject({ tables: [{ computed: 0, skippedUnchanged: 2 }] });
    await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set flag = flag`);
    expect(await world.wrongOutputs(Out)).toBe(0);
  });

  it('tables of many columns are read, written and digested', async () => {
    const lab = pipeline(uniqueName('s'));
    const columns = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`c${index}`, t.integer()]));
    const Source = lab.manual('source', { key: { id: t.integer() }, columns });
    const Out = lab.computed('out', {
      parents: [Source],
      columns,
      reads: { source: Source },
      make: ({ source }) =>
        Object.fromEntries(Object.keys(columns).map((name) => [name, source[name as 'id'] + 1])),
    });
    const world = await deploy(given.store, lab);
    const row = Object.fromEntries(Object.keys(columns).map((name, index) => [name, index]));
    await world.insert(Source, [{ id: 1, ...row }]);
    expect(await world.populate()).toMatchObject({ status: 'done' });
    expect((await world.rows(Out))[0]?.['c119']).toBe(120);
    await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set c119 = 7`);
    expect(await world.populate()).toMatchObject({ tables: [{ computed: 1 }] });
    expect((await world.rows(Out))[0]?.['c119']).toBe(8);
    expect(await world.wrongOutputs(Out)).toBe(0);
  });

  it('whatever a make returns is read back equal, and its digest is that of the rows', async () => {
    const text = fc.string({ unit: 'binary' }).map((value) => value.toWellFormed().replaceAll('\0', ''));
    const double = fc.double({ noNaN: true, noDefaultInfinity: true });
    const json = fc
      .json({ maxDepth: 3 })
      .map((value) => JSON.parse(value.toWellFormed().replaceAll('\\u0000', '')) as unknown)
      .filter(
        (value) =>
          value !== null &&
          !/\\u[dD][89a-fA-F]|e[+-]?\d/.test(JSON.stringify(value)) &&
          !/"__proto__"|-0/.test(JSON.stringify(value)),
      );
    const kinds = {
      text: { column: t.text(), values: text },
      integer: { column: t.integer(), values: fc.integer() },
      bigint: { column: t.bigint(), values: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
      double: { column: t.double(), values: double },
      boolean: { column: t.boolean(), values: fc.boolean() },
      bytea: { column: t.bytea(), values: fc.uint8Array().map((bytes) => Uint8Array.from(bytes)) },
      texts: { column: t.array(t.text()), values: fc.array(text) },
      doubles: { column: t.array(t.double()), values: fc.array(double) },
      json: { column: t.json<unknown>(), values: json },
      uuid: { column: t.uuid(), values: fc.uuid() },
    };
    const tables = fc
      .array(
        fc.record({
          kind: fc.constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[])),
          nullable: fc.boolean(),
        }),
        { minLength: 1, maxLength: 5 },
      )
      .chain((columns) =>
        fc.record({
          columns: fc.constant(columns),
          rows: fc.array(
            fc.tuple(
              ...columns.map(({ kind, nullable }) =>
                nullable
                  ? fc.option(kinds[kind].values as fc.Arbitrary<unknown>)
                  : (kinds[kind].values as fc.Arbitrary<unknown>),
              ),
            ),
            { minLength: 1, maxLength: 8 },
          ),
        }),
      );
    await fc.assert(
      fc.asyncProperty(tables, async ({ columns, rows }) => {
        const lab = pipeline(uniqueName('s'));
        const types: Columns = Object.fromEntries(
          columns.map(({ kind, nullable }, index) => [
            `c${index}`,
            nullable ? kinds[kind].column.nullable() : kinds[kind].column,
          ]),
        );
        const made = rows.map((row) => Object.fromEntries(row.map((value, index) => [`c${index}`, value])));
        const Source = lab.manual('source', { key: { id: t.integer() } });
        const Out = lab.computed('out', {
          parents: [Source],
          columns: types,
          reads: { source: Source },
          make: ({ source }) => made[source.id] as never,
        });
        const world = await deploy(given.store, lab);
        await world.insert(
          Source,
          rows.map((_, id) => ({ id })),
        );
        expect(await world.populate()).toMatchObject({ status: 'done', findings: [] });
        expect(await world.rows(Out)).toEqual(made.map((row, id) => ({ id, ...row })));
        expect(await world.wrongOutputs(Out)).toBe(0);
        // The same again: nothing is stale, so digests of what was read and what stands agree.
        expect(await world.populate()).toMatchObject({ tables: [{ computed: 0 }] });
      }),
      { numRuns: 15 },
    );
  });

  it('`max` is never passed, and what is left is computed later', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    let calls = 0;
    const Out = lab.computed('out', {
      parents: [Source],
      reads: { source: Source },
      make: () => {
        calls += 1;
        return {};
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      Source,
      Array.from({ length: 50 }, (_, id) => ({ id })),
    );
    expect(countsOf(await world.populate({ max: 17, batchSize: 5 }), Out)).toMatchObject({
      computed: 17,
      remaining: 33,
    });
    expect(calls).toBe(17);
    expect(countsOf(await world.populate({ max: 17, batchSize: 100 }), Out)).toMatchObject({
      computed: 17,
      remaining: 16,
    });
    expect(countsOf(await world.populate({ max: 0 }), Out)).toMatchObject({ computed: 0, remaining: 16 });
    expect(countsOf(await world.populate(), Out)).toMatchObject({ computed: 16, remaining: 0 });
    expect(calls).toBe(50);
  });

  it('`max` counts keys that fail', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    let calls = 0;
    const Out = lab.computed('out', {
      parents: [Source],
      reads: { source: Source },
      make: () => {
        calls += 1;
        throw new Error('no');
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      Source,
      Array.from({ length: 20 }, (_, id) => ({ id })),
    );
    expect(countsOf(await world.populate({ max: 6, batchSize: 3 }), Out)).toMatchObject({
      computed: 0,
      failed: 6,
      remaining: 14,
    });
    expect(calls).toBe(6);
  });

  it('stops when told to, keeps what is done, and says so', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const stop = new AbortController();
    const Out = lab.computed('out', {
      parents: [Source],
      reads: { source: Source },
      make: async ({ source }) => {
        if (source.id === 12) stop.abort();
        return {};
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      Source,
      Array.from({ length: 40 }, (_, id) => ({ id })),
    );
    const result = await world.populate({ signal: stop.signal, batchSize: 5 });
    expect(result).toMatchObject({ status: 'interrupted' });
    const done = (await world.rows(Out)).length;
    expect(done).toBeGreaterThanOrEqual(11);
    expect(done).toBeLessThan(40);
    const [run] = await given.store.query(
      sql`select status from varve.run where name = ${'run' in result ? result.run : ''}`,
    );
    expect(run).toEqual({ status: 'interrupted' });
    expect(await listJobs(given.store, [await world.relation(Out)])).toEqual([]);
    expect(countsOf(await world.populate(), Out)).toMatchObject({ remaining: 0 });
    expect(await world.wrongOutputs(Out)).toBe(0);
  });

  it('a recomputed query row stays where rows below refer to it', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });
    const Sum = lab.computed('sum', {
      parents: [Source],
      columns: { value: t.integer() },
      reads: { source: Source },
      query: sql`select id, value * 2 as value from source`,
    });
    const Below = lab.computed('below', {
      parents: [Sum],
      columns: { value: t.integer() },
      reads: { sum: Sum },
      make: ({ sum }) => ({ value: sum.value + 1 }),
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [
      { id: 1, value: 1 },
      { id: 2, value: 2 },
    ]);
    expect(await world.populate()).toMatchObject({ status: 'done' });
    await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set value = 10 where id = 1`);
    expect(await world.populate()).toMatchObject({
      status: 'done',
      tables: [{ computed: 1 }, { computed: 1 }],
    });
    expect(await world.rows(Sum)).toEqual([
      { id: 1, value: 20 },
      { id: 2, value: 4 },
    ]);
    expect(await world.rows(Below)).toEqual([
      { id: 1, value: 21 },
      { id: 2, value: 5 },
    ]);
    expect(await world.wrongOutputs(Sum)).toBe(0);
    const past = await given.store.query(sql`select reason, rows from varve.superseded
      where relation = ${(await world.relation(Sum)).id}`);
    expect(past).toEqual([{ reason: 'recomputed', rows: { [Sum.spec.name]: [{ id: 1, value: 2 }] } }]);
  });

  it('a query fails the keys that it gives no row, and those that the database refuses, alone', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });
    const Sum = lab.computed('sum', {
      parents: [Source],
      columns: { value: t.integer().checked('value < 100') },
      reads: { source: Source },
      query: sql`select id, value + 1 as value from source where value <> 7`,
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      Source,
      [1, 7, 99, 2].map((value, id) => ({ id, value })),
    );
    const result = await world.populate();
    expect(result).toMatchObject({ status: 'failed' });
    expect((await world.rows(Sum)).map(({ id }) => id)).toEqual([0, 3]);
    const jobs = await listJobs(given.store, [await world.relation(Sum)]);
    expect(new Set(jobs.map(({ key, code }) => `${JSON.stringify(key)} ${code}`))).toEqual(
      new Set(['{"id":1} make_returned_nothing', '{"id":2} constraint_violated']),
    );
    await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set value = 50 where id = 0`);
    await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set value = 7 where id = 3`);
    expect(await world.populate()).toMatchObject({
      findings: [{ code: 'make_returned_nothing', detail: { keptOldRows: 1 } }],
    });
    expect(await world.rows(Sum)).toEqual([
      { id: 0, value: 51 },
      { id: 3, value: 3 },
    ]);
    expect(await world.wrongOutputs(Sum)).toBe(0);
  });

  it('a query with a key of its own gives several rows a key, and none of a key that it gives one row twice', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', {
      key: { id: t.integer() },
      columns: { count: t.integer(), times: t.integer() },
    });
    const Piece = lab.computed('piece', {
      parents: [Source],
      key: { n: t.integer() },
      columns: { text: t.text() },
      reads: { source: Source },
      query: sql`select id, n, n || ' of ' || count as text from source, generate_series(1, count) n, generate_series(1, times)`,
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [
      { id: 1, count: 3, times: 1 },
      { id: 2, count: 2, times: 2 },
    ]);
    expect(await world.populate()).toMatchObject({
      status: 'failed',
      findings: [{ code: 'make_returned_nothing', detail: { keys: 1 } }],
    });
    expect(await world.rows(Piece)).toEqual([1, 2, 3].map((n) => ({ id: 1, n, text: `${n} of 3` })));
    expect(await world.wrongOutputs(Piece)).toBe(0);
    await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set count = 2`);
    expect(await world.populate()).toMatchObject({ tables: [{ computed: 1 }] });
    expect(await world.rows(Piece)).toEqual([1, 2].map((n) => ({ id: 1, n, text: `${n} of 2` })));
    expect(await world.wrongOutputs(Piece)).toBe(0);
  });

  it('rows of a result that has fewer rows now go, and those below refuse it as a job', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { count: t.integer() } });
    const Piece = lab.computed('piece', {
      parents: [Source],
      key: { n: t.integer() },
      columns: { text: t.text() },
      reads: { source: Source },
      make: ({ source }) =>
        Array.from({ length: source.count }, (_, n) => ({ n, text: `of ${source.count}` })),
    });
    const Below = lab.computed('below', { parents: [Piece], reads: { piece: Piece }, make: () => ({}) });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [
      { id: 1, count: 3 },
      { id: 2, count: 2 },
    ]);
    await world.populate({ tables: [Piece.spec.name] });
    const setCount = (id: number, count: number) =>
      given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set count = ${count} where id = ${id}`);
    await setCount(1, 1);
    expect(await world.populate()).toMatchObject({ status: 'done' });
    expect(await world.rows(Piece)).toHaveLength(3);
    expect(await world.rows(Below)).toHaveLength(3);
    expect(await world.wrongOutputs(Piece)).toBe(0);
    await setCount(1, 4);
    expect(await world.populate()).toMatchObject({ status: 'done' });
    expect(await world.rows(Below)).toHaveLength(6);
    await setCount(2, 1);
    expect(await world.populate()).toMatchObject({
      status: 'failed',
      findings: [{ code: 'constraint_violated', detail: { keys: 1, keptOldRows: 1 } }],
    });
    expect(await world.rows(Piece)).toHaveLength(6);
  });

  it('20. a late writer leaves what another has written meanwhile', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });
    let meanwhile: (() => Promise<unknown>) | undefined;
    let calls = 0;
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { call: t.integer() },
      parts: { piece: part({ key: { n: t.integer() } }) },
      reads: { source: Source },
      make: async () => {
        calls += 1;
        const call = calls;
        const other = meanwhile;
        meanwhile = undefined;
        await other?.();
        return { call, parts: { piece: [{ n: call }] } };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1, value: 1 }]);
    meanwhile = () => world.populate({ isShared: false });
    expect(countsOf(await world.populate({ isShared: false }), Out)).toEqual({
      computed: 0,
      failed: 0,
      remaining: 0,
      skippedUnchanged: 0,
    });
    expect(await world.rows(Out)).toEqual([{ id: 1, call: 2 }]);
    expect(await world.rows(Out.parts.piece)).toEqual([{ id: 1, n: 2 }]);
    await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set value = 2`);
    meanwhile = () => world.populate({ isShared: false });
    expect(countsOf(await world.populate({ isShared: false }), Out)).toMatchObject({
      computed: 0,
      failed: 0,
      remaining: 0,
    });
    expect(await world.rows(Out)).toEqual([{ id: 1, call: 4 }]);
    expect(await world.rows(Out.parts.piece)).toEqual([{ id: 1, n: 4 }]);
    expect(await world.wrongOutputs(Out)).toBe(0);
    expect(
      await given.store.query(sql`select count(*)::int as n from varve.superseded
      where relation = ${(await world.relation(Out)).id}`),
    ).toEqual([{ n: 1 }]);
  });

  // The embedded store has one opener.
  const together = given.name === 'embedded' ? () => undefined : it;
  together('two populates at once on one database write each key once', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { text: t.text() },
      parts: { piece: part({ key: { n: t.integer() } }) },
      reads: { source: Source },
      make: async ({ source }) => ({ text: `t${source.id}`, parts: { piece: [{ n: 1 }, { n: 2 }] } }),
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      Source,
      Array.from({ length: 3000 }, (_, id) => ({ id })),
    );
    await using other = await postgresStore({ url: given.url() });
    const second = attach(other, world.definitions);
    const results = await Promise.all([
      world.populate({ batchSize: 100 }),
      second.populate({ batchSize: 100 }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['done', 'done']);
    const computed = results.map((result) => Number(countsOf(result, Out)['computed']));
    expect((computed[0] ?? 0) + (computed[1] ?? 0)).toBe(3000);
    expect(await world.rows(Out.parts.piece)).toHaveLength(6000);
    const [count] = await given.store.query(
      sql`select count(*)::int as n from varve.computation where relation = ${(await world.relation(Out)).id}`,
    );
    expect(count).toEqual({ n: 3000 });
    expect(await listJobs(given.store, [await world.relation(Out)])).toEqual([]);
    // Stale keys at once: both replace, and one result counts.
    await given.store.execute(
      sql`update varve.code set digest = 'moved' where digest = ${world.codeByTable.get(Out.spec.name)?.digest ?? ''}`,
    );
    const again = await Promise.all([
      world.populate({ batchSize: 100 }),
      second.populate({ batchSize: 100 }),
    ]);
    expect(again.map(({ status }) => status)).toEqual(['done', 'done']);
    expect(await world.wrongOutputs(Out)).toBe(0);
    expect(await world.populate()).toMatchObject({ tables: [{ computed: 0 }] });
  });

  it('definitions that are not deployed as they are written are refused', async () => {
    const schema = uniqueName('s');
    const define = (type: typeof t.text | typeof t.integer) => {
      const lab = pipeline(schema);
      const Source = lab.manual('source', { key: { id: t.integer() } });
      lab.computed('out', {
        parents: [Source],
        columns: { x: type().nullable() },
        reads: { source: Source },
        make: () => ({ x: null }),
      });
      return lab;
    };
    await deploy(given.store, define(t.text));
    const collected = definitionsOf([define(t.integer)]);
    if (collected.status === 'refused') throw new Error('refused');
    const result = await populate(given.store, {
      definitions: collected.definitions,
      environment,
      projectFolder: '.',
      codeByTable: new Map(),
    });
    expect(result).toMatchObject({
      status: 'refused',
      findings: [{ code: 'not_deployed', subject: `${schema}.out` }],
    });
  });
});

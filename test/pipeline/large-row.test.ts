import { expect, it } from 'vitest';
import { loadRelations, pipeline, t, type Key } from '../../src/pipeline/index.ts';
import { slicesBySize } from '../../src/pipeline/input-size.ts';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withPostgres, withStores } from '../harness/index.ts';
import { countsOf, deploy } from './pipeline-lab.ts';

const MEGABYTE = 1_000_000;

withStores('keys with long inputs', (given) => {
  it('are cut by what their inputs take, which the database says without reading them', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', {
      key: { id: t.integer() },
      columns: { text: t.text(), bytes: t.bytea().nullable(), document: t.json() },
    });
    const Line = lab.manual('line', {
      parents: [Source],
      key: { n: t.integer() },
      columns: { text: t.text() },
    });
    const Out = lab.computed('out', {
      parents: [Source],
      reads: { source: Source.columns('text', 'bytes'), lines: Line.matching({ id: 'id' }) },
      make: () => ({}),
    });
    const world = await deploy(given.store, lab);
    const table = sql.id(lab.schema, 'source');
    await given.store.execute(sql`
      insert into ${table} select id, repeat('x', case id when 2 then 20 when 4 then 10 else 1 end * ${MEGABYTE}::integer),
        case when id = 5 then decode(repeat('00', 9 * ${MEGABYTE}::integer), 'hex') end, '{}'
      from generate_series(1, 6) id`);
    await given.store.execute(sql`
      insert into ${sql.id(lab.schema, 'line')} select 6, n, repeat('y', ${MEGABYTE}::integer) from generate_series(1, 9) n`);
    const out = await world.relation(Out);
    const keys: readonly Key[] = [1, 2, 3, 4, 5, 6].map((id) => ({ id }));
    const slices = await slicesBySize(given.store, out, await loadRelations(given.store), keys);
    expect(slices.map((slice) => slice.map(({ id }) => id))).toEqual([[1], [2], [3, 4], [5], [6]]);
  });
});

withPostgres('results of any size', 18, (given) => {
  it('are written a few at a time: all of them would be no text that the engine can hold', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { text: t.text() },
      reads: { source: Source },
      make: () => ({ text: 'x'.repeat(42 * MEGABYTE) }),
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      Source,
      Array.from({ length: 13 }, (_, id) => ({ id })),
    );
    expect(countsOf(await world.populate(), Out)).toMatchObject({ computed: 13, failed: 0, remaining: 0 });
    const [row] = await given.store.query<{ bytes: bigint }>(
      sql`select sum(octet_length(text)) as bytes from ${sql.id(lab.schema, 'out')}`,
    );
    expect(Number(row?.bytes)).toBe(13 * 42 * MEGABYTE);
  }, 120_000);

  it('one that is too long by itself fails its key alone, by name', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { left: t.text(), right: t.text() },
      reads: { source: Source },
      make: ({ source }) => {
        const text = 'x'.repeat(source.id === 2 ? 300 * MEGABYTE : 1);
        return { left: text, right: text };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }, { id: 2 }, { id: 3 }]);
    const result = await world.populate();
    expect(result).toMatchObject({ status: 'failed', findings: [{ code: 'make_returned_too_much' }] });
    expect(countsOf(result, Out)).toMatchObject({ computed: 2, failed: 1 });
  }, 120_000);
});

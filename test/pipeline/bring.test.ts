import { expect, it } from 'vitest';
import {
  deleteRows,
  history,
  insertRows,
  part,
  pipeline,
  readHistory,
  restoreRows,
  t,
  why,
  type AnyTable,
  type InsertRowsOptions,
  type RowVersion,
} from '../../src/pipeline/index.ts';
import { catalogGraph, restrict } from '../../src/provenance/index.ts';
import { sql, type Queryable, type Store } from '../../src/store/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { deploy, environment } from './pipeline-lab.ts';

withStores('rows that people bring', (given) => {
  async function lab() {
    const schema = uniqueName('s');
    const defined = pipeline(schema);
    const Mouse = defined.manual('mouse', {
      key: { mouse: t.integer() },
      columns: { weight: t.double(), tag: t.text().nullable() },
    });
    const Grade = defined.computed('grade', {
      parents: [Mouse],
      columns: { heavy: t.boolean() },
      parts: { step: part({ key: { n: t.integer() }, columns: { at: t.double() } }) },
      reads: { mouse: Mouse.columns('weight') },
      make: ({ mouse }) => ({
        heavy: mouse.weight > 30,
        parts: { step: [1, 2].map((n) => ({ n, at: mouse.weight / n })) },
      }),
    });
    const world = await deploy(given.store, defined);
    const bring = (rows: readonly object[] | AsyncIterable<object>, more: Partial<InsertRowsOptions> = {}) =>
      insertRows(given.store, Mouse as AnyTable, rows as never, { source: 'a scale', actor: 'ada', ...more });
    return { schema, world, Mouse, Grade, bring };
  }
  const standing = async (schema: string) =>
    given.store.query(sql`select mouse, weight from ${sql.id(schema, 'mouse')} order by mouse`);
  const counts = { rows: 0, replaced: 0, kept: 0 };

  it('come in from a stream of any length, one call with one record, each row tied to it', async () => {
    const { world, Mouse, bring } = await lab();
    let most = 0;
    let ahead = 0;
    async function* stream() {
      for (let mouse = 1; mouse <= 12_001; mouse += 1) {
        most = Math.max(most, ++ahead);
        yield await Promise.resolve({ mouse, weight: mouse / 8 });
      }
    }
    const result = await bring(stream(), { onRows: () => (ahead = 0) });
    expect(result).toMatchObject({ status: 'inserted', ...counts, rows: 12_001 });
    // What is read and not yet written is one batch.
    expect(most).toBeLessThanOrEqual(5001);
    const { id } = await world.relation(Mouse);
    expect(
      await given.store.query(sql`
        select (select count(*)::int from varve.ingestion where relation = ${id}) as calls,
          (select row_count from varve.ingestion where relation = ${id}) as row_count,
          (select count(distinct key_hash)::int from varve.ingested where relation = ${id}) as tied`),
    ).toEqual([{ calls: 1, row_count: 12_001, tied: 12_001 }]);
    const again = await bring([
      { mouse: 12_002, weight: 1 },
      { mouse: 12_001, weight: 1 },
    ]);
    expect(again).toMatchObject({
      findings: [{ code: 'row_exists', detail: { columns: ['mouse'], rows: [2], count: 1 } }],
    });
    const far = await bring(
      Array.from({ length: 6000 }, (_, at) => ({ mouse: at === 5999 ? 20_001 : 20_001 + at, weight: 1 })),
      { mode: 'skip' },
    );
    expect(far).toMatchObject({ findings: [{ code: 'row_repeated', detail: { rows: [6000] } }] });
    expect(await standing(world.definitions.set.tables[0]?.name.split('.')[0] ?? '')).toHaveLength(12_001);
  });

  it('are skipped, take the place of others, or are only counted, and what goes is in history', async () => {
    const { schema, Mouse, bring } = await lab();
    const first = await bring([
      { mouse: 1, weight: 1 },
      { mouse: 2, weight: 2 },
    ]);
    const rows = [
      { mouse: 1, weight: 1 },
      { mouse: 2, weight: 5 },
      { mouse: 3, weight: 3 },
    ];
    expect(await bring(rows, { mode: 'skip' })).toMatchObject({ ...counts, rows: 1, kept: 2 });
    const planned = await bring(rows, { mode: 'replace', dryRun: true, source: 'never' });
    expect(planned).toMatchObject({ status: 'planned', ...counts, replaced: 1, kept: 2, ingestion: null });
    expect(await standing(schema)).toMatchObject([{ weight: 1 }, { weight: 2 }, { weight: 3 }]);
    const second = await bring(rows, { mode: 'replace', source: 'weighed again', actor: 'bob' });
    expect(second).toMatchObject({ status: 'inserted', ...counts, replaced: 1, kept: 2 });
    expect(await bring(rows, { mode: 'replace' })).toMatchObject({ ...counts, kept: 3, ingestion: null });

    const past = await history(given.store, Mouse.spec.name, { key: { mouse: 2 } });
    const versions = past.status === 'ok' ? past.versions : [];
    expect(versions).toMatchObject([
      { ended: null, brought: { source: 'weighed again', actor: 'bob' }, untilRun: null },
      { ended: 'replaced', brought: { source: 'a scale', actor: 'ada' } },
    ]);
    const [now, before] = versions as readonly [RowVersion, RowVersion];
    expect(now.since).toBe(before.until);
    expect(before.untilRun).toBe('ingestion' in second ? second.ingestion : '');
    const asOf = 'ingestion' in first ? (first.ingestion ?? '') : '';
    expect(await why(given.store, Mouse.spec.name, { mouse: 2 }, { asOf })).toMatchObject({
      origin: { until: before.until, ingestions: [{ name: asOf, actor: 'ada', isUnchanged: null }] },
    });
    expect(await history(given.store, Mouse.spec.name, { asOf })).toMatchObject({ count: 2 });
  });

  it('say what was changed by hand since, and do not claim a row that came otherwise', async () => {
    const { schema, Mouse, bring } = await lab();
    const table = sql.id(schema, 'mouse');
    await bring([{ mouse: 1, weight: 1 }]);
    await given.store.execute(sql`insert into ${table} values (2, 2, null)`);
    await given.store.execute(sql`update ${table} set weight = 9 where mouse = 1`);
    const originOf = async (mouse: number) => {
      const asked = await why(given.store, Mouse.spec.name, { mouse });
      return asked.status === 'ok' ? asked.origin.ingestions : [];
    };
    expect(await originOf(1)).toMatchObject([{ isUnchanged: false, source: 'a scale' }]);
    expect(await originOf(2)).toEqual([]);
    // A change by hand is no reason to lose it: what stands goes to history, not what was brought.
    await bring([{ mouse: 1, weight: 1 }], { mode: 'replace', source: 'put right' });
    expect(await originOf(1)).toMatchObject([{ isUnchanged: true, source: 'put right' }]);
    const past = await history(given.store, Mouse.spec.name, { key: { mouse: 1 } });
    expect(past).toMatchObject({ versions: [{}, { rows: { [Mouse.spec.name]: [{ weight: 9 }] } }] });
  });

  it('stand again after a deletion, with what was computed from them', async () => {
    const { schema, world, Mouse, Grade, bring } = await lab();
    await bring([
      { mouse: 1, weight: 10 },
      { mouse: 2, weight: 40 },
    ]);
    await world.populate();
    const results = await world.rows(Grade);
    const deleted = await deleteRows(given.store, world.definitions, Mouse.spec.name, 'mouse = 1', {
      environment,
      reason: 'the tag was misread',
    });
    if (deleted.status === 'refused') throw new Error(JSON.stringify(deleted.findings));
    const name = Grade.spec.name;
    expect(await history(given.store, name, { key: { mouse: 1 } })).toMatchObject({
      versions: [{ ended: 'deleted', untilReason: 'the tag was misread' }],
    });
    const restore = (dryRun: boolean) =>
      restoreRows(given.store, world.definitions, deleted.run, { actor: 'bob', dryRun });
    expect(await restore(true)).toMatchObject({
      status: 'planned',
      tables: [{ rows: 1 }, { rows: 1 }, { rows: 2 }],
    });
    expect(await standing(schema)).toHaveLength(1);
    expect(await restore(false)).toMatchObject({ status: 'restored' });
    expect(await world.rows(Grade)).toEqual(results);
    expect(await world.wrongOutputs(Grade)).toBe(0);
    expect(await why(given.store, name, { mouse: 1 }, { deep: true })).toMatchObject({
      origin: { computation: { inputs: [{ isPresent: true }] } },
      above: [{ ingestions: [{ source: `restored from ${deleted.run}`, actor: 'bob', isUnchanged: true }] }],
    });
    // In between there was no row.
    const between = await history(given.store, name, { asOf: deleted.run });
    expect(between).toMatchObject({ count: 1 });
    expect(await restore(false)).toMatchObject({ findings: [{ code: 'row_exists' }] });
    expect(await populated(world.populate())).toBe(0);
    // What was deleted alone can be let stand again where its parent does.
    await deleteRows(given.store, world.definitions, name, 'mouse = 2', { environment });
    const gone = await deleteRows(given.store, world.definitions, Mouse.spec.name, 'mouse = 2', {
      environment,
    });
    expect(gone).toMatchObject({ status: 'deleted' });
    const [grade] = await given.store.query<{ by: string }>(sql`
      select superseded_by as by from varve.superseded where relation = ${(await world.relation(Grade)).id} order by id desc limit 1`);
    expect(
      await restoreRows(given.store, world.definitions, grade?.by ?? '', { actor: 'bob' }),
    ).toMatchObject({
      findings: [{ code: 'constraint_violated' }],
    });
    expect(
      await restoreRows(given.store, world.definitions, 'varve://run/none', { actor: 'bob' }),
    ).toMatchObject({
      findings: [{ code: 'unknown_run' }],
    });
  });

  it('are read back whole as they were, a page at a time', async () => {
    const { Mouse, bring } = await lab();
    const first = await bring(Array.from({ length: 2500 }, (_, mouse) => ({ mouse, weight: mouse })));
    await bring([{ mouse: 7, weight: -7 }], { mode: 'replace' });
    const read = async (asOf: string | undefined) => {
      const weights = new Map<unknown, unknown>();
      const result = await readHistory(given.store, Mouse.spec.name, asOf, ({ key, rows }) => {
        weights.set(key['mouse'], rows[Mouse.spec.name]?.[0]?.['weight']);
      });
      return [result.status === 'ok' ? result.count : result.findings[0]?.code, weights.get(7)];
    };
    expect(await read('ingestion' in first ? (first.ingestion ?? '') : '')).toEqual([2500, 7]);
    expect(await read(undefined)).toEqual([2500, -7]);
    expect(await read('2001-01-01T00:00:00Z')).toEqual([0, undefined]);
    expect(await read('yesterday')).toEqual(['unknown_run', undefined]);
  });

  it('13. conditions on several tables narrow what is traced', async () => {
    const schema = await given.freshSchema();
    await given.store.script(`set search_path = "${schema}";
      create table a (a int primary key); create table b (b int primary key); create table lone (l int primary key);
      create table ab (a int references a, b int references b, primary key (a, b));
      create table leaf (x int, a int, b int, foreign key (a, b) references ab);
      insert into a values (1), (2); insert into b values (1), (2); insert into ab select a, b from a, b;
      insert into leaf values (1, 1, 1), (2, 1, 2), (3, 2, 2); reset search_path`);
    const graph = await catalogGraph(given.store);
    const rows = async (leaf: string, ...others: readonly (readonly [string, string])[]) => {
      const starts = others.map(([table, where]) => ({ table: `${schema}.${table}`, where }));
      const found = await restrict(graph, { table: `${schema}.leaf`, where: leaf }, ...starts).trace(
        given.store,
      );
      return found.status === 'ok'
        ? found.tables
            .map(({ table, rows: count }) => `${table.replace(`${schema}.`, '')} ${count}`)
            .join(', ')
        : found.findings
            .map(({ code, subject }) => `${code} ${subject.replace(`${schema}.`, '')}`)
            .join(', ');
    };
    expect(await rows('true', ['b', 'b = 2'])).toBe('a 2, b 1, ab 2, leaf 2');
    expect(await rows('true', ['b', 'b = 2'], ['a', 'a = 1'])).toBe('a 1, b 1, ab 1, leaf 1');
    expect(await rows('x = 1', ['b', 'b = 2'])).toBe('a 0, b 0, ab 0, leaf 0');
    expect(await rows('true', ['lone', 'true'])).toBe('unrelated_table lone');
    expect(await rows('true', ['b', 'c = 2'])).toBe('where_invalid b');
    expect(await rows('true', ['b', '1 / (b - b) = 2'])).toBe('where_invalid b');
  });
});

withStores('why, level by level', (given) => {
  it('asks the database as often for sixty rows as for one, and each shared ancestor once', async () => {
    const schema = uniqueName('s');
    const defined = pipeline(schema);
    const Root = defined.manual('root', { key: { root: t.integer() } });
    const Item = defined.manual('item', {
      parents: [Root],
      key: { item: t.integer() },
      columns: { size: t.double() },
    });
    const Double = defined.computed('double', {
      parents: [Item],
      columns: { size: t.double() },
      reads: { item: Item, root: Root },
      make: ({ item }) => ({ size: item.size * 2 }),
    });
    const Sum = defined.computed('sum', {
      parents: [Root],
      columns: { total: t.double() },
      reads: { doubles: Double.matching({ root: 'root' }) },
      make: ({ doubles }) => ({ total: doubles.reduce((sum, { size }) => sum + size, 0) }),
    });
    const world = await deploy(given.store, defined);
    await world.insert(Root, [{ root: 1 }, { root: 2 }]);
    await world.insert(Item, [{ root: 1, item: 1, size: 1 }]);
    await world.insert(
      Item,
      Array.from({ length: 60 }, (_, item) => ({ root: 2, item, size: item })),
    );
    await world.populate();
    const ask = async (root: number, depth?: number) => {
      const counted = countedStore(given.store);
      const asked = await why(
        counted.store,
        Sum.spec.name,
        { root },
        depth === undefined ? { deep: true } : { depth },
      );
      if (asked.status === 'refused') throw new Error(JSON.stringify(asked.findings));
      return { asked, statements: counted.statements() };
    };
    const [one, many] = [await ask(1), await ask(2)];
    expect(many.statements).toBe(one.statements);
    expect(many.asked.above).toHaveLength(121);
    expect(many.asked.above.filter(({ table }) => table === Root.spec.name)).toMatchObject([{ depth: 2 }]);
    expect(await ask(2, 1)).toMatchObject({ asked: { above: { length: 60 }, beyond: 61 } });
    const near = await why(given.store, Sum.spec.name, { root: 1 }, { source: true });
    expect(near).toMatchObject({
      above: [],
      beyond: 0,
      origin: { computation: { code: { source: expect.stringContaining('total') as string } } },
    });
  });
});

async function populated(
  result: ReturnType<Awaited<ReturnType<typeof deploy>>['populate']>,
): Promise<number> {
  const done = await result;
  return done.status === 'refused' ? -1 : done.tables.reduce((sum, { computed }) => sum + computed, 0);
}

/** The store, and how many queries were put to it. */
function countedStore(store: Store): { readonly store: Store; readonly statements: () => number } {
  let statements = 0;
  const query = ((statement) => {
    statements += 1;
    return store.query(statement);
  }) as Queryable['query'];
  const counted = new Proxy(store, {
    get: (target, name): unknown => (name === 'query' ? query : Reflect.get(target, name)),
  });
  return { store: counted, statements: () => statements };
}

import { expect, it } from 'vitest';
import { pipeline, t, tableId } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withPostgres, withStores } from '../harness/index.ts';
import { countsOf, deploy } from './pipeline-lab.ts';

const ids = (count: number) => Array.from({ length: count }, (_, id) => ({ id }));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

withStores('a key that is tried again', (given) => {
  it('ends the populate once it is computed, and leaves no job', async () => {
    const lab = pipeline(uniqueName('s'));
    let calls = 0;
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { n: t.integer() },
      reads: { source: Source },
      retry: { attempts: 3, delaySeconds: 0.05, factor: 1 },
      make: ({ source }) => {
        calls += 1;
        if (source.id === 1 && calls < 4) throw new Error('not yet');
        return { n: source.id };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(3));
    const result = await world.populate({ signal: AbortSignal.timeout(15_000) });
    expect(countsOf(result, Out)).toMatchObject({ remaining: 0 });
    expect(result.status).not.toBe('interrupted');
    expect(await given.store.query(sql`select from varve.job`)).toEqual([]);
  });

  it('ends it too when its key is gone meanwhile', async () => {
    const lab = pipeline(uniqueName('s'));
    let calls = 0;
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { n: t.integer() },
      reads: { source: Source },
      retry: { attempts: 3, delaySeconds: 0.3, factor: 1 },
      make: async () => {
        calls += 1;
        await deleteSource();
        throw new Error('never');
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(1));
    const { placement } = await world.relation(Source);
    const deleteSource = () => given.store.execute(sql`delete from ${tableId(placement)}`);
    const result = await world.populate({ signal: AbortSignal.timeout(10_000) });
    expect(result.status).toBe('failed');
    expect(calls).toBe(1);
    expect(countsOf(result, Out)).toMatchObject({ failed: 1, remaining: 0 });
  });
});

withStores('a graph whose tables await one another', (given) => {
  it('is worked through without a pause between them', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const One = lab.computed('one', { parents: [Source], reads: { source: Source }, make: () => ({}) });
    const Two = lab.computed('two', { parents: [Source], reads: { all: One.all() }, make: () => ({}) });
    const Three = lab.computed('three', { parents: [Source], reads: { all: Two.all() }, make: () => ({}) });
    const Four = lab.computed('four', { parents: [Source], reads: { all: Three.all() }, make: () => ({}) });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(3));
    const from = performance.now();
    const result = await world.populate();
    expect(countsOf(result, Four)).toMatchObject({ computed: 3, remaining: 0 });
    // A lane that nobody wakes sleeps for 5 s, which three times here would be 15.
    expect(performance.now() - from).toBeLessThan(10_000);
  });
});

withPostgres('a worker among others', 18, (given) => {
  it('a makeWith that takes longer than a heartbeat is written', async () => {
    const lab = pipeline(uniqueName('s'));
    let calls = 0;
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { n: t.integer() },
      reads: { source: Source },
      makeWith: async (db, { key }) => {
        calls += 1;
        await db.selectFrom('source').selectAll().execute();
        await pause(4500);
        return { n: key.id };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(1));
    const result = await world.populate({ isShared: true, leaseSeconds: 10 });
    expect(countsOf(result, Out)).toMatchObject({ computed: 1, remaining: 0 });
    expect(calls).toBe(1);
  });

  it('waits for the keys in the hands of others only where it was asked for them', async () => {
    const lab = pipeline(uniqueName('s'));
    let go: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { n: t.integer() },
      reads: { source: Source },
      make: async ({ source }) => {
        if (source.id === 50) await held;
        return { n: source.id };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(60));
    const long = world.populate({ isShared: true, where: sql`id >= 50` });
    await expect
      .poll(() => given.store.query(sql`select from varve_queue.job where state = 'active'`).catch(() => []))
      .not.toEqual([]);
    const quick = await world.populate({
      isShared: true,
      where: sql`id < 5`,
      signal: AbortSignal.timeout(10_000),
    });
    expect(quick).toMatchObject({ status: 'done', tables: [{ computed: 5 }] });
    go?.();
    expect(await long).toMatchObject({ status: 'done', tables: [{ computed: 10 }] });
    expect(await world.rows(Out)).toHaveLength(15);
  });

  it('takes over what another one let go of when it was interrupted', async () => {
    const lab = pipeline(uniqueName('s'));
    const abort = new AbortController();
    let isFirst = true;
    let go: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { n: t.integer() },
      reads: { source: Source },
      make: async ({ source }) => {
        if (isFirst) {
          isFirst = false;
          await held;
        }
        return { n: source.id };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(40));
    const one = world.populate({ isShared: true, batchSize: 10, max: 10, signal: abort.signal });
    await expect.poll(() => isFirst).toBe(false);
    const two = world.populate({ isShared: true, batchSize: 10 });
    await expect.poll(async () => (await world.rows(Out)).length, { timeout: 10_000 }).toBe(30);
    await pause(700);
    abort.abort();
    go?.();
    expect(await one).toMatchObject({ status: 'interrupted' });
    expect(countsOf(await two, Out)).toMatchObject({ remaining: 0 });
    expect(await world.rows(Out)).toHaveLength(40);
    expect(await given.store.query(sql`select from varve_queue.job where state = 'active'`)).toEqual([]);
  });
});

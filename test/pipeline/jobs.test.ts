import { expect, it } from 'vitest';
import {
  clearJobs,
  jobCounts,
  listJobs,
  loadRelations,
  orderJobs,
  pipeline,
  retryJobs,
  t,
  type RetryPolicy,
} from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { countsOf, deploy } from './pipeline-lab.ts';

/** A table whose makes fail as long as they are told to; the order of calls is kept. */
function failingLab(retry?: Partial<RetryPolicy>) {
  const lab = pipeline(uniqueName('s'));
  const calls: number[] = [];
  const failing = new Map<number, number>();
  const Source = lab.manual('source', { key: { id: t.integer() } });
  const Out = lab.computed('out', {
    parents: [Source],
    reads: { source: Source },
    ...(retry === undefined ? {} : { retry }),
    make: ({ source }) => {
      calls.push(source.id);
      const left = failing.get(source.id) ?? 0;
      if (left === 0) return {};
      failing.set(source.id, left - 1);
      throw new Error('not yet');
    },
  });
  return { lab, calls, failing, Source, Out };
}

const ids = (count: number) => Array.from({ length: count }, (_, index) => ({ id: index + 1 }));

withStores('jobs', (given) => {
  it('a failed key is tried again by the policy of its table, within the run', async () => {
    const { lab, calls, failing, Source, Out } = failingLab({ attempts: 3, delaySeconds: 0.05, factor: 2 });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(4));
    failing.set(2, 2).set(3, 99);
    const result = await world.populate();
    expect(countsOf(result, Out)).toMatchObject({ computed: 3, failed: 1, remaining: 0 });
    expect(result).toMatchObject({
      status: 'failed',
      findings: [{ code: 'make_failed', detail: { keys: 1 } }],
    });
    expect(calls.filter((id) => id === 2)).toHaveLength(3);
    expect(calls.filter((id) => id === 3)).toHaveLength(3);
    const jobs = await listJobs(given.store, [await world.relation(Out)]);
    expect(jobs).toMatchObject([{ key: { id: 3 }, state: 'error', attempts: 3, notBefore: null }]);
  });

  it('a run whose failures were all tried again with success is done', async () => {
    const { lab, failing, Source, Out } = failingLab({ attempts: 2, delaySeconds: 0 });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(3));
    failing.set(1, 1).set(3, 1);
    const result = await world.populate();
    expect(result).toMatchObject({ status: 'done', findings: [] });
    expect(countsOf(result, Out)).toMatchObject({ computed: 3, failed: 0, remaining: 0 });
  });

  it('a retry that is far away is not waited for when it is said so, and comes due by the clock of the database', async () => {
    const { lab, calls, failing, Source, Out } = failingLab({ attempts: 2, delaySeconds: 3600 });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(2));
    failing.set(1, 1);
    await world.populate({ waitForRetries: false });
    const relation = await world.relation(Out);
    expect(await listJobs(given.store, [relation])).toMatchObject([
      { attempts: 1, notBefore: expect.stringMatching(/Z$/u) as string },
    ]);
    expect(countsOf(await world.populate(), Out)).toMatchObject({ computed: 0 });
    await given.store.execute(sql`update varve.job set not_before = now() where relation = ${relation.id}`);
    expect(countsOf(await world.populate(), Out)).toMatchObject({ computed: 1, remaining: 0 });
    expect(calls).toEqual([1, 2, 1]);
    expect(await listJobs(given.store, [relation])).toEqual([]);
  });

  it('keys that a person puts first come first, those put off come later, those ignored never', async () => {
    const { lab, calls, Source, Out } = failingLab();
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(6));
    const relation = await world.relation(Out);
    const by = { relations: await loadRelations(given.store), actor: 'ada' };
    const scope = (condition: ReturnType<typeof sql>) => ({ relation, condition });
    expect(await orderJobs(given.store, scope(sql`id = 5`), { state: 'pending', priority: 1 }, by)).toBe(1);
    expect(await orderJobs(given.store, scope(sql`id = 4`), { state: 'pending', priority: 9 }, by)).toBe(1);
    expect(
      await orderJobs(given.store, scope(sql`id in (1, 2)`), { state: 'pending', delaySeconds: 3600 }, by),
    ).toBe(2);
    expect(await orderJobs(given.store, scope(sql`id = 3`), { state: 'ignored' }, by)).toBe(1);
    expect(await jobCounts(given.store, relation, by.relations)).toMatchObject({
      pending: 3,
      reserved: 0,
      done: 0,
      delayed: 2,
      ignored: 1,
    });
    expect(countsOf(await world.populate({ batchSize: 1 }), Out)).toMatchObject({ computed: 3 });
    expect(calls).toEqual([4, 5, 6]);
    expect(await clearJobs(given.store, { relation, condition: sql`id = 3` })).toBe(1);
    await given.store.execute(sql`update varve.job set not_before = now() where relation = ${relation.id}`);
    expect(countsOf(await world.populate(), Out)).toMatchObject({ computed: 3, remaining: 0 });
    expect(await listJobs(given.store, [relation])).toEqual([]);
  });

  it('a condition chooses which failed keys are retried', async () => {
    const { lab, failing, Source, Out } = failingLab();
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(3));
    failing.set(1, 1).set(2, 1);
    expect(countsOf(await world.populate(), Out)).toMatchObject({ computed: 1, failed: 2 });
    const relation = await world.relation(Out);
    expect(await retryJobs(given.store, { relation, condition: sql`id = 2` })).toBe(1);
    expect(countsOf(await world.populate(), Out)).toMatchObject({ computed: 1, failed: 0 });
    expect(await listJobs(given.store, [relation])).toMatchObject([{ key: { id: 1 } }]);
  });
});

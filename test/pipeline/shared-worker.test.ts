import { expect, it } from 'vitest';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withPostgres } from '../harness/index.ts';
import { crashCode, crashLab, type CrashChildOptions } from './crash-child.ts';
import { startWorker } from './crash-worker.ts';
import { countsOf, deploy } from './pipeline-lab.ts';

withPostgres('workers that do not agree', 18, (given) => {
  async function openWorld(keys: number) {
    const schema = uniqueName('s');
    const lab = crashLab(schema);
    const deployed = await deploy(given.store, lab.lab);
    await deployed.insert(
      lab.source,
      Array.from({ length: keys }, (_, id) => ({ id, seed: id / 7 })),
    );
    return { ...lab, schema, deployed };
  }

  const start = (schema: string, options?: CrashChildOptions, clockDays = 0) =>
    startWorker(given.url(), schema, options, clockDays === 0 ? {} : { clockDays });

  it('about the time: a clock years ahead, one years behind, and both jumping', async () => {
    const world = await openWorld(600);
    await using ahead = start(world.schema, { batchSize: 20, waitMs: 2 }, 3650);
    await using behind = start(world.schema, { batchSize: 20, waitMs: 2 }, -3650);
    await using right = start(world.schema, { batchSize: 20, waitMs: 2 });
    const ends = await Promise.all([ahead.end, behind.end, right.end]);
    for (const end of ends) expect(end).toMatchObject({ status: 'done', findings: [] });
    for (const { said } of [ahead, behind, right])
      expect(said.filter(({ log }) => log !== undefined)).toEqual([]);
    const [trace] = world.computed;
    const computed = ends.map((end) => (end['tables'] as readonly { computed: number }[])[0]?.computed ?? 0);
    expect(computed.reduce((sum, each) => sum + each, 0)).toBe(600);
    expect(await world.deployed.wrongOutputs(trace as never)).toBe(0);
    expect(await given.store.query(sql`select from varve_queue.job`)).toEqual([]);
  });

  it('about the code of a make: each key is computed by either at most once, and both end', async () => {
    const keys = 300;
    const world = await openWorld(keys);
    expect(await world.deployed.populate({ codeByTable: crashCode(world.schema, '0') })).toMatchObject({
      status: 'done',
    });
    await using one = start(world.schema, { batchSize: 20, code: '1' });
    await using two = start(world.schema, { batchSize: 20, code: '2' });
    const ends = await Promise.all([one.end, two.end]);
    for (const end of ends) {
      expect(end).toMatchObject({ status: 'done', findings: [] });
      for (const { computed } of end['tables'] as readonly { computed: number }[]) {
        // A second pass may find what the other one changed; there is no third.
        expect(computed).toBeLessThanOrEqual(2 * keys);
      }
    }
    for (const table of world.computed) {
      expect(await world.deployed.rows(table)).toHaveLength(keys);
      expect(await world.deployed.wrongOutputs(table)).toBe(0);
    }
  });

  it('a long make with a heartbeat is never taken over', async () => {
    const world = await openWorld(2);
    // Longer than a lease of 10 s.
    await using slow = start(world.schema, {
      leaseSeconds: 10,
      waitMs: 13_000,
      batchSize: 1,
      timeoutSeconds: 60,
    });
    await expect
      .poll(() => given.store.query(sql`select from varve_queue.job where state = 'active'`), {
        timeout: 20_000,
      })
      .not.toEqual([]);
    await using other = start(world.schema, { leaseSeconds: 10 });
    // Nor is one that has been at it for days.
    await expect
      .poll(
        () =>
          given.store.execute(sql`
        update varve_queue.job set started_on = now() - interval '3 days'
        where state = 'active' and expire_seconds > 86400`),
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0);
    const [first, second] = await Promise.all([slow.end, other.end]);
    expect(first).toMatchObject({ status: 'done' });
    expect(second).toMatchObject({ status: 'done' });
    expect(slow.said.filter(({ log }) => log !== undefined)).toEqual([]);
    expect(await world.deployed.rows(world.computed[0] as never)).toHaveLength(2);
  });

  it('makes that keep the thread of their worker busy for longer than a lease are not taken over either', async () => {
    const world = await openWorld(3);
    // Each within its time, which the lease is longer by; all of them in one batch longer than that.
    await using busy = start(world.schema, { leaseSeconds: 10, spinMs: 5500, timeoutSeconds: 6 });
    await expect
      .poll(() => given.store.query(sql`select from varve_queue.job where state = 'active'`), {
        timeout: 20_000,
      })
      .not.toEqual([]);
    const done = await world.deployed.populate({
      codeByTable: crashCode(world.schema),
      isShared: true,
      leaseSeconds: 10,
    });
    expect(done).toMatchObject({ status: 'done' });
    expect(countsOf(done, world.computed[0] as never)).toMatchObject({ computed: 0, remaining: 0 });
    expect(await busy.end).toMatchObject({ status: 'done', findings: [] });
    expect(busy.said.filter(({ log }) => log !== undefined)).toEqual([]);
    expect(await world.deployed.wrongOutputs(world.computed[0] as never)).toBe(0);
  });
});

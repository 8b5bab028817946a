import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { startPostgres, uniqueName } from '../harness/index.ts';
import { crashCode, crashLab } from './crash-child.ts';
import { startWorker } from './crash-worker.ts';
import { deploy } from './pipeline-lab.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('a database that goes away while workers are at it', () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;
  let store: Store;

  beforeAll(async () => {
    server = await startPostgres({ version: 18, durable: true });
    store = await postgresStore({ url: server.url });
  });
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  async function openWorld(keys: number) {
    const schema = uniqueName('s');
    const lab = crashLab(schema);
    const deployed = await deploy(store, lab.lab);
    await deployed.insert(
      lab.source,
      Array.from({ length: keys }, (_, id) => ({ id, seed: id / 7 })),
    );
    const rows = async () => {
      const [row] = await store.query<{ rows: number }>(
        sql`select count(*)::integer as rows from ${sql.id(schema, 'trace')}`,
      );
      return row?.rows ?? 0;
    };
    return { ...lab, schema, deployed, rows };
  }

  it('is waited for; then they go on, and every key is there once', async () => {
    const keys = 1500;
    const world = await openWorld(keys);
    const options = { batchSize: 20, waitMs: 3 };
    await using one = startWorker(server.url, world.schema, options);
    await using two = startWorker(server.url, world.schema, options);
    await Promise.all([one.begun, two.begun]);
    for (const awayMs of [0, 1500]) {
      const before = await world.rows();
      expect(before).toBeLessThan(keys);
      await server.crash();
      await pause(awayMs);
      await server.restart();
      await expect
        .poll(() => world.rows().catch(() => 0), { timeout: 20_000 })
        .toBeGreaterThanOrEqual(Math.min(before + 50, keys));
    }
    for (const worker of [one, two]) expect(await worker.end).toMatchObject({ status: 'done', findings: [] });
    for (const table of world.computed) {
      expect(await world.deployed.rows(table)).toHaveLength(keys);
      expect(await world.deployed.wrongOutputs(table)).toBe(0);
    }
    expect(await store.query(sql`select state from varve_queue.job where state = 'active'`)).toEqual([]);
  }, 90_000);

  it('that stays away ends them with a clear error', async () => {
    const world = await openWorld(2000);
    await using worker = startWorker(server.url, world.schema, {
      batchSize: 20,
      waitMs: 5,
      patienceSeconds: 2,
    });
    await worker.begun;
    await server.crash();
    const from = performance.now();
    expect(await Promise.race([worker.end, pause(20_000)])).toMatchObject({
      error: 'database_unreachable',
      hint: expect.stringMatching(/server runs/u) as string,
      exit: 3,
    });
    expect(performance.now() - from).toBeLessThan(12_000);
    await server.restart();
    await expect.poll(() => world.rows().catch(() => -1)).toBeGreaterThan(0);
    const done = await world.deployed.populate({ codeByTable: crashCode(world.schema), leaseSeconds: 10 });
    expect(done).toMatchObject({ status: 'done' });
    for (const table of world.computed) expect(await world.deployed.wrongOutputs(table)).toBe(0);
    expect(await world.rows()).toBe(2000);
  }, 60_000);
});

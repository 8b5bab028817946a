import { expect, it } from 'vitest';
import { tableId, type AnyTable } from '../../src/pipeline/index.ts';
import { sql, type Row, type Store } from '../../src/store/index.ts';
import { uniqueName, withPostgres } from '../harness/index.ts';
import { crashCode, crashLab, type CrashChildOptions, type CrashLab } from './crash-child.ts';
import { endLease, printedSeed, seeded, startStalling, startWorker, type Worker } from './crash-worker.ts';
import { deploy, type Deployed } from './pipeline-lab.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

withPostgres('workers that die or stall', 18, (given) => {
  interface World extends CrashLab {
    readonly schema: string;
    readonly deployed: Deployed;
  }

  /** A chain over so many keys, where each row that is committed is counted. */
  async function openWorld(keys: number): Promise<World> {
    const schema = uniqueName('s');
    const lab = crashLab(schema);
    const deployed = await deploy(given.store, lab.lab);
    const rows = Array.from({ length: keys }, (_, id) => ({ id, seed: id / 7 }));
    await deployed.insert(lab.source, rows);
    const tables = [...lab.computed, ...lab.parts];
    await countWrites(
      given.store,
      schema,
      await Promise.all(tables.map((table) => tableOf(deployed, table))),
    );
    return { ...lab, schema, deployed };
  }

  const tableOf = async (deployed: Deployed, table: AnyTable) => (await deployed.relation(table)).placement;

  async function undisturbed(keys: number): Promise<World> {
    const world = await openWorld(keys);
    const done = await world.deployed.populate({ isShared: false, codeByTable: crashCode(world.schema) });
    expect(done).toMatchObject({ status: 'done' });
    return world;
  }

  const start = (world: World, options?: CrashChildOptions) =>
    startWorker(given.url(), world.schema, options);

  /** Every key is there, written once, whole, and as it ought to be. */
  async function expectWhole(world: World, keys: number, model: World): Promise<void> {
    for (const table of world.computed) {
      expect(await world.deployed.rows(table)).toHaveLength(keys);
      expect(await world.deployed.wrongOutputs(table)).toBe(0);
    }
    expect(await stateOf(world)).toEqual(await stateOf(model));
    expect(await writtenTwice(given.store, world.schema)).toEqual([]);
    expect(await given.store.query(sql`select from varve_queue.job where state = 'active'`)).toEqual([]);
    expect(await given.store.query(sql`select from varve.superseded`)).toEqual([]);
  }

  /** Digests of all rows, and of what is recorded of them. */
  async function stateOf({ deployed, computed, parts }: World): Promise<readonly Row[]> {
    const state: Row[] = [];
    for (const table of [...computed, ...parts]) {
      const { id, placement } = await deployed.relation(table);
      const [row] = await given.store.query(sql`select
        (select count(*)::integer from ${tableId(placement)}) as rows,
        (select md5(string_agg(o::text, ',' order by o)) from ${tableId(placement)} o) as digest,
        (select md5(string_agg(c.output::text || c.inputs::text, ',' order by c.key_hash))
          from varve.computation c where c.relation = ${id}) as recorded`);
      state.push(row ?? {});
    }
    return state;
  }

  it('10,000 keys over three tables come out as from one undisturbed run, whoever is killed when', async () => {
    const keys = 10_000;
    const random = seeded(printedSeed('kills'));
    const model = await undisturbed(keys);
    const world = await openWorld(keys);
    const kills = 9;
    let killed = 0;
    let inHand = 0;

    /** One place of three: a worker, and after its death the next, until one of them ends by itself. */
    async function place(): Promise<Worker> {
      for (;;) {
        const worker = start(world, { batchSize: 25 + Math.floor(random() * 100) });
        // Most are killed at work; some while they start, when the first of all makes the queue.
        const life = random() < 0.7 ? worker.begun.then(() => pause(random() * 700)) : pause(random() * 1500);
        const isOver = await Promise.race([worker.end, life.then(() => undefined)]);
        if (isOver !== undefined || killed >= kills) return worker;
        killed += 1;
        worker.kill('SIGKILL');
        await worker.end;
        inHand += await endLease(given.store, worker.pid, -1);
      }
    }

    const last = await Promise.all([place(), place(), place()]);
    for (const worker of last) expect(await worker.end).toMatchObject({ status: 'done', findings: [] });
    console.info(`killed ${String(killed)} workers, which had ${String(inHand)} batches in hand`);
    expect(killed).toBeGreaterThan(0);
    await expectWhole(world, keys, model);
  }, 180_000);

  it('a worker that stalls beyond its lease loses its keys to others, and its late write is refused', async () => {
    const keys = 300;
    const model = await undisturbed(keys);
    const world = await openWorld(keys);
    await using stalled = start(world, { batchSize: 40, stallAt: 25 });
    await expect.poll(() => stalled.said, { timeout: 20_000 }).toContainEqual({ stalls: 25 });
    const from = performance.now();
    const done = await world.deployed.populate({
      isShared: true,
      leaseSeconds: 10,
      codeByTable: crashCode(world.schema),
    });
    // The lease, a poll of half a second, the supervision's second, and the batch itself on a busy machine.
    expect(performance.now() - from).toBeLessThan(17_000);
    expect(done).toMatchObject({ status: 'done', findings: [] });
    for (const table of world.computed) expect(await world.deployed.rows(table)).toHaveLength(keys);
    stalled.kill('SIGCONT');
    expect(await stalled.end).toMatchObject({ status: 'done', findings: [] });
    expect(stalled.said).toContainEqual({ log: expect.stringMatching(/took over keys/u) as string });
    await expectWhole(world, keys, model);
  });

  it('one that stalls inside a transaction is cut off by the server after its lease, and holds up nobody longer', async () => {
    const stallIn = async (where: 'take' | 'write') => {
      const world = await openWorld(50);
      await using stalled = startStalling(given.url(), world.schema, where);
      await expect.poll(() => stalled.said, { timeout: 30_000 }).toEqual([{ stalls: true }]);
      await using other = start(world);
      expect(await Promise.race([other.end, pause(30_000)])).toMatchObject({ status: 'done' });
      stalled.kill('SIGCONT');
      expect(await stalled.end).toMatchObject({ became: 'database_unreachable' });
      for (const table of world.computed) expect(await world.deployed.rows(table)).toHaveLength(50);
    };
    await Promise.all([stallIn('take'), stallIn('write')]);
  });
});

async function countWrites(
  store: Store,
  schema: string,
  tables: readonly { readonly schema: string; readonly table: string }[],
): Promise<void> {
  await store.script(`
    create table ${schema}.written (of text, what text, row jsonb);
    create function ${schema}.note() returns trigger language plpgsql as $$
      begin insert into ${schema}.written values (tg_table_name, tg_op, to_jsonb(new)); return null; end $$;
    ${tables
      .map(
        ({ schema: of, table }) =>
          `create trigger note after insert or update or delete on "${of}"."${table}" for each row execute function ${schema}.note();`,
      )
      .join('\n')}`);
}

/** Rows that were written more than once, or changed. */
async function writtenTwice(store: Store, schema: string): Promise<readonly Row[]> {
  return store.query(sql`
    select of, what, row, count(*)::integer as times from ${sql.id(schema, 'written')}
    group by of, what, row having count(*) > 1 or what <> 'INSERT' limit 10`);
}

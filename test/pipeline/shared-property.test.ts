import { afterAll, beforeAll, expect, it } from 'vitest';
import { tableId, type PopulateResult } from '../../src/pipeline/index.ts';
import { sql, type Row, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { uniqueName, withPostgres } from '../harness/index.ts';
import { printedSeed, seeded } from './crash-worker.ts';
import { attach, deploy, type Deployed } from './pipeline-lab.ts';
import { randomGraph, type RandomGraph } from './random-graph.ts';

const GRAPHS = 8;

withPostgres('two workers on any graph', 18, (given) => {
  const seed = printedSeed('graphs');
  let second: Store;
  beforeAll(async () => {
    second = await postgresStore({ url: given.url() });
  });
  afterAll(() => second[Symbol.asyncDispose]());

  interface World extends RandomGraph {
    readonly deployed: Deployed;
    readonly other: Deployed;
  }

  async function openWorld(seed: number, keys: number): Promise<World> {
    const graph = randomGraph(uniqueName('s'), seeded(seed));
    const deployed = await deploy(given.store, graph.lab);
    await deployed.insert(
      graph.policy,
      [0, 1, 2].map((p) => ({ p, v: p })),
    );
    await deployed.insert(
      graph.source,
      Array.from({ length: keys }, (_, id) => ({ id, v: id % 7, choice: id % 3 })),
    );
    return { ...graph, deployed, other: attach(second, deployed.definitions, deployed.codeByTable) };
  }

  /** Rows and records of every table, but for what the names of the schemas make different. */
  async function stateOf({
    deployed,
    computed,
    parts,
  }: World): Promise<Readonly<Record<string, readonly Row[]>>> {
    const state: Record<string, readonly Row[]> = {};
    for (const table of [...computed, ...parts]) {
      const { id, placement } = await deployed.relation(table);
      state[placement.table] = await given.store.query(
        sql`select o::text as row from ${tableId(placement)} o order by o`,
      );
      state[`${placement.table} recorded`] = await given.store.query(sql`
        select output::text, inputs::text from varve.computation where relation = ${id} order by key_hash`);
    }
    return state;
  }

  const both = (
    { deployed, other }: World,
    random: () => number,
    options: readonly [object, object] = [{}, {}],
  ): Promise<readonly [PopulateResult, PopulateResult]> => {
    const size = () => ({ batchSize: 1 + Math.floor(random() * 25) });
    const signal = AbortSignal.timeout(40_000);
    return Promise.all([
      deployed.populate({ isShared: true, signal, ...size(), ...options[0] }),
      other.populate({ isShared: true, signal, ...size(), ...options[1] }),
    ]);
  };

  const inHand = () => given.store.query(sql`select from varve_queue.job where state = 'active'`);
  const triedBy = (result: PopulateResult): number =>
    result.status === 'refused'
      ? NaN
      : result.tables.reduce((sum, { computed, failed }) => sum + computed + failed, 0);

  it.each([1, 2, 3, 4])('mend what changes above while the graph is half computed (%i)', async (n) => {
    const graphSeed = seed + 100 * n;
    const random = seeded(graphSeed);
    const keys = 60;
    const world = await openWorld(graphSeed, keys);
    await both(world, random, [{ max: 60 }, { max: 60 }]);
    world.calls.clear();
    const { placement } = await world.deployed.relation(world.source);
    await given.store.execute(sql`update ${tableId(placement)} set v = v + 1 where id % 2 = 0`);
    for (const result of await both(world, random))
      expect(result).toMatchObject({ status: 'done', findings: [] });
    const model = await openWorld(graphSeed, keys);
    const { placement: source } = await model.deployed.relation(model.source);
    await given.store.execute(sql`update ${tableId(source)} set v = v + 1 where id % 2 = 0`);
    expect(await model.deployed.populate({ isShared: false })).toMatchObject({ status: 'done' });
    expect(await stateOf(world)).toEqual(await stateOf(model));
    expect(Object.fromEntries([...world.calls].filter(([, times]) => times !== 1))).toEqual({});
  });

  it.each(Array.from({ length: GRAPHS }, (_, n) => seed + n))(
    'come to the state of one worker alone, and compute nothing twice (graph %i)',
    async (graphSeed) => {
      const random = seeded(graphSeed ^ 0x5bd1e995);
      const keys = 10 + Math.floor(random() * 40);
      const model = await openWorld(graphSeed, keys);
      const world = await openWorld(graphSeed, keys);
      expect(await model.deployed.populate({ isShared: false })).toMatchObject({
        status: 'done',
        findings: [],
      });

      // Some keys first, one worker bounded, the other interrupted.
      const max = 1 + Math.floor(random() * 20);
      const abort = AbortSignal.timeout(Math.floor(random() * 400));
      const [bounded] = await both(world, random, [{ max }, { signal: abort }]);
      expect(triedBy(bounded)).toBeLessThanOrEqual(max);
      expect(await inHand()).toEqual([]);

      for (const result of await both(world, random)) {
        expect(result).toMatchObject({ status: 'done', findings: [] });
        if (result.status === 'done')
          expect(result.tables.every(({ remaining }) => remaining === 0)).toBe(true);
      }
      expect(await stateOf(world)).toEqual(await stateOf(model));
      expect(Object.fromEntries([...world.calls].filter(([, times]) => times !== 1))).toEqual({});
      expect(await inHand()).toEqual([]);

      // Then a change above: what is computed again is what one worker alone computes again.
      for (const each of [model, world]) {
        each.calls.clear();
        const { placement } = await each.deployed.relation(each.source);
        await given.store.execute(sql`update ${tableId(placement)} set v = v + 1 where id % 3 = 0`);
      }
      expect(await model.deployed.populate({ isShared: false })).toMatchObject({ status: 'done' });
      for (const result of await both(world, random))
        expect(result).toMatchObject({ status: 'done', findings: [] });
      expect(await stateOf(world)).toEqual(await stateOf(model));
      expect(Object.fromEntries(world.calls)).toEqual(Object.fromEntries(model.calls));
    },
  );
});

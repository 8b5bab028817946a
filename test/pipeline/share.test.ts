import { describe, expect, it } from 'vitest';
import { pipeline, t, type Key } from '../../src/pipeline/index.ts';
import { sharedReservations } from '../../src/pipeline/share/reservation.ts';
import { sql, type Queryable } from '../../src/store/index.ts';
import { uniqueName, withPostgres, withStores } from '../harness/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { countsOf, deploy } from './pipeline-lab.ts';

/** A table of `count` keys, and how often each make was called. */
function countingLab() {
  const lab = pipeline(uniqueName('s'));
  const calls = new Map<number, number>();
  const Source = lab.manual('source', { key: { id: t.integer() } });
  const Out = lab.computed('out', {
    parents: [Source],
    columns: { double: t.integer() },
    reads: { source: Source },
    make: async ({ source }) => {
      calls.set(source.id, (calls.get(source.id) ?? 0) + 1);
      await Promise.resolve();
      return { double: 2 * source.id };
    },
  });
  const Below = lab.computed('below', {
    parents: [Out],
    columns: { four: t.integer() },
    reads: { out: Out },
    make: ({ out }) => ({ four: 2 * out.double }),
  });
  return { lab, calls, Source, Out, Below };
}

const ids = (count: number) => Array.from({ length: count }, (_, id) => ({ id }));

withStores('keys that several workers share', (given) => {
  it('are each computed by one of two workers at once, over the whole graph', async () => {
    const { lab, calls, Source, Out, Below } = countingLab();
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(600));
    const both = await Promise.all([
      world.populate({ isShared: true, batchSize: 40 }),
      world.populate({ isShared: true, batchSize: 30 }),
    ]);
    for (const result of both) {
      expect(result).toMatchObject({ status: 'done', findings: [] });
      expect(countsOf(result, Out)).toMatchObject({ failed: 0, remaining: 0 });
      expect(countsOf(result, Below)).toMatchObject({ failed: 0, remaining: 0 });
    }
    const computed = both.map((result) => Number(countsOf(result, Out)['computed']));
    expect(computed.reduce((sum, each) => sum + each, 0)).toBe(600);
    // Where there is one session, whoever comes first may have done it all before the other begins.
    if (given.store.capabilities.concurrentSessions) expect(Math.min(...computed)).toBeGreaterThan(0);
    expect([...calls.values()].every((count) => count === 1)).toBe(true);
    expect(await world.rows(Below)).toHaveLength(600);
    expect(await world.wrongOutputs(Below)).toBe(0);
    expect(await given.store.query(sql`select from varve_queue.job`)).toEqual([]);
  });

  it('stale ones too', async () => {
    const { lab, calls, Source, Out, Below } = countingLab();
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(300));
    await world.populate({ isShared: true });
    calls.clear();
    const other = new Map(
      [...world.codeByTable].map(([name, code]) => [
        name,
        { ...code, digest: `sha256:${'2'.repeat(64)}` as const },
      ]),
    );
    const both = await Promise.all([
      world.populate({ isShared: true, batchSize: 20, codeByTable: other }),
      world.populate({ isShared: true, batchSize: 20, codeByTable: other }),
    ]);
    for (const result of both) expect(result).toMatchObject({ status: 'done' });
    expect(calls.size).toBe(300);
    expect([...calls.values()].every((count) => count === 1)).toBe(true);
    for (const table of [Out, Below]) {
      const sum = both.reduce((total, result) => total + Number(countsOf(result, table)['computed']), 0);
      expect(sum).toBe(300);
    }
    expect(await world.wrongOutputs(Out)).toBe(0);
  });
});

withPostgres('keys in the hands of a worker that is gone', 18, (given) => {
  /** Takes the first keys as a worker would that then gives no sign of life. */
  async function takeAndStall(relationId: number, keys: readonly Key[]) {
    const store = await postgresStore({ url: given.url() });
    const reservations = await sharedReservations(store, { runId: 999_999, leaseSeconds: 3600 });
    return { store, reservations, relationId, keys };
  }

  it('20. come back after its lease, and what it writes late is refused', async () => {
    const { lab, calls, Source, Out } = countingLab();
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(50));
    const gone = await takeAndStall(0, []);
    const relation = await world.relation(Out);
    const taken = await gone.reservations.take({ relation, mode: 'insert', silentSeconds: 0 }, async () =>
      ids(20),
    );
    expect(taken?.keys).toHaveLength(20);
    const running = world.populate({ isShared: true, tables: [Out.spec.name] });
    await expect.poll(() => calls.size, { timeout: 20_000 }).toBe(30);
    expect(await fenceHolds(given.store, taken?.fence)).toBe(true);
    // The database's clock goes past the lease.
    await given.store.execute(sql`
      update varve_queue.job set heartbeat_on = now() - interval '2 hours' where priority = 999999`);
    expect(await running).toMatchObject({ status: 'done' });
    expect(calls.size).toBe(50);
    expect(await fenceHolds(given.store, taken?.fence)).toBe(false);
    await gone.reservations[Symbol.asyncDispose]();
    await gone.store[Symbol.asyncDispose]();
  });

  async function fenceHolds(
    queryable: Queryable,
    fence: ReturnType<typeof sql> | undefined,
  ): Promise<boolean> {
    if (fence === undefined) return true;
    return (await queryable.query(fence)).length > 0;
  }

  it('what lies below two changed tables waits for both, and is computed once, though others have one of them in hand', async () => {
    const lab = pipeline(uniqueName('s'));
    const calls: string[] = [];
    const Source = lab.manual('source', { key: { id: t.integer() }, columns: { v: t.integer() } });
    const copyOf = (name: string) =>
      lab.computed(name, {
        parents: [Source],
        columns: { v: t.integer() },
        reads: { source: Source },
        make: ({ source }) => {
          calls.push(name);
          return { v: source.v };
        },
      });
    const Left = copyOf('left');
    const Right = copyOf('right');
    lab.computed('leaf', {
      parents: [Left, Right],
      columns: { v: t.integer() },
      reads: { left: Left, right: Right },
      make: ({ left, right }) => {
        calls.push('leaf');
        return { v: left.v + right.v };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1, v: 1 }]);
    await world.populate();
    await given.store.execute(sql`update ${sql.id(lab.schema, 'source')} set v = 2`);
    calls.length = 0;
    await using store = await postgresStore({ url: given.url() });
    await using other = await sharedReservations(store, { runId: 999_998, leaseSeconds: 3600 });
    const relation = await world.relation(Right);
    const taken = await other.take({ relation, mode: 'replace', silentSeconds: 0 }, async () => [{ id: 1 }]);
    const running = world.populate();
    await expect.poll(() => calls, { timeout: 20_000 }).toEqual(['left']);
    // Longer than it takes to look again what others have in hand.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(calls).toEqual(['left']);
    await taken?.release('open');
    expect(await running).toMatchObject({ status: 'done', findings: [] });
    expect(calls).toEqual(['left', 'right', 'leaf']);
  });

  it('a populate that lost its keys writes nothing of them, and computes what is left', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    let lose: (() => Promise<unknown>) | undefined;
    const Out = lab.computed('out', {
      parents: [Source],
      columns: { by: t.text() },
      reads: { source: Source },
      make: async () => {
        const now = lose;
        lose = undefined;
        await now?.();
        return { by: 'first' };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(5));
    const heard: string[] = [];
    lose = () =>
      given.store.execute(
        sql`update varve_queue.job set state = 'failed' where name = 'keys' and state = 'active'`,
      );
    const result = await world.populate({ isShared: true, log: (message) => heard.push(message) });
    expect(result).toMatchObject({ status: 'done', tables: [{ computed: 5, remaining: 0 }] });
    expect(heard).toHaveLength(1);
    expect(await world.rows(Out)).toHaveLength(5);
  });
});

describe('a lease', () => {
  it('that is too short is refused by name', async () => {
    const { embeddedStore } = await import('../../src/store/postgres/index.ts');
    await using store = await embeddedStore({ folder: undefined });
    await expect(sharedReservations(store, { runId: 1, leaseSeconds: 5 })).rejects.toMatchObject({
      code: 'lease_too_short',
    });
  });
});

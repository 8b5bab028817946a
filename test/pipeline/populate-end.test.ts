import { expect, it } from 'vitest';
import { pipeline, populate, t } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { uniqueName, withPostgres, withStores } from '../harness/index.ts';
import { countsOf, deploy, environment } from './pipeline-lab.ts';

const ids = (count: number) => Array.from({ length: count }, (_, id) => ({ id }));
/** A populate that does not end by itself is ended, and says so. */
const inTime = () => ({ signal: AbortSignal.timeout(20_000) });

withStores('a populate ends', (given) => {
  it('where there is nothing to compute, nothing is asked for, or nothing may be tried', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const empty = await deploy(given.store, lab);
    expect(await empty.populate(inTime())).toMatchObject({ status: 'done', tables: [] });
    const Out = lab.computed('out', { parents: [Source], reads: { source: Source }, make: () => ({}) });
    const world = await deploy(given.store, lab);
    expect(await world.populate(inTime())).toMatchObject({ status: 'done', tables: [{ computed: 0 }] });
    await world.insert(Source, ids(3));
    expect(await world.populate({ ...inTime(), tables: [] })).toMatchObject({ status: 'done', tables: [] });
    const none = await world.populate({ ...inTime(), max: 0 });
    expect(countsOf(none, Out)).toMatchObject({ computed: 0, remaining: 3 });
  });

  it('where every key of every table fails', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const fail = () => {
      throw new Error('never');
    };
    const One = lab.computed('one', { parents: [Source], reads: { source: Source }, make: fail });
    const Two = lab.computed('two', { parents: [One], reads: { one: One }, make: fail });
    const Three = lab.computed('three', { parents: [Source], reads: { all: Two.all() }, make: fail });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(70));
    const result = await world.populate({ ...inTime(), isShared: true });
    expect(result.status).toBe('failed');
    expect(countsOf(result, One)).toMatchObject({ failed: 70, computed: 0 });
    expect(countsOf(result, Two)).toMatchObject({ failed: 0, computed: 0 });
    expect(countsOf(result, Three)).toMatchObject({ failed: 70, computed: 0 });
    expect(await given.store.query(sql`select from varve_queue.job where state = 'active'`)).toEqual([]);
  });

  it('within a moment of its signal, whatever it waits for', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', {
      parents: [Source],
      reads: { source: Source },
      retry: { attempts: 2, delaySeconds: 3600 },
      make: () => {
        throw new Error('later');
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(1));
    const from = performance.now();
    const result = await world.populate({ signal: AbortSignal.timeout(2000) });
    expect(result.status).toBe('interrupted');
    expect(countsOf(result, Out)).toMatchObject({ failed: 1 });
    expect(performance.now() - from).toBeLessThan(10_000);
  });
});

withPostgres('a server that has no connection left', 18, (given) => {
  it('is said by name, and waited for where the work is under way', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', { parents: [Source], reads: { source: Source }, make: () => ({}) });
    const world = await deploy(given.store, lab);
    await world.insert(Source, ids(20));
    const role = uniqueName('worker');
    await given.store.script(`create role ${role} login password 'pw' connection limit 1`);
    const schema = (await world.relation(Out)).placement.schema;
    await world.populate({ isShared: true, max: 1 });
    for (const name of ['varve', 'varve_queue', schema])
      await given.store.script(`grant usage on schema ${name} to ${role};
        grant all on all tables in schema ${name} to ${role}; grant all on all sequences in schema ${name} to ${role};
        grant execute on all functions in schema ${name} to ${role}`);
    const url = new URL(given.url());
    url.username = role;
    url.password = 'pw';
    // A pool of four where the server gives one.
    await using store = await postgresStore({ url: url.href });
    await expect(postgresStore({ url: url.href })).rejects.toMatchObject({
      code: 'database_unreachable',
      fields: { sqlstate: '53300' },
    });
    const run = populate(store, {
      definitions: world.definitions,
      environment,
      projectFolder: import.meta.dirname,
      codeByTable: world.codeByTable,
      isShared: true,
      patienceSeconds: 3,
      ...inTime(),
    });
    expect(await run).toMatchObject({ status: 'done', findings: [] });
    expect(await world.rows(Out)).toHaveLength(20);
    await store[Symbol.asyncDispose]();
    await given.store.script(`drop owned by ${role}; drop role ${role}`);
  });
});

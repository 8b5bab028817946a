import { utimes } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { retire } from '../../src/evolution/retire.ts';
import {
  adoptObjects,
  collectGarbage,
  deleteRows,
  objectSpace,
  part,
  pipeline,
  planGarbage,
  retryJobs,
  t,
  verifyObjects,
} from '../../src/pipeline/index.ts';
import { sql, type ObjectReference, type ObjectStore, type Store } from '../../src/store/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { uniqueName, withPostgres, withStores, type StoreUnderTest } from '../harness/index.ts';
import { allOf, bytes, collect, objectLab, planOf, type ObjectLab } from './object-lab.ts';
import { countsOf, deploy, environment } from './pipeline-lab.ts';

const HOUR = { graceMs: 60 * 60 * 1000 };

/** A value from outside, stored as an object, with parts that are objects too. */
function signalLab(schema: string) {
  const lab = pipeline(schema);
  const source = lab.manual('source', { key: { id: t.integer() }, columns: { seed: t.text() } });
  const recording = lab.imported('recording', {
    parents: [source],
    columns: { signal: t.object(), extra: t.array(t.object()).nullable() },
    parts: { channel: part({ key: { n: t.integer() }, columns: { trace: t.object() } }) },
    reads: { source },
    make: async ({ source: { seed } }, { files }) => ({
      signal: await files.put(bytes(`signal ${seed}`)),
      extra: [await files.put(bytes(`extra ${seed}`))],
      parts: { channel: [{ n: 1, trace: await files.put(bytes(`trace ${seed}`)) }] },
    }),
  });
  return { lab, source, recording };
}

/** An open object store for one test, on a catalog that is there. */
async function openPlace(given: StoreUnderTest): Promise<ObjectLab> {
  await installCatalog(given.store, { files: await readCatalogFiles() });
  return objectLab(given.store);
}

async function contentsOf(objects: ObjectStore): Promise<readonly string[]> {
  const contents: string[] = [];
  for (const reference of await allOf(objects)) {
    for await (const piece of objects.read(reference)) contents.push(new TextDecoder().decode(piece));
  }
  return contents.toSorted();
}

withStores('garbage', (given) => {
  it('is what no row names, and was not put lately', async () => {
    await using place = await openPlace(given);
    const { objects } = place;
    const { lab, source } = signalLab(uniqueName('s'));
    const world = await deploy(given.store, lab);
    await world.insert(source, [{ id: 1, seed: 'a' }]);
    await world.populate({ objects });
    await objects.put(bytes('orphan'));
    expect(await planOf(given.store, objects, HOUR)).toMatchObject({
      named: { objects: 3 },
      young: { objects: 1, sizeBytes: 6 },
      garbage: { objects: 0 },
    });
    await place.age();
    const plan = await planOf(given.store, objects, HOUR);
    expect(plan).toMatchObject({ named: { objects: 3 }, garbage: { objects: 1, sizeBytes: 6 } });
    expect(await contentsOf(objects)).toContain('orphan');
    expect(await collectGarbage(given.store, objects, plan, HOUR)).toEqual({
      status: 'collected',
      removed: { objects: 1, sizeBytes: 6 },
      spared: 0,
      swept: 0,
    });
    expect(await contentsOf(objects)).toEqual(['extra a', 'signal a', 'trace a']);
    expect(await collect(given.store, objects, HOUR)).toMatchObject({ removed: { objects: 0 } });
  });

  it('is never what a superseded row names: of the table, of an array, of a part', async () => {
    await using place = await openPlace(given);
    const { objects } = place;
    const schema = uniqueName('s');
    const { lab, source, recording } = signalLab(schema);
    const world = await deploy(given.store, lab);
    await world.insert(source, [
      { id: 1, seed: 'old' },
      { id: 2, seed: 'gone' },
    ]);
    await world.populate({ objects });
    await given.store.execute(sql`update ${sql.id(schema, 'source')} set seed = 'new' where id = 1`);
    expect(countsOf(await world.populate({ objects }), recording)).toMatchObject({ computed: 1 });
    await deleteRows(given.store, world.definitions, source.spec.name, 'id = 2', { environment });
    expect(await world.rows(recording)).toHaveLength(1);
    await objects.put(bytes('orphan'));
    await place.age();
    expect(await collect(given.store, objects, HOUR)).toMatchObject({ removed: { objects: 1 } });
    expect(await contentsOf(objects)).toEqual(
      ['new', 'old', 'gone']
        .flatMap((seed) => ['extra', 'signal', 'trace'].map((kind) => `${kind} ${seed}`))
        .toSorted(),
    );
  });

  it('is never what a retired structure names, even where the table has no such column any more', async () => {
    await using place = await openPlace(given);
    const { objects } = place;
    const schema = uniqueName('s');
    const { lab, source, recording } = signalLab(schema);
    const world = await deploy(given.store, lab);
    await world.insert(source, [{ id: 1, seed: 'kept' }]);
    await world.populate({ objects });
    const old = [await world.relation(recording), await world.relation(recording.parts.channel)];
    await given.store.transaction({}, async (transaction) => {
      for (const relation of old.toReversed()) await retire(transaction, relation, 'varve://run/retire');
    });
    const next = pipeline(schema);
    const sameSource = next.manual('source', { key: { id: t.integer() }, columns: { seed: t.text() } });
    const plain = next.imported('recording', {
      parents: [sameSource],
      columns: { signal: t.text() },
      reads: { source: sameSource },
      make: ({ source: { seed } }) => ({ signal: seed }),
    });
    await deploy(given.store, next);
    expect((await world.relation(recording)).spec).toEqual(plain.spec);
    await place.age();
    expect(await collect(given.store, objects, HOUR)).toMatchObject({ removed: { objects: 0 } });
    expect(await contentsOf(objects)).toEqual(['extra kept', 'signal kept', 'trace kept']);
  });

  it('is not deleted where it was put, or named, after it was shown', async () => {
    await using place = await openPlace(given);
    const { objects } = place;
    const { lab, source, recording } = signalLab(uniqueName('s'));
    const world = await deploy(given.store, lab);
    for (const content of ['put again', 'signal later', 'orphan']) await objects.put(bytes(content));
    await place.age();
    const plan = await planOf(given.store, objects, HOUR);
    expect(plan.garbage.objects).toBe(3);
    await objects.put(bytes('put again'));
    await world.insert(source, [{ id: 1, seed: 'later' }]);
    await world.populate({ objects });
    await place.age((await world.rows(recording))[0]?.['signal'] as ObjectReference);
    expect(await collectGarbage(given.store, objects, plan, HOUR)).toMatchObject({
      removed: { objects: 1, sizeBytes: 6 },
      spared: 2,
    });
    expect(await contentsOf(objects)).toEqual(['extra later', 'put again', 'signal later', 'trace later']);
  });

  it('cannot be told where the rows of a table are gone: nothing is deleted', async () => {
    await using place = await openPlace(given);
    const { objects } = place;
    const schema = uniqueName('s');
    const { lab, source, recording } = signalLab(schema);
    const world = await deploy(given.store, lab);
    await world.insert(source, [{ id: 1, seed: 'a' }]);
    await world.populate({ objects });
    await place.age();
    const plan = await planOf(given.store, objects, HOUR);
    await given.store.script(`alter schema "${schema}" rename to "${schema} away"`);
    const refused = {
      status: 'refused',
      findings: [{ code: 'structure_missing', subject: recording.spec.name }, { code: 'structure_missing' }],
    };
    try {
      expect(await planGarbage(given.store, objects, HOUR)).toMatchObject(refused);
      expect(await collectGarbage(given.store, objects, plan, HOUR)).toMatchObject(refused);
      expect((await verifyObjects(given.store, objects)).findings).toHaveLength(2);
    } finally {
      await given.store.script(`alter schema "${schema} away" rename to "${schema}"`);
    }
    expect(await contentsOf(objects)).toHaveLength(3);
  });

  it('goes through more objects than one batch, and stops when asked to', async () => {
    await using place = await openPlace(given);
    const { objects } = place;
    const some = Array.from({ length: 620 }, (_, at) => bytes(`orphan ${String(at)}`));
    await Promise.all(some.map((content) => objects.put(content)));
    const now = { graceMs: 0 };
    const plan = await planOf(given.store, objects, now);
    expect(plan.garbage.objects).toBe(620);
    const stopped = await collectGarbage(given.store, objects, plan, { ...now, signal: AbortSignal.abort() });
    expect(stopped).toMatchObject({ status: 'interrupted', removed: { objects: 0 } });
    expect(await collectGarbage(given.store, objects, plan, now)).toMatchObject({
      removed: { objects: 620 },
    });
    expect(await allOf(objects)).toEqual([]);
  });

  it('is collected by one at a time', async () => {
    await using place = await openPlace(given);
    const { objects } = place;
    for (let at = 0; at < 30; at += 1) await objects.put(bytes(`orphan ${String(at)}`));
    const now = { graceMs: 0 };
    const plan = await planOf(given.store, objects, now);
    const results = await Promise.all([1, 2, 3].map(() => collectGarbage(given.store, objects, plan, now)));
    const removed = results.map((result) => (result.status === 'refused' ? 0 : result.removed.objects));
    expect(removed.reduce((sum, count) => sum + count, 0)).toBe(30);
    for (const result of results) {
      if (result.status === 'refused') expect(result.findings).toMatchObject([{ code: 'run_in_progress' }]);
    }
    expect(await allOf(objects)).toEqual([]);
  });
});

withPostgres('garbage beside work', 18, (given) => {
  it('leaves every row its object, whatever is collected while rows are made', async () => {
    await using place = await openPlace(given);
    const { objects } = place;
    const lab = pipeline(uniqueName('s'));
    const source = lab.manual('source', { key: { id: t.integer() } });
    const held = lab.computed('held', {
      parents: [source],
      columns: { value: t.object() },
      reads: { source },
      make: async ({ source: { id } }, { files }) => {
        const value = await files.put(bytes(`value ${String(id % 20)}`));
        // As if the make took days: what it put counts as old before its row is written.
        await utimes(place.pathOf(value.digest), new Date('2020-01-01'), new Date('2020-01-01')).catch(
          () => undefined,
        );
        if (id % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        return { value };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      source,
      Array.from({ length: 600 }, (_, id) => ({ id })),
    );
    const over = new AbortController();
    let collected = 0;
    const collecting = (async () => {
      while (!over.signal.aborted) {
        const result = await collect(given.store, objects, { graceMs: 1_000 });
        if (result.status === 'collected') collected += result.removed.objects;
      }
    })();
    const relation = await world.relation(held);
    for (let round = 0; round < 20 && (await world.rows(held)).length < 600; round += 1) {
      // A key whose object was collected between put and row failed, and is tried again.
      await world.populate({ objects, batchSize: 50 });
      await retryJobs(given.store, { relation, condition: undefined });
    }
    over.abort();
    await collecting;
    expect(await world.rows(held)).toHaveLength(600);
    expect(collected).toBeGreaterThan(0);
    expect((await verifyObjects(given.store, objects, { content: true })).findings).toEqual([]);
    expect(await world.wrongOutputs(held)).toBe(0);
  });

  it('is left alone by a copy of the database, until that is said to own it', async () => {
    await using place = await openPlace(given);
    const { objects } = place;
    const copy = uniqueName('copy');
    await objects.put(bytes('orphan'));
    await place.age();
    await using copied = await copyOf(given, copy);
    expect(await objectSpace(copied.store)).toBe(await objectSpace(given.store));
    const plan = await planOf(given.store, objects, HOUR);
    expect(await planGarbage(copied.store, objects, HOUR)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'objects_shared' }],
    });
    expect(await collectGarbage(copied.store, objects, plan, HOUR)).toMatchObject({ status: 'refused' });
    expect(await adoptObjects(copied.store)).toBe(true);
    expect(await adoptObjects(copied.store)).toBe(false);
    expect(await collect(copied.store, objects, HOUR)).toMatchObject({ removed: { objects: 1 } });
  });
});

/** Another database that brought the first one's space along, as a copy does; one in use cannot be a template. */
async function copyOf(
  given: StoreUnderTest,
  name: string,
): Promise<AsyncDisposable & { readonly store: Store }> {
  await given.store.script(`create database "${name}"`);
  const url = new URL(given.url());
  url.pathname = `/${name}`;
  const store = await postgresStore({ url: url.href });
  await installCatalog(store, { files: await readCatalogFiles() });
  const [row] = await given.store.query<{ space: string; owner: string }>(
    sql`select space::text as space, owner from varve.object_space`,
  );
  await store.execute(
    sql`update varve.object_space set space = ${row?.space ?? ''}::uuid, owner = ${row?.owner ?? ''}`,
  );
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await given.store.script(`drop database "${name}"`);
    },
  };
}

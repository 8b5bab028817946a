import { readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import {
  deleteRows,
  insertRows,
  listJobs,
  part,
  pipeline,
  t,
  verifyObjects,
  why,
} from '../../src/pipeline/index.ts';
import { readObject, sql, type ObjectReference } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { codeOf, countsOf, deploy, environment } from './pipeline-lab.ts';
import { bytes, objectLab, planOf, type ObjectLab } from './object-lab.ts';

const text = (content: Uint8Array): string => new TextDecoder().decode(content);

/** A signal that is stored, and what is computed from it. */
function signalLab(schema: string) {
  const lab = pipeline(schema);
  const source = lab.manual('source', { key: { id: t.integer() }, columns: { seed: t.text() } });
  const recording = lab.imported('recording', {
    parents: [source],
    columns: { signal: t.object(), extra: t.array(t.object()), note: t.object().nullable() },
    reads: { source },
    make: async ({ source: { seed } }, { files }) => ({
      signal: await files.put(bytes(`signal ${seed}`)),
      extra: [await files.put(pieces(seed)), await files.put(bytes('shared'))],
      note: null,
    }),
  });
  const length = lab.computed('length', {
    parents: [recording],
    columns: { chars: t.integer(), upper: t.object(), streamed: t.integer() },
    reads: { recording },
    make: async ({ recording: { signal, extra } }, { files }) => {
      const [first] = extra;
      let streamed = 0;
      if (first !== undefined) for await (const piece of files.stream(first)) streamed += piece.length;
      const content = await files.text(signal);
      return { chars: content.length, upper: await files.put(bytes(content.toUpperCase())), streamed };
    },
  });
  return { lab, source, recording, length };
}

async function* pieces(seed: string): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < 10; at += 1) yield bytes(`piece ${String(at)} of ${seed};`);
}

withStores('object columns', (given) => {
  let place: ObjectLab;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    place = await objectLab(given.store);
  });
  afterAll(() => place[Symbol.asyncDispose]());

  it('holds what a make put, gives it to the makes below, and says so to the compiler', async () => {
    const { lab, source, recording, length } = signalLab(uniqueName('s'));
    const world = await deploy(given.store, lab);
    await world.insert(source, [
      { id: 1, seed: 'a' },
      { id: 2, seed: 'bb' },
    ]);
    const { objects } = place;
    expect(await world.populate({ objects })).toMatchObject({ status: 'done' });
    const [first] = await world.rows(recording);
    const signal = first?.['signal'] as ObjectReference;
    expect(signal).toEqual({ digest: expect.stringMatching(/^sha256:/u), sizeBytes: 8 });
    expect(text(await readObject(objects, signal))).toBe('signal a');
    expect(await world.rows(length)).toMatchObject([
      { id: 1, chars: 8, streamed: 130, upper: { sizeBytes: 8 } },
      { id: 2, chars: 9, streamed: 140, upper: { sizeBytes: 9 } },
    ]);
    const unchanged = await world.populate({ objects });
    expect(countsOf(unchanged, length)).toMatchObject({ computed: 0, skippedUnchanged: 2 });
    type Row = NonNullable<(typeof recording)['readType']>;
    expectTypeOf<Row['signal']>().toEqualTypeOf<ObjectReference>();
    expectTypeOf<Row['extra']>().toEqualTypeOf<readonly ObjectReference[]>();
    expectTypeOf<Row['note']>().toEqualTypeOf<ObjectReference | null>();
    expect(await verifyObjects(given.store, objects, { content: true })).toMatchObject({ findings: [] });
  });

  it('recomputes what is below when the content is another, and nothing when it is not', async () => {
    const { lab, source, recording, length } = signalLab(uniqueName('s'));
    const world = await deploy(given.store, lab);
    await world.insert(source, [{ id: 1, seed: 'a' }]);
    const { objects } = place;
    await world.populate({ objects });
    await given.store.execute(
      sql`update ${sql.id(...recording.spec.name.split('.').slice(0, 1), 'source')} set seed = 'other'`,
    );
    const changed = await world.populate({ objects });
    expect(countsOf(changed, length)).toMatchObject({ computed: 1 });
    const again = await world.populate({ objects, codeByTable: codeOf([recording, length], 'edited ') });
    expect(countsOf(again, recording)).toMatchObject({ computed: 1 });
    const origin = await why(given.store, length.spec.name, { id: 1 });
    expect(JSON.stringify(origin)).toContain(recording.spec.name);
  });

  it('fails the key of a make that names what is not there, and writes none of it', async () => {
    const lab = pipeline(uniqueName('s'));
    const source = lab.manual('source', { key: { id: t.integer() } });
    const forged = lab.computed('forged', {
      parents: [source],
      columns: { value: t.object() },
      reads: { source },
      make: async ({ source: { id } }, { files }) => {
        const { digest, sizeBytes } = await files.put(bytes(`forged ${String(id)}`));
        if (id === 1) return { value: { digest: `sha256:${'1'.repeat(64)}`, sizeBytes } };
        if (id === 2) return { value: { digest, sizeBytes: sizeBytes + 1 } };
        if (id === 3) return { value: { digest: '../../etc/passwd', sizeBytes } };
        if (id === 4) return { value: { digest, sizeBytes, more: 1 } };
        return { value: { digest, sizeBytes } };
      },
    });
    const world = await deploy(given.store, lab);
    await world.insert(
      source,
      [1, 2, 3, 4, 5].map((id) => ({ id })),
    );
    expect(countsOf(await world.populate({ objects: place.objects }), forged)).toMatchObject({
      computed: 1,
      failed: 4,
    });
    expect(await world.rows(forged)).toMatchObject([{ id: 5 }]);
    const jobs = await listJobs(given.store, [await world.relation(forged)]);
    expect(jobs.map(({ code }) => code ?? '').toSorted()).toEqual([
      'make_returned_wrong_type',
      'make_returned_wrong_type',
      'object_missing',
      'object_missing',
    ]);
  });

  it('fails a make whose input was damaged or lost, and the key can be tried again', async () => {
    const { lab, source, recording, length } = signalLab(uniqueName('s'));
    const world = await deploy(given.store, lab);
    await world.insert(source, [
      { id: 1, seed: 'damaged' },
      { id: 2, seed: 'lost' },
    ]);
    const { objects } = place;
    await world.populate({ objects, tables: [recording.spec.name] });
    const [damaged, lost] = (await world.rows(recording)).map((row) => row['signal'] as ObjectReference);
    await writeFile(place.pathOf(damaged?.digest ?? ''), 'signal DAMAGED');
    await rm(place.pathOf(lost?.digest ?? ''));
    expect(countsOf(await world.populate({ objects }), length)).toMatchObject({ computed: 0, failed: 2 });
    const jobs = await listJobs(given.store, [await world.relation(length)]);
    expect(jobs.map(({ code }) => code ?? '').toSorted()).toEqual(['object_damaged', 'object_missing']);
    const { findings } = await verifyObjects(given.store, objects, { content: true });
    expect(findings.map(({ code, subject }) => [code, subject])).toEqual(
      [
        ['object_damaged', damaged?.digest],
        ['object_missing', lost?.digest],
      ].toSorted((left, right) => ((left[1] ?? '') < (right[1] ?? '') ? -1 : 1)),
    );
    expect(findings[0]?.detail).toMatchObject({ namedBy: [`${recording.spec.name}.signal`] });
    await objects.put(bytes('signal damaged'));
    await objects.put(bytes('signal lost'));
    expect((await verifyObjects(given.store, objects, { content: true })).findings).toEqual([]);
  });

  it('says where to name a place for objects when a project has none', async () => {
    const { lab, source, recording } = signalLab(uniqueName('s'));
    const world = await deploy(given.store, lab);
    await world.insert(source, [{ id: 1, seed: 'a' }]);
    const result = await world.populate({ tables: [recording.spec.name] });
    expect(result).toMatchObject({ status: 'failed', findings: [{ code: 'objects_unavailable' }] });
  });

  it('takes references in manual rows and in parts, in makeWith and in a query', async () => {
    const lab = pipeline(uniqueName('s'));
    const scan = lab.manual('scan', { key: { id: t.integer() }, columns: { image: t.object() } });
    const tile = lab.computed('tile', {
      parents: [scan],
      columns: { count: t.integer() },
      parts: { piece: part({ key: { n: t.integer() }, columns: { content: t.object() } }) },
      reads: { scan },
      make: async ({ scan: { image } }, { files }) => {
        const whole = await files.bytes(image);
        const piece = [];
        for (const n of [0, 1, 2]) piece.push({ n, content: await files.put(whole.slice(n, n + 1)) });
        return { count: piece.length, parts: { piece } };
      },
    });
    const joined = lab.computed('joined', {
      parents: [tile],
      columns: { whole: t.object(), first: t.object() },
      reads: { scan, piece: tile.parts.piece.matching({ id: 'id' }) },
      makeWith: async (db, { files }) => {
        const { image } = await db.selectFrom('scan').select('image').executeTakeFirstOrThrow();
        const rows = await db.selectFrom('piece').select('content').orderBy('n').execute();
        const texts = await Promise.all(rows.map(({ content }) => files.text(content)));
        return { whole: await files.put(bytes(texts.join(''))), first: image };
      },
    });
    const copied = lab.computed('copied', {
      parents: [joined],
      columns: { whole: t.object() },
      reads: { joined },
      query: sql`select id, whole from joined`,
    });
    const world = await deploy(given.store, lab);
    const { objects } = place;
    const image = await objects.put(bytes('xyz'));
    const options = { source: 'scanner', actor: 'ada', objects };
    expect(await insertRows(given.store, scan, [{ id: 1, image }], options)).toMatchObject({
      status: 'inserted',
    });
    expect(await world.populate({ objects })).toMatchObject({ status: 'done' });
    expect(await world.rows(copied)).toEqual([{ id: 1, whole: image }]);
    expect(await world.rows(joined)).toEqual([{ id: 1, whole: image, first: image }]);
    expect((await planOf(given.store, objects, { graceMs: 0 })).digests.has(image.digest)).toBe(false);
    const strange = { digest: `sha256:${'2'.repeat(64)}`, sizeBytes: 1 };
    expect(
      await insertRows(
        given.store,
        scan,
        [
          { id: 2, image },
          { id: 3, image: strange },
        ],
        options,
      ),
    ).toMatchObject({ status: 'refused', findings: [{ code: 'object_missing', detail: { row: 2 } }] });
    expect(await world.rows(scan)).toHaveLength(1);
    await expect(
      insertRows(given.store, scan, [{ id: 2, image }], { source: 's', actor: 'a' }),
    ).rejects.toMatchObject({ code: 'objects_unavailable' });
    await expect(
      given.store.execute(
        sql`insert into ${sql.id(...scan.spec.name.split('.'))} values (9, '{"digest": "x"}')`,
      ),
    ).rejects.toMatchObject({ code: 'constraint_violated' });
    const deleted = await deleteRows(given.store, world.definitions, scan.spec.name, 'id = 1', {
      environment,
    });
    expect(deleted).toMatchObject({ status: 'deleted' });
    expect(readdirSync(place.folder)).toHaveLength(1);
  });
});

describe('an object column', () => {
  it.each<[what: string, define: () => unknown]>([
    ['in a primary key', () => pipeline('s').manual('a', { key: { id: t.object() } })],
    [
      'in a lookup',
      () => pipeline('s').lookup('a', { key: { id: t.integer() }, columns: { o: t.object() }, contents: [] }),
    ],
    [
      'with a default',
      () =>
        pipeline('s').manual('a', {
          key: { id: t.integer() },
          columns: { o: t.object().default({ digest: 'sha256:', sizeBytes: 1 }) },
        }),
    ],
  ])('is refused %s', (_, define) => {
    expect(define).toThrow(expect.objectContaining({ code: 'definition_invalid' }));
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inThreadRunner, listJobs, openMakeRunner, type MakeRunner } from '../../src/pipeline/index.ts';
import { sql, type Row } from '../../src/store/index.ts';
import { withStores } from '../harness/index.ts';
import { countsOf, deploy, type Deployed } from './pipeline-lab.ts';
import { inputOf, lab, runnerDefinitions, runnerLab, tables } from './runner-lab.config.ts';

withStores('populate with a runner', (given) => {
  let folder = '';
  let world: Deployed;
  let runner: MakeRunner;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-files-'));
    await writeFile(join(folder, 'a.txt'), 'hello');
    world = await deploy(given.store, lab);
    runner = openMakeRunner({
      definitionsModule: runnerLab,
      definitionDigest: runnerDefinitions().digest,
      files: { folder },
      workers: 2,
    });
    const texts = ['nothing', 'fetch', 'nothing', 'environment', 'exit', null];
    const sources = texts.map((text, at) => inputOf(at, text).values['source'] as object);
    await world.insert(tables.source, sources);
  });
  afterAll(async () => {
    await runner[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const errorsOf = async (table: typeof tables.escape): Promise<readonly (string | null)[]> =>
    (await listJobs(given.store, [await world.relation(table)])).map(({ code }) => code);

  it('gives the same rows in worker threads as in the calling thread', async () => {
    const options = { tables: [tables.everything.spec.name], projectFolder: folder };
    await world.populate({ ...options, runner: inThreadRunner({ files: { folder } }) });
    const pinned = (rows: readonly Row[]): readonly Row[] => rows.map((row) => ({ ...row, now: null }));
    const expected = pinned(await world.rows(tables.everything));
    expect(expected).toHaveLength(6);
    await given.store.execute(sql`delete from runner.everything__piece`);
    await given.store.execute(sql`delete from runner.everything`);
    await given.store.execute(sql`delete from varve.computation`);
    const result = await world.populate({ ...options, runner });
    expect(countsOf(result, tables.everything)).toMatchObject({ computed: 6, failed: 0, remaining: 0 });
    expect(pinned(await world.rows(tables.everything))).toEqual(expected);
    expect(await world.wrongOutputs(tables.everything)).toBe(0);
  });

  it('goes on after a make that ends its thread: that key has a job, the others have rows', async () => {
    const result = await world.populate({ tables: [tables.wild.spec.name], runner });
    expect(countsOf(result, tables.wild)).toMatchObject({ computed: 5, failed: 1, remaining: 0 });
    expect(await errorsOf(tables.wild)).toEqual(['make_crashed']);
  });

  it('records that a make was isolated, and by which name one failed that was not content with it', async () => {
    const result = await world.populate({ tables: [tables.escape.spec.name], runner });
    expect(countsOf(result, tables.escape)).toMatchObject({ computed: 4, failed: 2, remaining: 0 });
    expect(await errorsOf(tables.escape)).toEqual(['make_left_isolation', 'make_left_isolation']);
    const relation = await world.relation(tables.escape);
    expect(
      await given.store.query(
        sql`select distinct enforcement from varve.computation_spec where relation = ${relation.id}`,
      ),
    ).toEqual([{ enforcement: 'isolated' }]);
  });

  it('never runs an isolated make where nothing isolates it', async () => {
    await expect(world.populate({ tables: [tables.escape.spec.name] })).rejects.toMatchObject({
      code: 'isolation_unavailable',
      detail: { table: 'runner.escape' },
    });
  });
});

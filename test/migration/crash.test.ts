import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyAll } from '../../src/evidence/index.ts';
import { applyMigration, FAULT_POINTS, folderReader, readStatus } from '../../src/migration/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import {
  embeddedStore,
  installCatalog,
  postgresStore,
  readCatalogFiles,
} from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { doubleKind } from './double-kind.ts';
import { columnsOf, migrationsFolder, plannedDouble, runnerOptions } from './fixture.ts';
import { endRun, startRun } from './start-run.ts';

/** A run that goes well passes these; the others lie on the way of one that is undone. */
const isOfUndo = (point: string): boolean => /^F\d+_undo/u.test(point);
const ALL_POINTS = [...FAULT_POINTS, ...doubleKind.faultPoints];

interface Where {
  /** What a child process opens. */
  readonly address: string;
  readonly open: () => Promise<Store>;
}

describe.skipIf(!(process.env['VARVE_TEST_STORES'] ?? 'postgres-18').includes('postgres-18'))(
  'killed on PostgreSQL',
  () => {
    let database: PostgresDatabase;
    beforeAll(async () => {
      database = await postgresDatabase(18);
      await using store = await postgresStore({ url: database.url });
      await installCatalog(store, { files: await readCatalogFiles() });
    }, 60_000);
    afterAll(() => database[Symbol.asyncDispose]());
    const where = (): Where => ({ address: database.url, open: () => postgresStore({ url: database.url }) });

    it.each(
      ALL_POINTS.flatMap((point) =>
        (['apply', 'rollback', 'recover'] as const).map((way) => [point, way] as const),
      ),
    )(
      'M61 M64 M67 a forward run killed at %s and ended by %s is in one good state with one receipt',
      async (point, way) => {
        await killAndEnd(where(), { point, way, failAt: isOfUndo(point) ? 'decide' : undefined });
      },
      60_000,
    );

    it.each(ALL_POINTS.filter((point) => !isOfUndo(point) && !/^(T01|T02|F06|F07)_/u.test(point)))(
      'a rollback killed at %s goes on when it is asked for again',
      async (point) => {
        await using s = await scene(where(), undefined);
        expect(await applyMigration(s.options, s.id)).toMatchObject({ status: 'applied' });
        await kill(where(), s, 'rollback', point);
        const ended = await endRun(s.options, 'rollback', s.id);
        expect(ended.status, ended.told).toBe('applied');
        expect(await columnsOf(s.store, s.table)).toEqual(['id', 'value']);
        await expectSettled(s, 2);
      },
      60_000,
    );

    it.each(['F13_committed', 'F18_receipt_stored', 'T01_batch'])(
      'M62 M69 a run killed at %s whose disk is lost is settled from the database alone',
      async (point) => {
        await using s = await scene(where(), undefined);
        await kill(where(), s, 'apply', point);
        for (const lost of ['runs', 'evidence']) await rm(join(s.root, lost), { recursive: true });
        expect((await endRun(s.options, 'recover', s.id)).status).toBe('recovered');
        await expectSettled(s, 1);
      },
      60_000,
    );

    it.each(ALL_POINTS.filter((point) => isOfUndo(point) || /^F(14|15|16|17|18|19)_/u.test(point)))(
      'M69 a recovery killed at %s is recovered',
      async (point) => {
        await using s = await scene(where(), undefined);
        const first = isOfUndo(point) ? 'T01_batch' : 'F13_committed';
        await kill(where(), s, 'apply', first);
        await kill(where(), s, 'recover', point);
        expect((await endRun(s.options, 'recover', s.id)).status).toBe('recovered');
        expect(await columnsOf(s.store, s.table)).toEqual(
          isOfUndo(point) ? ['id', 'value'] : ['double', 'id', 'value'],
        );
        await expectSettled(s, 1);
      },
      60_000,
    );
  },
);

describe.skipIf(!(process.env['VARVE_TEST_STORES'] ?? 'embedded').includes('embedded'))(
  'killed in an embedded store',
  () => {
    let template: string;
    beforeAll(async () => {
      template = await mkdtemp(join(tmpdir(), 'varve-crash-'));
      await using store = await embeddedStore({ folder: join(template, 'data') });
      await installCatalog(store, { files: await readCatalogFiles() });
    }, 60_000);
    afterAll(() => rm(template, { recursive: true, force: true }));

    it.each(ALL_POINTS)(
      'M61 M64 a forward run killed at %s and applied again is in one good state with one receipt',
      async (point) => {
        const folder = await mkdtemp(join(tmpdir(), 'varve-crash-'));
        try {
          const data = join(folder, 'data');
          await cp(join(template, 'data'), data, { recursive: true });
          const where = { address: data, open: () => embeddedStore({ folder: data }) };
          await killAndEnd(where, { point, way: 'apply', failAt: isOfUndo(point) ? 'decide' : undefined });
        } finally {
          await rm(folder, { recursive: true, force: true });
        }
      },
      60_000,
    );
  },
);

async function killAndEnd(
  where: Where,
  about: {
    readonly point: string;
    readonly way: 'apply' | 'rollback' | 'recover';
    readonly failAt: string | undefined;
  },
): Promise<void> {
  let s = await scene(where, about.failAt);
  // An embedded store belongs to one process at a time.
  if (!s.store.capabilities.sharedByProcesses) await s.store[Symbol.asyncDispose]();
  await kill(where, s, 'apply', about.point);
  const store = s.store.capabilities.sharedByProcesses ? s.store : await where.open();
  s = { ...s, store, options: { ...s.options, store } };
  try {
    const ended = await endRun(s.options, about.way, s.id);
    expect(ended.status, ended.told).not.toBe('indeterminate');
    const columns = (await columnsOf(store, s.table)).join(' ');
    expect(['id value', 'double id value']).toContain(columns);
    if (about.way === 'apply' && about.failAt === undefined) expect(columns).toBe('double id value');
    if (about.way === 'rollback' || about.failAt !== undefined) expect(columns).toBe('id value');
    expect(await columnsOf(store, `${s.table}_next`)).toEqual([]);
    const [count] = await store.query<{ readonly n: number }>(
      sql`select count(*)::int as n from ${sql.id(s.schema, 'thing')}`,
    );
    expect(count?.n).toBe(5);
    await expectSettled(s, undefined);
  } finally {
    await store[Symbol.asyncDispose]();
    await s[Symbol.asyncDispose]();
  }
}

type Scene = Awaited<ReturnType<typeof scene>>;

async function scene(where: Where, failAt: string | undefined) {
  const store = await where.open();
  const folder = await migrationsFolder();
  await installCatalog(store, { files: await readCatalogFiles() });
  await store.script(`
    alter table varve.ledger disable trigger ledger_only_grows;
    delete from varve.ledger;
    alter table varve.ledger enable always trigger ledger_only_grows;`);
  const schema = `s_${Math.random().toString(36).slice(2)}`;
  const options = runnerOptions(store, folder.root);
  const planned = await plannedDouble(options, schema, failAt === undefined ? {} : { failAt });
  return {
    ...planned,
    store,
    schema,
    options,
    root: folder.root,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Nothing is unfinished, every run has one receipt, and all of it verifies offline. */
async function expectSettled(
  s: Omit<Scene, typeof Symbol.asyncDispose>,
  wantRuns: number | undefined,
): Promise<void> {
  expect((await readStatus(s.options)).unfinished).toEqual([]);
  expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
  expect(await columnsOf(s.store, `${s.table}_scratch`)).toEqual([]);
  const [count] = await s.store.query<{
    readonly runs: number;
    readonly closed: number;
    readonly decided: number;
  }>(sql`
    select count(distinct run_id)::int as runs,
      (count(*) filter (where phase = 'closed'))::int as closed,
      (count(*) filter (where phase in ('committed', 'undone')))::int as decided
    from varve.ledger`);
  expect(count?.closed).toBe(count?.runs);
  expect(count?.decided).toBe(count?.runs);
  if (wantRuns !== undefined) expect(count?.runs).toBe(wantRuns);
}

/** A verb in a process of its own, which kills itself at this point. */
async function kill(
  { address }: Where,
  { root, id }: Pick<Scene, 'root' | 'id'>,
  verb: string,
  point: string,
): Promise<void> {
  const ended = await startRun({ address, root, verb, id, point });
  expect(ended.signal, ended.stderr).toBe('SIGKILL');
}

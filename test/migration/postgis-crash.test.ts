import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyAll } from '../../src/evidence/index.ts';
import {
  applyMigration,
  FAULT_POINTS,
  folderReader,
  readStatus,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { postgisKind } from '../../src/migration/kind/postgis/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import {
  embeddedStore,
  installCatalog,
  postgresStore,
  readCatalogFiles,
} from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { columnsOf, migrationsFolder } from './fixture.ts';
import { PG_ID, planSql, sqlOptions } from './sql-bundle.ts';
import { endRun, startRun } from './start-run.ts';

const stores = process.env['VARVE_TEST_STORES'];
const isWanted = (name: string): boolean => stores?.split(',').includes(name) ?? name !== 'postgres-15';

/** There are no steps after; steps beside have points of their own below, confined and witnessed runs theirs. */
const POINTS = [...FAULT_POINTS, ...postgisKind.faultPoints].filter(
  (point) => !/^(F06|F07|F14|F15|P00|P04|P05|P06)_/u.test(point),
);
const isOfUndo = (point: string): boolean => /^F2[234]_/u.test(point);

interface Where {
  readonly address: string;
  readonly open: () => Promise<Store>;
}

interface Scene {
  readonly store: Store;
  readonly options: RunnerOptions;
  readonly root: string;
  readonly schema: string;
}

describe.skipIf(!isWanted('postgres-18'))('kind postgis killed on PostgreSQL', () => {
  let database: PostgresDatabase;
  beforeAll(async () => {
    database = await postgresDatabase(18);
  }, 60_000);
  afterAll(() => database[Symbol.asyncDispose]());
  const where = (): Where => ({ address: database.url, open: () => postgresStore({ url: database.url }) });

  it.each(POINTS.map((point, index) => [point, index % 2 === 0 ? 'recover' : 'apply'] as const))(
    'F14 a run killed at %s and ended by %s is in one good state with one receipt',
    (point, verb) => killAndEnd(where(), point, verb),
    60_000,
  );

  it.each(['P02_statement', 'F12_ledger_row', 'F13_committed'])(
    'a run killed at %s whose disk is lost is settled from the database alone',
    async (point) => {
      await using folder = await migrationsFolder();
      await using store = await where().open();
      const s = await scene(store, folder.root, {});
      await kill(where(), s.root, 'apply', point);
      for (const lost of ['runs', 'evidence']) await rm(join(s.root, lost), { recursive: true });
      expect((await endRun(s.options, 'recover', PG_ID)).status).toBe('recovered');
      await expectSettled(s);
    },
    60_000,
  );

  it.each(['F06_step_started', 'P04_beside', 'F07_step_done', 'P02_statement', 'F12_ledger_row'])(
    'an index built beside is taken away when its run was killed at %s, and kept when it goes on',
    async (point) => {
      for (const verb of ['recover', 'apply'] as const) {
        await using folder = await migrationsFolder();
        await using store = await where().open();
        const s = await scene(store, folder.root, { isConcurrent: true });
        await kill(where(), s.root, 'apply', point);
        expect((await endRun(s.options, verb, PG_ID)).status).toBe(
          verb === 'recover' ? 'recovered' : 'applied',
        );
        expect(await hasIndex(s)).toBe(verb === 'apply');
        await expectSettled(s);
      }
    },
    90_000,
  );

  it.each(['P02_statement', 'F13_committed', 'F22_undo_announced'])(
    'a way back killed at %s is settled by recover',
    async (point) => {
      await using folder = await migrationsFolder();
      await using store = await where().open();
      const s = await scene(store, folder.root, {});
      expect(await applyMigration(s.options, PG_ID)).toMatchObject({ status: 'applied' });
      if (isOfUndo(point)) {
        // One that fails, so that it is undone.
        await store.script(`alter table ${s.schema}.plot rename column x to y`);
      }
      await kill(where(), s.root, 'rollback', point);
      expect((await endRun(s.options, 'recover', PG_ID)).status).toBe('recovered');
      expect((await readStatus(s.options)).unfinished).toEqual([]);
      expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
    },
    60_000,
  );
});

describe.skipIf(!isWanted('embedded'))('kind postgis killed in an embedded store', () => {
  let template: string;
  beforeAll(async () => {
    template = await mkdtemp(join(tmpdir(), 'varve-crash-'));
    await using store = await embeddedStore({ folder: join(template, 'data') });
    await installCatalog(store, { files: await readCatalogFiles() });
  }, 60_000);
  afterAll(() => rm(template, { recursive: true, force: true }));

  it.each([
    'F02_intent_opened',
    'F05_baselined',
    'P01_guarded',
    'P02_statement',
    'P03_observed',
    'F12_ledger_row',
    'F13_committed',
    'F18_receipt_stored',
  ])(
    'F14 a run killed at %s and applied again is in one good state with one receipt',
    async (point) => {
      const folder = await mkdtemp(join(tmpdir(), 'varve-crash-'));
      try {
        const data = join(folder, 'data');
        await cp(join(template, 'data'), data, { recursive: true });
        await killAndEnd({ address: data, open: () => embeddedStore({ folder: data }) }, point, 'apply');
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    90_000,
  );
});

async function killAndEnd(where: Where, point: string, verb: 'apply' | 'recover'): Promise<void> {
  await using folder = await migrationsFolder();
  const first = await where.open();
  const s = await scene(first, folder.root, isOfUndo(point) ? { isFailing: true } : {});
  // An embedded store belongs to one process at a time.
  await first[Symbol.asyncDispose]();
  await kill(where, s.root, 'apply', point);
  await using store = await where.open();
  const found = { ...s, store, options: { ...s.options, store } };
  const ended = await endRun(found.options, verb, PG_ID);
  expect(ended.status, ended.told).not.toBe('indeterminate');
  const columns = (await columnsOf(store, `${s.schema}.plot`)).join(' ');
  const isDecided = /^F(1[3-9]|2[01])_/u.test(point);
  const isApplied = verb === 'apply' ? !isOfUndo(point) : isDecided;
  expect(columns).toBe(isApplied ? 'area id x' : 'area id');
  // Killed before it was announced there was no run; one that was undone already is asked for anew.
  const runs =
    point === 'F01_locked' && verb === 'recover' ? 0 : point === 'F24_undone' && verb === 'apply' ? 2 : 1;
  await expectSettled(found, runs);
}

async function scene(
  store: Store,
  root: string,
  about: { readonly isFailing?: boolean; readonly isConcurrent?: boolean },
): Promise<Scene> {
  await installCatalog(store, { files: await readCatalogFiles() });
  await store.script(`
    alter table varve.ledger disable trigger ledger_only_grows;
    delete from varve.ledger;
    alter table varve.ledger enable always trigger ledger_only_grows;`);
  const schema = `s_${Math.random().toString(36).slice(2)}`;
  await store.script(`
    create schema ${schema};
    create table ${schema}.plot (id int primary key, area float8);
    insert into ${schema}.plot select i, i from generate_series(1, 5) i;`);
  const options = sqlOptions(store, root);
  const forward = `alter table plot add column x int; ${about.isFailing === true ? 'select 1 / 0' : 'update plot set x = id'};`;
  const planned = await planSql(options, {
    schema,
    tables: ['plot'],
    forward,
    rollback: `${about.isConcurrent === true ? 'drop index plot_area;' : ''} alter table plot drop column x;`,
    ...(about.isConcurrent === true
      ? {
          files: { 'index.sql': `create index concurrently plot_area on ${schema}.plot (area)` },
          phases: [
            { file: 'index.sql', mode: 'nontransactional' },
            { file: 'forward.sql', mode: 'transactional' },
          ] as const,
        }
      : {}),
  });
  expect(planned.findings).toEqual([]);
  return { store, options, root, schema };
}

async function hasIndex({ store, schema }: Scene): Promise<boolean> {
  const rows = await store.query(sql`
    select from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = 'plot_area' and i.indisvalid`);
  return rows.length > 0;
}

/** Nothing is unfinished, every run has one receipt, all of it verifies offline, and no guard is left. */
async function expectSettled(s: Scene, runs = 1): Promise<void> {
  expect((await readStatus(s.options)).unfinished).toEqual([]);
  expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
  const [count] = await s.store.query(sql`
    select count(distinct run_id)::int as runs, (count(*) filter (where phase = 'closed'))::int as closed,
      (count(*) filter (where phase in ('committed', 'undone')))::int as decided,
      (select count(*)::int from pg_event_trigger) as guards, (select count(*)::int from varve.seen_ddl) as seen
    from varve.ledger`);
  expect(count).toEqual({ runs, closed: runs, decided: runs, guards: 0, seen: 0 });
}

/** A verb in a process of its own, which kills itself at this point. */
async function kill({ address }: Where, root: string, verb: string, point: string): Promise<void> {
  const ended = await startRun({ address, root, verb, id: PG_ID, point });
  expect(ended.signal, ended.stderr).toBe('SIGKILL');
}

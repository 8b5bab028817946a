import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
      expect((await child(where(), s.root, 'apply', point)).signal).toBe('SIGKILL');
      for (const lost of ['runs', 'evidence']) await rm(join(s.root, lost), { recursive: true });
      expect((await child(where(), s.root, 'recover')).status).toBe('recovered');
      await expectSettled(s);
    },
    60_000,
  );

  it.each(['F06_step_started', 'P04_beside', 'F07_step_done', 'P02_statement', 'F12_ledger_row'])(
    'an index built beside is taken away when its run was killed at %s, and kept when it goes on',
    async (point) => {
      for (const verb of ['recover', 'apply']) {
        await using folder = await migrationsFolder();
        await using store = await where().open();
        const s = await scene(store, folder.root, { isConcurrent: true });
        expect((await child(where(), s.root, 'apply', point)).signal).toBe('SIGKILL');
        expect((await child(where(), s.root, verb)).status).toBe(
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
      expect((await child(where(), s.root, 'rollback', point)).signal).toBe('SIGKILL');
      expect((await child(where(), s.root, 'recover')).status).toBe('recovered');
      expect((await readStatus(s.options)).unfinished).toEqual([]);
      expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
    },
    60_000,
  );
});

describe.skipIf(!isWanted('embedded'))('kind postgis killed in an embedded store', () => {
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
        await killAndEnd({ address: data, open: () => embeddedStore({ folder: data }) }, point, 'apply');
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    90_000,
  );
});

async function killAndEnd(where: Where, point: string, verb: string): Promise<void> {
  await using folder = await migrationsFolder();
  const first = await where.open();
  const s = await scene(first, folder.root, isOfUndo(point) ? { isFailing: true } : {});
  // An embedded store belongs to one process at a time.
  await first[Symbol.asyncDispose]();
  expect((await child(where, s.root, 'apply', point)).signal).toBe('SIGKILL');
  const ended = await child(where, s.root, verb);
  expect(ended.signal, ended.stderr).toBeNull();
  expect(ended.status, ended.stderr).not.toBe('indeterminate');
  await using store = await where.open();
  const found = { ...s, store, options: { ...s.options, store } };
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

async function child(
  where: Where,
  root: string,
  verb: string,
  point?: string,
): Promise<{ readonly signal: string | null; readonly status: string | undefined; readonly stderr: string }> {
  const script = fileURLToPath(new URL('run-process.ts', import.meta.url));
  const args = [script, where.address, root, verb, PG_ID, ...(point === undefined ? [] : [point])];
  const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  process_.stdout.on('data', (data) => (stdout += String(data)));
  process_.stderr.on('data', (data) => (stderr += String(data)));
  const signal = await new Promise<string | null>((resolve) =>
    process_.on('close', (_code, ended) => resolve(ended)),
  );
  const outcome = stdout === '' ? undefined : (JSON.parse(stdout) as { status: string });
  return { signal, status: outcome?.status, stderr: `${stderr} ${stdout}` };
}

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  applyMigration,
  recoverRuns,
  rollbackMigration,
  verifyReceipts,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { postgresDatabase, uniqueName, type PostgresDatabase } from '../harness/index.ts';
import { makeNotes, noteOptions, planNotes } from './document-bundle.ts';
import { migrationsFolder } from './fixture.ts';

const ROWS = 1_200;

let database: PostgresDatabase;
let store: Store;
let folder: Awaited<ReturnType<typeof migrationsFolder>>;
let options: RunnerOptions;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  await installCatalog(store, { files: await readCatalogFiles() });
  folder = await migrationsFolder();
  options = await noteOptions(store, folder.root);
}, 60_000);
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Runs a verb in a process of its own, which dies at a point; what it printed where it did not. */
async function killed(verb: string, id: string, point: string): Promise<NodeJS.Signals | null> {
  const argv = [
    '--conditions=@varve/source',
    'test/migration/run-process.ts',
    database.url,
    folder.root,
    verb,
    id,
    point,
  ];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals | null>();
  child.on('close', (_code, signal) => resolve(signal));
  return promise;
}

/** The server ends the session of a killed process when it looks; until then its lock is held. */
async function whenFree<T extends { readonly findings: readonly { readonly code: string }[] }>(
  work: () => Promise<T>,
): Promise<T> {
  for (const endsAtMs = Date.now() + 20_000; ;) {
    const outcome = await work();
    const isHeld = outcome.findings.some(({ code }) => code === 'run_in_progress');
    if (!isHeld || Date.now() > endsAtMs) return outcome;
    await sleep(100);
  }
}

async function notes(): Promise<string> {
  const schema = uniqueName('doc');
  await store.script(`create schema ${schema}`);
  await makeNotes(store, schema, ROWS);
  return schema;
}

async function digest(schema: string): Promise<string> {
  const [row] = await store.query<{ all: string }>(
    sql`select string_agg(id || body::text, ',' order by id) as "all" from ${sql.id(schema, 'note')}`,
  );
  return createHash('sha256')
    .update(row?.all ?? '')
    .digest('hex');
}

async function oldOnes(schema: string): Promise<number> {
  const [row] = await store.query<{ rows: number }>(
    sql`select count(*)::int as rows from ${sql.id(schema, 'note')} where not body ? 'schema_version'`,
  );
  return row?.rows ?? -1;
}

const QUARANTINED = 2;
const BEFORE = ['F05_baselined', 'D01_page_built', 'D03_batch_in_place', 'D05_settled', 'F12_ledger_row'];
const AFTER = ['F13_committed', 'D06_tidied'];

describe('F12 SIGKILL between any two states of a migration of documents', () => {
  it.each([...BEFORE, ...AFTER])(
    '%s: apply goes on, and the way back gives the baseline',
    async (point) => {
      const schema = await notes();
      const before = await digest(schema);
      const id = await planNotes(options, schema);
      expect(await killed('apply', id, point)).toBe('SIGKILL');
      const applied = await whenFree(() => applyMigration(options, id));
      expect(applied, JSON.stringify(applied.findings)).toMatchObject({ status: 'applied' });
      expect(await oldOnes(schema)).toBe(QUARANTINED);
      const back = await whenFree(() => rollbackMigration(options, id));
      expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
      expect(await digest(schema)).toBe(before);
    },
    120_000,
  );

  it.each(['D01_page_built', 'D03_batch_in_place', ...AFTER])(
    '%s: recover settles it',
    async (point) => {
      const schema = await notes();
      const before = await digest(schema);
      const id = await planNotes(options, schema);
      expect(await killed('apply', id, point)).toBe('SIGKILL');
      const recovered = await whenFree(() => recoverRuns(options));
      expect(recovered.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
      const isDone = AFTER.includes(point);
      expect(await oldOnes(schema)).toBe(isDone ? QUARANTINED : await oldOnes(schema));
      if (!isDone) expect(await digest(schema)).toBe(before);
      const applied = await whenFree(() => applyMigration(options, id));
      expect(applied, JSON.stringify(applied.findings)).toMatchObject({ status: 'applied' });
      expect(await oldOnes(schema)).toBe(QUARANTINED);
    },
    120_000,
  );

  it.each(['D03_batch_in_place', 'D05_settled', 'F13_committed'])(
    '%s on the way back: rollback goes on',
    async (point) => {
      const schema = await notes();
      const before = await digest(schema);
      const id = await planNotes(options, schema);
      expect(await whenFree(() => applyMigration(options, id))).toMatchObject({ status: 'applied' });
      expect(await killed('rollback', id, point)).toBe('SIGKILL');
      const back = await whenFree(() => rollbackMigration(options, id));
      expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
      expect(await digest(schema)).toBe(before);
      const verified = await verifyReceipts(options.root);
      expect(verified.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    },
    120_000,
  );
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  applyMigration,
  recoverRuns,
  rollbackMigration,
  verifyReceipts,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import type { Store } from '../../src/store/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { makeNotes, noteOptions, planNotes, type NotesIn } from './document-bundle.ts';
import { migrationsFolder } from './fixture.ts';
import { startRun, whenFree } from './start-run.ts';

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

/** Runs a verb in a process of its own, which dies at a point. */
async function killed(verb: string, id: string, point: string): Promise<string | null> {
  return (await startRun({ address: database.url, root: folder.root, verb, id, point })).signal;
}

const QUARANTINED = 2;
const BEFORE = ['F05_baselined', 'D01_page_built', 'D03_batch_in_place', 'D05_settled', 'F12_ledger_row'];
const AFTER = ['F13_committed', 'D06_tidied'];

describe.each<NotesIn>(['column', 'sqlite'])(
  'F12 SIGKILL between any two states of a migration of documents, %s',
  (where) => {
    it.each([...BEFORE, ...AFTER])(
      '%s: apply goes on, and the way back gives the baseline',
      async (point) => {
        const note = await makeNotes(options, where, ROWS);
        const before = await note.digest();
        const id = await planNotes(options, note.source);
        expect(await killed('apply', id, point)).toBe('SIGKILL');
        const applied = await whenFree(() => applyMigration(options, id));
        expect(applied, JSON.stringify(applied.findings)).toMatchObject({ status: 'applied' });
        expect(await note.old()).toBe(QUARANTINED);
        const back = await whenFree(() => rollbackMigration(options, id));
        expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
        expect(await note.digest()).toBe(before);
      },
      120_000,
    );

    it.each(['D01_page_built', 'D03_batch_in_place', ...AFTER])(
      '%s: recover settles it',
      async (point) => {
        const note = await makeNotes(options, where, ROWS);
        const before = await note.digest();
        const id = await planNotes(options, note.source);
        expect(await killed('apply', id, point)).toBe('SIGKILL');
        const recovered = await whenFree(() => recoverRuns(options));
        expect(recovered.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
        const isDone = AFTER.includes(point);
        if (isDone) expect(await note.old()).toBe(QUARANTINED);
        else expect(await note.digest()).toBe(before);
        const applied = await whenFree(() => applyMigration(options, id));
        expect(applied, JSON.stringify(applied.findings)).toMatchObject({ status: 'applied' });
        expect(await note.old()).toBe(QUARANTINED);
      },
      120_000,
    );

    it.each(['D03_batch_in_place', 'D05_settled', 'F13_committed'])(
      '%s on the way back: rollback goes on',
      async (point) => {
        const note = await makeNotes(options, where, ROWS);
        const before = await note.digest();
        const id = await planNotes(options, note.source);
        expect(await whenFree(() => applyMigration(options, id))).toMatchObject({ status: 'applied' });
        expect(await killed('rollback', id, point)).toBe('SIGKILL');
        const back = await whenFree(() => rollbackMigration(options, id));
        expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
        expect(await note.digest()).toBe(before);
        const verified = await verifyReceipts(options.root);
        expect(verified.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
      },
      120_000,
    );
  },
);

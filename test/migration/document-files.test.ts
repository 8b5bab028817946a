import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  applyMigration,
  planMigration,
  planRetire,
  recoverRuns,
  rehearseMigration,
  retireMigration,
  rollbackMigration,
  verifyReceipts,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import type { FileSource } from '../../src/migration/kind/document/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../../src/store/postgres/index.ts';
import type { Store } from '../../src/store/index.ts';
import { noteText } from '../document/note-type.ts';
import { postgresDatabase, uniqueName, type PostgresDatabase } from '../harness/index.ts';
import { approveRetire, makeNotes, noteOptions, planNotes } from './document-bundle.ts';
import { migrationsFolder } from './fixture.ts';
import { startRun, whenFree } from './start-run.ts';

const ROWS = 1_200;
const QUARANTINED = 2;

let database: PostgresDatabase;
let store: Store;
let folder: Awaited<ReturnType<typeof migrationsFolder>>;
let options: RunnerOptions;
let projectDir: string;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  await installCatalog(store, { files: await readCatalogFiles() });
  folder = await migrationsFolder();
  projectDir = dirname(folder.root);
  options = await noteOptions(store, folder.root);
}, 60_000);
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const at = (path: string): string => join(projectDir, path);

/** Lines of notes in a folder of their own. */
async function lines(ending = '.jsonl'): Promise<FileSource> {
  const name = uniqueName('notes');
  const text = Array.from({ length: ROWS }, (_, row) => noteText(row)).join('\n');
  await mkdir(at(name));
  await writeFile(at(`${name}/old${ending}`), ending.endsWith('.gz') ? gzipSync(text) : text);
  return { kind: 'files', from: `${name}/old${ending}`, to: `${name}/new${ending}` };
}

/** Names beside the documents, without the input and the output. */
async function beside({ from, to }: FileSource): Promise<readonly string[]> {
  const names = await readdir(dirname(at(from)));
  return names.filter((name) => ![from, to].some((path) => path.endsWith(`/${name}`))).toSorted();
}

async function applied(id: string): Promise<void> {
  const outcome = await applyMigration(options, id);
  expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({ status: 'applied' });
}

const receiptOf = async (id: string): Promise<unknown> =>
  JSON.parse(await readFile(join(options.root, 'document', id, 'receipts/run_receipt.json'), 'utf8'));

describe('migrations of documents in files', () => {
  it.each(['.jsonl', '.jsonl.gz'])(
    '%s: applied with a receipt, taken back, applied again',
    async (ending) => {
      const source = await lines(ending);
      const before = await readFile(at(source.from));
      const id = await planNotes(options, source);
      await applied(id);
      const out = await readFile(at(source.to));
      const text = ending.endsWith('.gz') ? gunzipSync(out).toString() : out.toString();
      const moved = text.trim().split('\n');
      expect(moved).toHaveLength(ROWS - QUARANTINED);
      expect(JSON.parse(moved[1] ?? '')).toMatchObject({ name: '1', schema_version: 2 });
      expect(await receiptOf(id)).toMatchObject({ migration_id: id, validation: { status: 'pass' } });
      expect(await beside(source)).toEqual([
        `new${ending}.beside.jsonl`,
        `new${ending}.quarantine.jsonl`,
        `new${ending}.run.json`,
      ]);
      const back = await rollbackMigration(options, id);
      expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
      expect(await receiptOf(id)).toMatchObject({ proof: { status: 'equal' } });
      expect(await beside(source)).toEqual([]);
      expect((await readFile(at(source.from))).equals(before)).toBe(true);
      await expect(readFile(at(source.to))).rejects.toMatchObject({ code: 'ENOENT' });
      await applied(id);
      const verified = await verifyReceipts(options.root);
      expect(verified.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    },
  );

  it('a folder keeps its paths', async () => {
    const name = uniqueName('notes');
    await mkdir(at(`${name}/in/deep`), { recursive: true });
    await writeFile(at(`${name}/in/a.json`), noteText(1));
    await writeFile(at(`${name}/in/deep/b.json`), noteText(2));
    const source: FileSource = { kind: 'files', from: `${name}/in`, to: `${name}/out` };
    const id = await planNotes(options, source);
    await applied(id);
    expect(JSON.parse(await readFile(at(`${name}/out/deep/b.json`), 'utf8'))).toMatchObject({ name: '2' });
    const back = await rollbackMigration(options, id);
    expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
    expect(await readdir(at(name))).toEqual(['in']);
  });

  it('M110 an output that somebody edited is not taken away', async () => {
    const source = await lines();
    const id = await planNotes(options, source);
    await applied(id);
    await appendFile(at(source.to), '\n{"schema_version":2,"name":"mine"}');
    const edited = await readFile(at(source.to));
    expect(await rollbackMigration(options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'document_edited', subject: source.to }],
    });
    expect((await readFile(at(source.to))).equals(edited)).toBe(true);
    await rename(at(source.to), at(`${source.to}.mine`));
    expect(await rollbackMigration(options, id)).toMatchObject({ status: 'applied' });
  });

  it('M109 retire ends the way back, with an approval, and leaves both files', async () => {
    const source = await lines();
    const id = await planNotes(options, source);
    await applied(id);
    expect(await planRetire(options, id)).toMatchObject({
      plan: { bound: { tables: [{ table: source.to, retire: ROWS }] } },
    });
    expect(await retireMigration(options, id)).toMatchObject({ findings: [{ code: 'approval_missing' }] });
    await approveRetire(options, id);
    expect(await retireMigration(options, id)).toMatchObject({ status: 'applied' });
    expect(await beside(source)).toEqual(['new.jsonl.beside.jsonl', 'new.jsonl.quarantine.jsonl']);
    expect(await rollbackMigration(options, id)).toMatchObject({ findings: [{ code: 'structure_missing' }] });
    expect(await readFile(at(source.to), 'utf8')).toContain('"schema_version":2');
  });

  it('M141 an output that was moved away says nothing of the next run to its place', async () => {
    const source = await lines();
    await applied(await planNotes(options, source));
    await rename(at(source.to), at(`${source.to}.mine`));
    const id = await planNotes(options, source);
    await appendFile(at(source.from), '\n{"draft":"no title"}');
    const reached: string[] = [];
    const watched: RunnerOptions = {
      ...options,
      fault: (point) => Promise.resolve(void reached.push(point)),
    };
    expect(await applyMigration(watched, id)).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'limit_exceeded', detail: { observed: QUARANTINED + 1 } }],
    });
    expect(reached).toContain('D01_page_built');
    expect(reached).not.toContain('D03_batch_in_place');
  });

  it('M141 more documents in quarantine than allowed: nothing takes a name, nothing is left', async () => {
    const source = await lines();
    const id = await planNotes(options, source);
    await appendFile(at(source.from), '\n{"draft":"no title"}');
    expect(await applyMigration(options, id)).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'limit_exceeded', detail: { declared: QUARANTINED, observed: QUARANTINED + 1 } }],
    });
    expect(await beside(source)).toEqual([]);
    await expect(readFile(at(source.to))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('M70 a document that would change where scope does not allow it is quarantined', async () => {
    const source = await lines();
    const id = await planNotes(options, source);
    const file = join(options.root, 'document', id, 'migration.yml');
    await writeFile(file, (await readFile(file, 'utf8')).replace(/\n *- \/name/u, ''));
    await planMigration(options, id);
    expect(await applyMigration(options, id)).toMatchObject({
      findings: [{ code: 'limit_exceeded', detail: { limit: 'max_document_quarantined' } }],
    });
  });

  it('an input that is written to while it is read, and an output that is in the way, are refused', async () => {
    const source = await lines();
    const id = await planNotes(options, source);
    const disturbed: RunnerOptions = {
      ...options,
      fault: async (point) => {
        if (point === 'D01_page_built') await appendFile(at(source.from), '\n{"title":"late"}');
      },
    };
    expect(await applyMigration(disturbed, id)).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'plan_changed', detail: { changed: 'the input' } }],
    });
    expect(await beside(source)).toEqual([]);
    await writeFile(at(source.to), 'mine');
    expect(await applyMigration(options, id)).toMatchObject({ findings: [{ code: 'files_exist' }] });
    expect(await readFile(at(source.to), 'utf8')).toBe('mine');
    await rm(at(source.to));
    const late = await planNotes(options, source);
    await applied(late);
    await expect(planNotes(options, source)).rejects.toThrow('files_exist');
  });

  it.each(['files', 'sqlite'] as const)(
    'R3 a rehearsal of %s goes there and back on copies alone',
    async (where) => {
      const note = where === 'sqlite' ? await makeNotes(options, 'sqlite', ROWS) : undefined;
      const source = note?.source ?? (await lines());
      const before = await note?.digest();
      const names = await readdir(projectDir);
      const id = await planNotes(options, source);
      const rehearsed = await rehearseMigration(options, id);
      expect(rehearsed, JSON.stringify(rehearsed.findings)).toMatchObject({
        status: 'rehearsed',
        receipt: { receipt: { rollback: { rung: 'R3' }, validation: { status: 'pass' } } },
      });
      expect(await note?.digest()).toBe(before);
      expect(await readdir(projectDir)).toEqual(
        [...names, 'migrations'].filter((name, i, all) => all.indexOf(name) === i).toSorted(),
      );
      if (source.kind === 'files') expect(await beside(source)).toEqual([]);
      await applied(id);
    },
    120_000,
  );
});

/** Runs a verb in a process of its own, which dies at a point. */
async function killed(verb: string, id: string, point: string): Promise<string | null> {
  return (await startRun({ address: database.url, root: folder.root, verb, id, point })).signal;
}

describe('F12 SIGKILL between any two states of a migration of files', () => {
  const BEFORE = ['F05_baselined', 'D01_page_built', 'D03_batch_in_place', 'D05_settled', 'F12_ledger_row'];
  const AFTER = ['F13_committed', 'D06_tidied'];
  let whole: Buffer;
  beforeAll(async () => {
    const source = await lines();
    await applied(await planNotes(options, source));
    whole = await readFile(at(source.to));
  });
  /** What does not name the run. */
  const nameless = (bytes: Buffer): string =>
    bytes
      .toString()
      .replaceAll(/"run":"[^"]*"/gu, '"run":""')
      .replaceAll(/"at":"[^"]*"/gu, '"at":""');

  it.each([...BEFORE, ...AFTER])(
    '%s: apply goes on to the same output, and back',
    async (point) => {
      const source = await lines();
      const id = await planNotes(options, source);
      expect(await killed('apply', id, point)).toBe('SIGKILL');
      const outcome = await whenFree(() => applyMigration(options, id));
      expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({ status: 'applied' });
      expect(nameless(await readFile(at(source.to)))).toBe(nameless(whole));
      const back = await whenFree(() => rollbackMigration(options, id));
      expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
      await expect(readFile(at(source.to))).rejects.toMatchObject({ code: 'ENOENT' });
    },
    60_000,
  );

  it.each(['D01_page_built', 'D03_batch_in_place', ...AFTER])(
    '%s: recover settles it',
    async (point) => {
      const source = await lines();
      const id = await planNotes(options, source);
      expect(await killed('apply', id, point)).toBe('SIGKILL');
      const recovered = await whenFree(() => recoverRuns(options));
      expect(recovered.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
      if (!AFTER.includes(point)) expect(await beside(source)).toEqual([]);
      await applied(id);
      expect(nameless(await readFile(at(source.to)))).toBe(nameless(whole));
    },
    60_000,
  );

  it.each(['D03_batch_in_place', 'D05_settled', 'F13_committed'])(
    '%s on the way back: rollback goes on',
    async (point) => {
      const source = await lines();
      const id = await planNotes(options, source);
      await applied(id);
      expect(await killed('rollback', id, point)).toBe('SIGKILL');
      const back = await whenFree(() => rollbackMigration(options, id));
      expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
      expect(await beside(source)).toEqual([]);
    },
    60_000,
  );

  it('D03_batch_in_place on the way back: recover puts the output back', async () => {
    const source = await lines();
    const id = await planNotes(options, source);
    await applied(id);
    const out = await readFile(at(source.to));
    expect(await killed('rollback', id, 'D03_batch_in_place')).toBe('SIGKILL');
    const recovered = await whenFree(() => recoverRuns(options));
    expect(recovered.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect((await readFile(at(source.to))).equals(out)).toBe(true);
    expect(await rollbackMigration(options, id)).toMatchObject({ status: 'applied' });
  }, 60_000);
});

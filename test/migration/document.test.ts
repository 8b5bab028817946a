import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  applyMigration,
  planMigration,
  planRetire,
  retireMigration,
  rollbackMigration,
  verifyReceipts,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import {
  approveRetire,
  makeNotes,
  noteOptions,
  planNotes,
  type Notes,
  type NotesIn,
} from './document-bundle.ts';
import { migrationsFolder } from './fixture.ts';

const ROWS = 1_500;

function suite(given: StoreUnderTest, where: NotesIn): void {
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let options: RunnerOptions;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
    options = await noteOptions(given.store, folder.root);
  }, 60_000);
  afterAll(() => folder[Symbol.asyncDispose]());

  const notes = (): Promise<Notes> => makeNotes(options, where, ROWS);
  const artifact = async (id: string, path: string): Promise<unknown> =>
    JSON.parse(await readFile(join(options.root, 'document', id, path), 'utf8'));

  it('M140 a plan counts every document and writes a bundle that allows as much; M70 it is held to', async () => {
    const note = await notes();
    const id = await planNotes(options, note.source);
    expect(id).toMatch(/^DOC-MIG-/u);
    const plan = await artifact(id, 'plan.json');
    expect(plan).toMatchObject({
      bound: {
        limits: { max_document_count: 1_122, max_document_quarantined: 3 },
        scope: { allowed_documents: [note.place], allowed_paths: ['/draft', '/name', '/title'] },
        work: { type: 'note', to: '2', column: { type: where === 'column' ? 'jsonb' : 'text' } },
      },
      shown: { coverage: { documents: ROWS, byVersion: { '2': 375 } } },
    });
    const again = await planMigration(options, id);
    expect(again).toMatchObject({ status: 'planned', findings: [] });
  });

  it('apply puts all in place with a receipt, observe counts it, rollback gives back the baseline, twice', async () => {
    const note = await notes();
    const before = await note.digest();
    const id = await planNotes(options, note.source);
    const applied = await applyMigration(options, id);
    expect(applied, JSON.stringify(applied.findings)).toMatchObject({ status: 'applied' });
    expect(await note.one(1)).toMatchObject({ name: '1', schema_version: 2 });
    expect(await note.one(5)).toEqual({ draft: 5 });
    expect(await artifact(id, 'diffs/summary.json')).toMatchObject({
      verdicts: [
        { limit: 'max_document_count', declared: 1_122, observed: 1_122, status: 'pass' },
        { limit: 'max_document_quarantined', observed: 3 },
        { limit: 'max_path_lossy', observed: 0 },
        { limit: 'max_path_assumed', observed: 0 },
      ],
    });
    const first = await applyMigration(options, id);
    expect(first, JSON.stringify(first.findings)).toMatchObject({ status: 'applied' });
    const back = await rollbackMigration(options, id);
    expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
    expect(await artifact(id, 'receipts/run_receipt.json')).toMatchObject({
      proof: { status: 'equal' },
    });
    expect(await note.digest()).toBe(before);
    const verified = await verifyReceipts(options.root);
    expect(verified.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it('M26, M141 counts above a limit refuse before anything is put in place', async () => {
    const note = await notes();
    const id = await planNotes(options, note.source);
    await note.set(7, '{"draft":"no title any more"}');
    const before = await note.digest();
    const outcome = await applyMigration(options, id);
    expect(outcome).toMatchObject({
      status: 'rolled_back',
      findings: [
        { code: 'limit_exceeded', detail: { limit: 'max_document_quarantined', declared: 3, observed: 4 } },
      ],
    });
    expect(await note.digest()).toBe(before);
    expect(await note.built()).toBe(0);
  });

  it('M110 a document edited since is brought back by its steps where nothing is lost, and new ones are kept', async () => {
    const note = await notes();
    const id = await planNotes(options, note.source);
    const first = await applyMigration(options, id);
    expect(first, JSON.stringify(first.findings)).toMatchObject({ status: 'applied' });
    const moved = (await note.one(1)) as object;
    await note.set(1, JSON.stringify({ ...moved, name: 'edited' }));
    await note.set(ROWS + 1, '{"schema_version":2,"name":"new"}');
    const back = await rollbackMigration(options, id);
    expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
    expect(await note.one(1)).toMatchObject({ title: 'edited', draft: 1 });
    expect(await note.one(2)).toEqual({ title: '2', draft: 2, context: { by: 1 } });
    expect(await note.one(ROWS + 1)).toEqual({ schema_version: 2, name: 'new' });
    expect(await artifact(id, 'receipts/run_receipt.json')).toMatchObject({
      proof: { status: 'equal_except_new_writes', new_writes: [{ rows: 2 }] },
    });
  });

  it('M110 a document that no lossless way brings back refuses the way back, with its key', async () => {
    const note = await notes();
    const id = await planNotes(options, note.source);
    const first = await applyMigration(options, id);
    expect(first, JSON.stringify(first.findings)).toMatchObject({ status: 'applied' });
    const after = await note.digest();
    await note.set(1, '{"schema_version":2}');
    await note.set(2, '{"schema_version":"nonsense"}');
    const back = await rollbackMigration(options, id);
    expect(back).toMatchObject({
      status: 'refused',
      findings: [
        {
          code: 'document_edited',
          detail: { keys: expect.arrayContaining([where === 'column' ? '["2"]' : '[2]']) as unknown },
        },
      ],
    });
    expect(await note.digest()).not.toBe(after);
    expect(await note.one(3)).toMatchObject({ schema_version: 2 });
  });

  it('M109 retire lets the originals go, with an approval', async () => {
    const note = await notes();
    const id = await planNotes(options, note.source);
    const first = await applyMigration(options, id);
    expect(first, JSON.stringify(first.findings)).toMatchObject({ status: 'applied' });
    const planned = await planRetire(options, id);
    expect(planned).toMatchObject({
      status: 'planned',
      plan: { bound: { tables: [{ table: note.object, retire: 1_122 }] } },
    });
    expect(await retireMigration(options, id)).toMatchObject({ findings: [{ code: 'approval_missing' }] });
    await approveRetire(options, id);
    expect(await retireMigration(options, id)).toMatchObject({ status: 'applied' });
    expect(await rollbackMigration(options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'structure_missing' }],
    });
  });

  if (where === 'column') {
    it('several connections build what one would, and it goes back', async () => {
      const note = await notes();
      const before = await note.digest();
      const id = await planNotes(options, note.source, { connections: 3 });
      const applied = await applyMigration(options, id);
      expect(applied, JSON.stringify(applied.findings)).toMatchObject({ status: 'applied' });
      expect(await note.old()).toBe(3);
      expect(await rollbackMigration(options, id)).toMatchObject({ status: 'applied' });
      expect(await note.digest()).toBe(before);
      const file = join(options.root, 'document', id, 'forward.json');
      await writeFile(file, (await readFile(file, 'utf8')).replace('"connections":3', '"connections":99'));
      expect(await planMigration(options, id)).toMatchObject({
        findings: [{ code: 'bundle_invalid', detail: { reason: 'connections' } }],
      });
    });
  }

  it('M112 a run that cannot be decided is taken back in batches, around what others wrote', async () => {
    const note = await notes();
    const before = await note.one(2);
    const id = await planNotes(options, note.source);
    let edited = false;
    const failing: RunnerOptions = {
      ...options,
      fault: async (point) => {
        if (point === 'D03_batch_in_place' && !edited) {
          edited = true;
          await note.set(1, '{"schema_version":2,"name":"mine"}');
        }
        if (point !== 'D05_settled') return;
        throw new Error('as if the decision failed');
      },
    };
    const outcome = await applyMigration(failing, id);
    expect(outcome).toMatchObject({ status: 'rolled_back' });
    expect(await note.one(2)).toEqual(before);
    expect(await note.one(1)).toEqual({ schema_version: 2, name: 'mine' });
    expect(await note.built()).toBe(0);
    expect(await artifact(id, 'receipts/run_receipt.json')).toMatchObject({
      proof: { status: 'equal_except_new_writes', new_writes: [{ rows: 1 }] },
    });
  });

  it('tells of triggers that run at each document', async () => {
    const note = await notes();
    await note.script(
      where === 'sqlite'
        ? 'create trigger seen after update on note begin select 1; end'
        : `create function seen() returns trigger language plpgsql as 'begin return new; end';
           create trigger seen before update on note for each row execute function seen()`,
    );
    const id = await planNotes(options, note.source);
    expect(await planMigration(options, id)).toMatchObject({
      status: 'planned',
      findings: [{ code: 'document_triggers', severity: 'warning', detail: { triggers: ['seen'] } }],
    });
  });

  it('M15, M70 refuses documents that scope does not name, and a type that is no longer the one that was planned', async () => {
    const note = await notes();
    const id = await planNotes(options, note.source);
    const edit = async (path: string, from: RegExp, to: string): Promise<unknown> => {
      const file = join(options.root, 'document', id, path);
      await writeFile(file, (await readFile(file, 'utf8')).replace(from, to));
      return planMigration(options, id);
    };
    expect(
      await edit('migration.yml', /- \S+note\.body/u, `- ${note.place.replace('body', 'other')}`),
    ).toMatchObject({
      findings: [{ code: 'scope_violation' }],
    });
    expect(
      await edit('forward.json', /"type_digest":"sha256:.{8}/u, '"type_digest":"sha256:00000000'),
    ).toMatchObject({
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'scope_violation' }),
        expect.objectContaining({ code: 'plan_changed' }),
      ]) as unknown,
    });
  });
}

withEmbedded('migrations of documents in a column', (given) => suite(given, 'column'));
withPostgres('migrations of documents in a column', 18, (given) => suite(given, 'column'));
withEmbedded('migrations of documents in SQLite', (given) => suite(given, 'sqlite'));
withPostgres('migrations of documents in SQLite', 18, (given) => suite(given, 'sqlite'));

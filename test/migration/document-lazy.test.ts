import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sqlStoreOf } from '../../src/cli/document-store.ts';
import {
  postgresTable,
  readTableLazily,
  sqliteTable,
  type GovernedTable,
} from '../../src/document/edge/index.ts';
import {
  applyMigration,
  recoverRuns,
  rollbackMigration,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { noteModel } from '../document/note-type.ts';
import { withPostgres, type StoreUnderTest } from '../harness/index.ts';
import type { Source } from '../../src/migration/kind/document/index.ts';
import { makeNotes, noteOptions, planNotes, type Notes, type NotesIn } from './document-bundle.ts';
import { migrationsFolder } from './fixture.ts';

const ROWS = 300;

/** Notes of which a lazy migration is planned. */
interface Lazy {
  readonly note: Notes;
  readonly id: string;
  readonly table: GovernedTable;
  readonly before: string;
}

function suite(given: StoreUnderTest, where: NotesIn): void {
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let options: RunnerOptions;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
    options = await noteOptions(given.store, folder.root);
  }, 60_000);
  afterAll(() => folder[Symbol.asyncDispose]());

  /** Notes of which a lazy migration is planned. */
  async function notes(): Promise<Lazy> {
    const note = await makeNotes(options, where, ROWS);
    const id = await planNotes(options, note.source, { isLazy: true });
    const table = await tableOf(note.source);
    return { note, id, table, before: await note.digest() };
  }
  const tableOf = async (source: Source): Promise<GovernedTable> => {
    if (source.kind === 'files') throw new TypeError('a file is not read lazily');
    const opened =
      source.kind === 'sqlite'
        ? sqliteTable({ ...source, file: join(dirname(options.root), source.file), named: source.file })
        : await postgresTable(sqlStoreOf(given.store), {
            schema: source.table.split('.')[0] ?? '',
            table: 'note',
            column: 'body',
          });
    if (opened.status === 'refused') throw new TypeError(JSON.stringify(opened));
    return opened.value;
  };
  const opened = (id: string): Promise<void> =>
    expect(applyMigration(options, id)).rejects.toMatchObject({
      code: 'interrupted',
      detail: { reason: 'open_for_readers' },
    });

  it('D24 only what was read is written, the last sweep closes it, and the way back gives the baseline', async () => {
    const { note, id, table, before } = await notes();
    const model = noteModel();
    expect(await readTableLazily(model, table, '[1]')).toMatchObject({ isWritten: false });
    expect(await note.digest()).toBe(before);
    await opened(id);
    const old = await note.old();
    const read = await readTableLazily(model, table, '[1]');
    expect(read).toMatchObject({ isWritten: true, outcome: { status: 'migrated', from: '1', to: '2' } });
    expect(await readTableLazily(model, table, '[1]')).toMatchObject({ outcome: { status: 'current' } });
    expect(await readTableLazily(model, table, '[5]')).toMatchObject({ outcome: { status: 'refused' } });
    expect(await readTableLazily(model, table, '[100000]')).toBeUndefined();
    expect(await note.old()).toBe(old - 1);
    const swept = await applyMigration(options, id);
    expect(swept, JSON.stringify(swept.findings)).toMatchObject({ status: 'applied' });
    expect(await note.old()).toBe(1);
    const back = await rollbackMigration(options, id);
    expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
    expect(await note.digest()).toBe(before);
  }, 60_000);

  it('F12 a document that changes between read and write is read again, three times, and then returned unwritten', async () => {
    const { note, id, table } = await notes();
    await opened(id);
    let reads = 0;
    const disturbed = (times: number): GovernedTable => ({
      ...table,
      read: async (key) => {
        const stored = await table.read(key);
        reads += 1;
        if (reads <= times) {
          await note.set(7, JSON.stringify({ title: `t${reads}` }));
        }
        return stored;
      },
    });
    expect(await readTableLazily(noteModel(), disturbed(3), '[7]')).toMatchObject({ isWritten: false });
    expect(reads).toBe(3);
    reads = 0;
    expect(await readTableLazily(noteModel(), disturbed(2), '[7]')).toMatchObject({ isWritten: true });
    expect(reads).toBe(3);
    expect(await note.one(7)).toMatchObject({ name: 't2' });
    expect(await applyMigration(options, id)).toMatchObject({ status: 'applied' });
  }, 60_000);

  it('a reader of another type writes nothing, and a run that is taken back gives back what readers wrote', async () => {
    const { note, id, table, before } = await notes();
    await opened(id);
    const other = noteModel({ provenance: 'beside' });
    expect(await readTableLazily(other, table, '[1]')).toMatchObject({ isWritten: false });
    expect(await readTableLazily(noteModel(), table, '[1]')).toMatchObject({ isWritten: true });
    expect(await note.digest()).not.toBe(before);
    const recovered = await recoverRuns(options);
    expect(recovered.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(await note.digest()).toBe(before);
    expect(await readTableLazily(noteModel(), table, '[1]')).toMatchObject({ isWritten: false });
  }, 60_000);
}

withPostgres('migrations of documents in a column that readers carry out', 18, (given) =>
  suite(given, 'column'),
);
withPostgres('migrations of documents in SQLite that readers carry out', 18, (given) =>
  suite(given, 'sqlite'),
);

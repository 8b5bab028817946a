import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sqlStoreOf } from '../../src/cli/document-store.ts';
import { postgresTable, readTableLazily, type GovernedTable } from '../../src/document/edge/index.ts';
import {
  applyMigration,
  recoverRuns,
  rollbackMigration,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { noteModel } from '../document/note-type.ts';
import { withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { makeNotes, noteOptions, planNotes } from './document-bundle.ts';
import { migrationsFolder } from './fixture.ts';

const ROWS = 300;

function suite(given: StoreUnderTest): void {
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let options: RunnerOptions;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
    options = await noteOptions(given.store, folder.root);
  }, 60_000);
  afterAll(() => folder[Symbol.asyncDispose]());

  interface Notes {
    readonly schema: string;
    readonly id: string;
    readonly table: GovernedTable;
    readonly before: string;
  }

  /** Notes of which a lazy migration is planned. */
  async function notes(): Promise<Notes> {
    const schema = await given.freshSchema();
    await makeNotes(given.store, schema, ROWS);
    const id = await planNotes(options, schema, { isLazy: true });
    const table = await postgresTable(sqlStoreOf(given.store), { schema, table: 'note', column: 'body' });
    if (table.status === 'refused') throw new TypeError(JSON.stringify(table));
    return { schema, id, table: table.value, before: await digest(schema) };
  }

  async function digest(schema: string): Promise<string> {
    const [row] = await given.store.query<{ all: string }>(
      sql`select string_agg(id || body::text, ',' order by id) as "all" from ${sql.id(schema, 'note')}`,
    );
    return createHash('sha256')
      .update(row?.all ?? '')
      .digest('hex');
  }
  const oldOnes = async (schema: string): Promise<number> => {
    const [row] = await given.store.query<{ rows: number }>(
      sql`select count(*)::int as rows from ${sql.id(schema, 'note')} where not body ? 'schema_version'`,
    );
    return row?.rows ?? -1;
  };
  const opened = (id: string): Promise<void> =>
    expect(applyMigration(options, id)).rejects.toMatchObject({
      code: 'interrupted',
      detail: { reason: 'open_for_readers' },
    });

  it('D24 only what was read is written, the last sweep closes it, and the way back gives the baseline', async () => {
    const { schema, id, table, before } = await notes();
    const model = noteModel();
    expect(await readTableLazily(model, table, '[1]')).toMatchObject({ isWritten: false });
    expect(await digest(schema)).toBe(before);
    await opened(id);
    const old = await oldOnes(schema);
    const read = await readTableLazily(model, table, '[1]');
    expect(read).toMatchObject({ isWritten: true, outcome: { status: 'migrated', from: '1', to: '2' } });
    expect(await readTableLazily(model, table, '[1]')).toMatchObject({ outcome: { status: 'current' } });
    expect(await readTableLazily(model, table, '[5]')).toMatchObject({ outcome: { status: 'refused' } });
    expect(await readTableLazily(model, table, '[100000]')).toBeUndefined();
    expect(await oldOnes(schema)).toBe(old - 1);
    const swept = await applyMigration(options, id);
    expect(swept, JSON.stringify(swept.findings)).toMatchObject({ status: 'applied' });
    expect(await oldOnes(schema)).toBe(1);
    const back = await rollbackMigration(options, id);
    expect(back, JSON.stringify(back.findings)).toMatchObject({ status: 'applied' });
    expect(await digest(schema)).toBe(before);
  }, 60_000);

  it('F12 a document that changes between read and write is read again, three times, and then returned unwritten', async () => {
    const { schema, id, table } = await notes();
    await opened(id);
    let reads = 0;
    const disturbed = (times: number): GovernedTable => ({
      ...table,
      read: async (key) => {
        const stored = await table.read(key);
        reads += 1;
        if (reads <= times) {
          await given.store.execute(sql`
            update ${sql.id(schema, 'note')} set body = jsonb_build_object('title', ${`t${reads}`}::text) where id = 7`);
        }
        return stored;
      },
    });
    expect(await readTableLazily(noteModel(), disturbed(3), '[7]')).toMatchObject({ isWritten: false });
    expect(reads).toBe(3);
    reads = 0;
    expect(await readTableLazily(noteModel(), disturbed(2), '[7]')).toMatchObject({ isWritten: true });
    expect(reads).toBe(3);
    const [row] = await given.store.query(
      sql`select body->>'name' as name from ${sql.id(schema, 'note')} where id = 7`,
    );
    expect(row).toEqual({ name: 't2' });
    expect(await applyMigration(options, id)).toMatchObject({ status: 'applied' });
  }, 60_000);

  it('a reader of another type writes nothing, and a run that is taken back gives back what readers wrote', async () => {
    const { schema, id, table, before } = await notes();
    await opened(id);
    const other = noteModel({ provenance: 'beside' });
    expect(await readTableLazily(other, table, '[1]')).toMatchObject({ isWritten: false });
    expect(await readTableLazily(noteModel(), table, '[1]')).toMatchObject({ isWritten: true });
    expect(await digest(schema)).not.toBe(before);
    const recovered = await recoverRuns(options);
    expect(recovered.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(await digest(schema)).toBe(before);
    expect(await readTableLazily(noteModel(), table, '[1]')).toMatchObject({ isWritten: false });
  }, 60_000);
}

withPostgres('migrations of documents that readers carry out', 18, suite);

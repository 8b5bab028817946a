import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  applyMigration,
  listReceipts,
  readStatus,
  rehearseMigration,
  rollbackMigration,
  type RehearsalOutcome,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { migrationsFolder, plannedDouble, runnerOptions } from './fixture.ts';
import { planSql, sqlOptions, type SqlBundle } from './sql-bundle.ts';

const checksOf = (outcome: RehearsalOutcome): unknown =>
  outcome.status === 'refused'
    ? outcome.findings
    : Object.fromEntries(outcome.receipt.receipt.validation.checks.map(({ name, status }) => [name, status]));

function suite(given: StoreUnderTest): void {
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let options: RunnerOptions;
  let count = 0;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
    options = sqlOptions(given.store, folder.root);
  }, 60_000);
  afterAll(() => folder[Symbol.asyncDispose]());

  async function planned(
    about: Pick<SqlBundle, 'forward' | 'rollback'>,
  ): Promise<{ readonly id: string; readonly schema: string }> {
    const schema = await given.freshSchema();
    await given.store.script(`
      create table ${schema}.plot (id int primary key, area float8);
      insert into ${schema}.plot select i, i from generate_series(1, 5) i;`);
    count += 1;
    const id = `PG-MIG-2026-07-01-${String(count).padStart(2, '0')}`;
    const outcome = await planSql(options, { ...about, id, schema, tables: ['plot'] });
    expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'planned' });
    return { id, schema };
  }

  const ledgerLength = async (): Promise<unknown> =>
    (await given.store.query(sql`select count(*)::int4 as lines from varve.ledger`))[0]?.['lines'];

  const stateOf = async (schema: string): Promise<unknown> =>
    given.store.query(sql`
      select (select jsonb_agg(t order by id) from ${sql.id(schema, 'plot')} t) as rows,
        (select jsonb_agg(attname order by attnum) from pg_attribute
          where attrelid = ${`${schema}.plot`}::regclass and attnum > 0) as columns`);

  it('M105 M106 M107 M38 a way there and back that holds is R3, and the target is as it was', async () => {
    const { id, schema } = await planned({
      forward: 'alter table plot add column note text;\nupdate plot set note = $$none$$;',
      rollback: 'alter table plot drop column note;',
    });
    const [before, lines] = [await stateOf(schema), await ledgerLength()];
    const outcome = await rehearseMigration(options, id);
    expect(checksOf(outcome), JSON.stringify(outcome)).toEqual({
      fingerprint_equals_target: 'pass',
      forward: 'pass',
      rollback: 'pass',
      equal_to_pre: 'pass',
      second_forward: 'pass',
      equal_to_first_post: 'pass',
      new_writes: 'pass',
      forward_twice: 'pass',
    });
    expect(outcome).toMatchObject({
      status: 'rehearsed',
      receipt: {
        receipt: {
          direction: 'rehearsal',
          rollback: { rung: 'R4' },
          // One row of five was changed, and one came.
          probe: { tables: [{ table: `${schema}.plot`, rows: 2 }], way_back: 'applied' },
          forward_twice: 'error',
          validation: { status: 'pass' },
        },
      },
    });
    expect(await stateOf(schema)).toEqual(before);
    expect(await ledgerLength()).toBe(lines);
    expect(await given.store.dropDeadCopies()).toBe(0);
    expect((await listReceipts(folder.root)).some(({ migrationId }) => migrationId === id)).toBe(false);
    const { migrations } = await readStatus(options);
    expect(migrations.find(({ migrationId }) => migrationId === id)?.status).toBe('pending');
    // Later receipts of the same files say on which rung the way back stands.
    expect(await applyMigration(options, id)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { rollback: { rung: 'R4' } } },
    });
    expect(await rehearseMigration(options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'rehearsal_impossible', detail: { reason: 'applied' } }],
    });
    expect(await rollbackMigration(options, id)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { rollback: { rung: 'R4' } } },
    });
  }, 180_000);

  it('M105 M108 R4 a way back that rows written since make fail is found on the copy, of whatever class', async () => {
    const { id, schema } = await planned({
      forward: 'alter table plot add column code text; alter table plot alter column code type varchar(40);',
      rollback: `alter table plot alter column code type varchar(3); alter table plot drop column code;`,
    });
    const before = await stateOf(schema);
    const outcome = await rehearseMigration(options, id);
    expect(checksOf(outcome), JSON.stringify(outcome)).toMatchObject({
      equal_to_pre: 'pass',
      equal_to_first_post: 'pass',
      new_writes: 'fail',
    });
    expect(outcome).toMatchObject({
      status: 'failed',
      findings: expect.arrayContaining([
        expect.objectContaining({
          code: 'rehearsal_failed',
          detail: { check: 'new_writes', reason: 'way_back_refused', class: 'lossy_on_new_writes' },
        }),
      ]),
      receipt: { receipt: { rollback: { rung: null }, probe: { way_back: 'refused' } } },
    });
    expect(await stateOf(schema)).toEqual(before);
  }, 180_000);

  it('M108 R4 rows that the probe wrote are not held to the limits of the bundle', async () => {
    const schema = await given.freshSchema();
    const id = 'PG-MIG-2026-07-03-01';
    await planSql(options, {
      id,
      schema,
      tables: ['made'],
      limits: { max_row_backfill: 3 },
      forward: 'create table made (id int primary key); insert into made values (1), (2), (3);',
      rollback: 'drop table made;',
    });
    const outcome = await rehearseMigration(options, id);
    expect(outcome, JSON.stringify(outcome)).toMatchObject({
      status: 'rehearsed',
      receipt: {
        receipt: { rollback: { rung: 'R4' }, probe: { tables: [{ rows: 1 }], way_back: 'applied' } },
      },
    });
  }, 180_000);

  it('M108 R4 a lossless way back keeps every row that came since, and a table that takes none stays at R3', async () => {
    const { id, schema } = await planned({
      forward: 'create index plot_area on plot (area);',
      rollback: 'drop index plot_area;',
    });
    expect(await rehearseMigration(options, id)).toMatchObject({
      status: 'rehearsed',
      receipt: { receipt: { rollback: { class: 'lossless', rung: 'R4' } } },
    });
    await given.store.script(`alter table ${schema}.plot drop constraint plot_pkey`);
    await planSql(options, {
      id: 'PG-MIG-2026-07-02-01',
      schema,
      tables: ['plot'],
      forward: 'create index plot_area on plot (area);',
      rollback: 'drop index plot_area;',
    });
    expect(await rehearseMigration(options, 'PG-MIG-2026-07-02-01')).toMatchObject({
      status: 'rehearsed',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'new_writes_unknown', severity: 'info', subject: `${schema}.plot` }),
      ]),
      receipt: { receipt: { rollback: { class: 'lossless', rung: 'R3' } } },
    });
  }, 240_000);

  it('M106 F19 a way back that gives the shape without the rows fails, and nothing stands for it later', async () => {
    const { id, schema } = await planned({
      forward: 'alter table plot drop column area;',
      rollback: 'alter table plot add column area float8;',
    });
    const before = await stateOf(schema);
    const outcome = await rehearseMigration(options, id);
    expect(outcome).toMatchObject({
      status: 'failed',
      receipt: { receipt: { rollback: { rung: null }, validation: { status: 'fail' } } },
    });
    expect(checksOf(outcome)).toMatchObject({
      forward: 'pass',
      rollback: 'fail',
      equal_to_pre: 'fail',
      second_forward: 'not_run',
      forward_twice: 'not_run',
    });
    expect(await stateOf(schema)).toEqual(before);
  }, 180_000);

  it('M131 forward twice in a row is told: no more change, or more, which wants a review', async () => {
    const same = await planned({
      forward: 'update plot set area = 7 where area <> 7;',
      rollback: 'update plot set area = id;',
    });
    expect(await rehearseMigration(options, same.id)).toMatchObject({
      status: 'rehearsed',
      receipt: { receipt: { forward_twice: 'no_op' } },
    });
    const more = await planned({
      forward: 'update plot set area = area + 1;',
      rollback: 'update plot set area = area - 1;',
    });
    expect(await rehearseMigration(options, more.id)).toMatchObject({
      status: 'rehearsed',
      findings: expect.arrayContaining([
        expect.objectContaining({ code: 'second_run_changes', severity: 'review' }),
      ]),
      receipt: { receipt: { forward_twice: 'second_change', rollback: { rung: 'R4' } } },
    });
  }, 240_000);

  it('M105 a receipt that was made by hand, or of other files, gives no rung', async () => {
    const { id } = await planned({
      forward: 'update plot set area = 7 where area <> 7;',
      rollback: 'update plot set area = id;',
    });
    await rehearseMigration(options, id);
    const path = join(folder.root, 'postgis', id, 'receipts/rehearsal_receipt.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('user:test', 'user:mallory'));
    expect(await applyMigration(options, id)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { rollback: { rung: null } } },
    });
  }, 180_000);
}

withEmbedded('rehearsal', suite);
withPostgres('rehearsal', 18, suite);

withPostgres('rehearsal where others are connected', 18, (given) => {
  it('M107 is refused with the number of those who are in the way, and leaves nothing', async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    await using folder = await migrationsFolder();
    const options = runnerOptions(given.store, folder.root);
    const { id } = await plannedDouble(options, await given.freshSchema());
    await using other = await postgresStore({ url: given.url() });
    await other.query(sql`select 1`);
    expect(await rehearseMigration(options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'copy_blocked', detail: { sessions: 1 } }],
    });
    // Of this database: other tests make copies on the same server.
    const copies = await given.store.query(sql`select from pg_database
      where starts_with(datname, 'varve_copy_' || left(encode(sha256(convert_to(current_database(), 'UTF8')), 'hex'), 8))`);
    expect(copies).toEqual([]);
  }, 120_000);
});

withPostgres('rehearsal of a kind that foresees its rows', 18, (given) => {
  it('M107 there, back and there again; a second forward is another plan there', async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    await using folder = await migrationsFolder();
    const options = runnerOptions(given.store, folder.root);
    const { id } = await plannedDouble(options, await given.freshSchema());
    const outcome = await rehearseMigration(options, id);
    expect(checksOf(outcome), JSON.stringify(outcome)).toMatchObject({
      equal_to_pre: 'pass',
      equal_to_first_post: 'pass',
      forward_twice: 'not_run',
    });
    expect(outcome).toMatchObject({
      status: 'rehearsed',
      receipt: { receipt: { rollback: { rung: 'R3' } } },
    });
  }, 180_000);
});

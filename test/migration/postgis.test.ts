import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyAll } from '../../src/evidence/index.ts';
import {
  applyMigration,
  DEFAULT_SETTINGS,
  folderReader,
  readStatus,
  rollbackMigration,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { columnsOf, migrationsFolder } from './fixture.ts';
import { PG_ID, planSql, sqlOptions } from './sql-bundle.ts';

function suite(given: StoreUnderTest): void {
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let options: RunnerOptions;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
    options = sqlOptions(given.store, folder.root);
  }, 60_000);
  afterAll(() => folder[Symbol.asyncDispose]());

  it('runs a plain migration there and back, with a receipt for each', async () => {
    const schema = await given.freshSchema();
    await given.store.script(`
      create table ${schema}.plot (id int primary key, area float8);
      insert into ${schema}.plot select i, i from generate_series(1, 5) i;`);
    const planned = await planSql(options, {
      schema,
      tables: ['plot'],
      forward: `
        -- a column, and what is in it
        alter table plot add column perimeter float8;
        update plot set perimeter = 4 * sqrt(area);
        create index plot_area on plot (area);`,
      rollback: `drop index plot_area; alter table plot drop column perimeter;`,
    });
    expect(planned).toMatchObject({ status: 'planned', findings: [] });
    const applied = await applyMigration(options, PG_ID);
    expect(applied.findings).toEqual([]);
    expect(applied).toMatchObject({
      status: 'applied',
      enforcement: { level: 'guarded', role: 'none' },
      receipt: { receipt: { validation: { status: 'pass' }, outcome: 'committed' } },
    });
    expect(await columnsOf(given.store, `${schema}.plot`)).toEqual(['area', 'id', 'perimeter']);
    const back = await rollbackMigration(options, PG_ID);
    expect(back).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await columnsOf(given.store, `${schema}.plot`)).toEqual(['area', 'id']);
    expect(await given.store.query(sql`select evtname from pg_event_trigger`)).toEqual([]);
    expect((await readStatus(options)).unfinished).toEqual([]);
    expect((await verifyAll(folderReader(folder.root))).findings).toEqual([]);
  }, 60_000);

  it('M24 counts two indexes of a new table with long values, on the way there and back', async () => {
    const schema = await given.freshSchema();
    const id = 'PG-MIG-2026-05-13-01';
    const planned = await planSql(options, {
      id,
      schema,
      tables: ['site'],
      limits: { max_table_count_touched: 1, max_index_count_delta: 2, max_row_backfill: 3 },
      forward: `
        create table site (id int primary key, name text not null);
        insert into site select i, 'site ' || i from generate_series(1, 3) i;
        create index site_name on site (name);`,
      rollback: 'drop table site;',
    });
    expect(planned).toMatchObject({ status: 'planned', findings: [] });
    expect(await applyMigration(options, id)).toMatchObject({ status: 'applied', findings: [] });
    expect(await rollbackMigration(options, id)).toMatchObject({ status: 'applied', findings: [] });
    expect(await columnsOf(given.store, `${schema}.site`)).toEqual([]);
  }, 60_000);

  it('M123 a plan that meets protected rows without a key is refused', async () => {
    const schema = await given.freshSchema();
    await given.store.script(`create table ${schema}.plot (id int); create table ${schema}.secret (id int)`);
    const planned = await planSql(
      { ...options, settings: DEFAULT_SETTINGS },
      {
        id: 'PG-MIG-2026-05-12-02',
        schema,
        tables: ['plot'],
        forbiddenTables: ['secret'],
        forward: 'alter table plot add column x int',
        rollback: 'alter table plot drop column x',
      },
    );
    expect(planned.findings).toMatchObject([
      { code: 'protected_key_unusable', severity: 'error', detail: { reason: 'missing' } },
    ]);
  });
}

withEmbedded('kind postgis', suite);
withPostgres('kind postgis', 18, suite);

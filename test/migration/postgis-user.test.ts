import { describe, expect, it } from 'vitest';
import { applyMigration } from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { postgresDatabase, uniqueName } from '../harness/index.ts';
import { columnsOf, migrationsFolder } from './fixture.ts';
import { PG_ID, planSql, sqlOptions } from './sql-bundle.ts';

const wanted = process.env['VARVE_TEST_STORES'];

describe.skipIf(wanted !== undefined && !wanted.includes('postgres-18'))('a user who is no superuser', () => {
  it('M75 claims no layer that it could not install, and sees what is dropped all the same', async () => {
    await using database = await postgresDatabase(18);
    await using folder = await migrationsFolder();
    const role = uniqueName('plain');
    await using admin = await postgresStore({ url: database.url, poolSize: 1 });
    await admin.script(
      `create role ${role} login password 'plain'; alter database ${database.name} owner to ${role}`,
    );
    const url = new URL(database.url);
    [url.username, url.password] = [role, 'plain'];
    try {
      await using store = await postgresStore({ url: url.href });
      await installCatalog(store, { files: await readCatalogFiles() });
      await store.script(`
        create schema lab; create table lab.plot (id int primary key, area float8); insert into lab.plot values (1, 1);
        create table lab.other (id int check (id > 0));
        create function lab.note() returns trigger language plpgsql as 'begin return null; end';
        create trigger note after insert on lab.other for each row execute function lab.note();`);
      const options = sqlOptions(store, folder.root);
      const bundle = { schema: 'lab', tables: ['plot'], rollback: 'alter table plot drop column x' };
      const planned = await planSql(options, { ...bundle, forward: 'alter table plot add column x int' });
      expect(planned).toMatchObject({
        findings: [],
        plan: {
          bound: { enforcement: { level: 'observed', layers: ['L0', 'L1', 'L3', 'L5', 'L6', 'L7', 'L8'] } },
        },
      });
      const applied = await applyMigration(options, PG_ID);
      expect(applied, JSON.stringify(applied.findings)).toMatchObject({
        status: 'applied',
        enforcement: { level: 'observed' },
      });
      expect(await columnsOf(store, 'lab.plot')).toEqual(['area', 'id', 'x']);
      const dropping = [
        ['drop trigger note on lab.other', 'lab.other'],
        ['alter table lab.other drop constraint other_id_check', 'lab.other'],
        ['drop function lab.note() cascade', 'function lab.note()'],
      ] as const;
      for (const [index, [statement, subject]] of dropping.entries()) {
        const id = `PG-MIG-2026-05-13-0${String(index + 1)}`;
        await planSql(options, {
          ...bundle,
          id,
          forward: `do $$ begin execute '${statement}'; end $$`,
          statements: ['do', 'dynamic_sql'],
        });
        const outcome = await applyMigration(options, id);
        expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({
          status: 'rolled_back',
          findings: expect.arrayContaining([expect.objectContaining({ code: 'scope_violation', subject })]),
        });
      }
      expect(await store.query(sql`select tgname from pg_trigger where tgname = 'note'`)).toHaveLength(1);
    } finally {
      await admin.script(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`);
    }
  }, 120_000);
});

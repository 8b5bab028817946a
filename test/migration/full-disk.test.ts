/** F15 in the database itself: a tablespace on a file system of a few MB, where this user may mount one. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyAll } from '../../src/evidence/index.ts';
import { applyMigration, folderReader, readStatus, rollbackMigration } from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { uniqueName, withPostgres } from '../harness/index.ts';
import { migrationsFolder } from './fixture.ts';
import { PG_ID, planSql, sqlOptions } from './sql-bundle.ts';

function shell(command: string): boolean {
  return spawnSync('sh', ['-c', command]).status === 0;
}

const canMount = shell('d=$(mktemp -d) && mount -t tmpfs -o size=64k none "$d" && umount "$d" && rmdir "$d"');
if (!canMount)
  console.warn('full disks of a database are not tested here: no right to mount a small file system');

describe.skipIf(!canMount)('a full disk in the database', () => {
  withPostgres('a full disk in the database', 18, (given) => {
    let place: string;
    const tablespace = uniqueName('small');
    beforeAll(async () => {
      await installCatalog(given.store, { files: await readCatalogFiles() });
      place = await mkdtemp(join(tmpdir(), 'varve-disk-'));
      shell(`mount -t tmpfs -o size=3m,mode=700,uid=$(id -u postgres) none ${place}`);
      await chmod(place, 0o700);
      await given.store.execute(
        sql`create tablespace ${sql.id(tablespace)} location ${sql.raw(`'${place}'`)}`,
      );
    }, 60_000);
    afterAll(async () => {
      await given.store.execute(sql`drop tablespace ${sql.id(tablespace)}`);
      shell(`umount ${place} && rmdir ${place}`);
    });

    it.each([
      ['rows do not fit', `insert into plot select i, repeat('x', 900) from generate_series(6, 9000) i`],
      ['rows that are overwritten do not fit', `update plot set name = repeat('y', 900)`],
      [
        'a table that is written anew does not fit',
        `alter table plot alter column name type varchar(2000) using name || repeat('z', 1000)`,
      ],
    ])(
      'F15 where %s, a run is undone whole, says so, and runs once there is room',
      async (title, forward) => {
        await using folder = await migrationsFolder();
        const options = sqlOptions(given.store, folder.root);
        const schema = await given.freshSchema();
        const rowCount = title === 'rows do not fit' ? 5 : 2000;
        await given.store.script(`
        create table ${schema}.plot (id int primary key, name text) tablespace ${tablespace};
        insert into ${schema}.plot select i, repeat('n', 900) from generate_series(1, ${rowCount}) i;
        alter table varve.ledger disable trigger ledger_only_grows; delete from varve.ledger;
        alter table varve.ledger enable always trigger ledger_only_grows;`);
        const stateOf = async (): Promise<unknown> =>
          given.store.query(sql`select count(*)::int4 as rows, sum(length(name))::int4 as letters,
          (select jsonb_agg(attname order by attnum) from pg_attribute where attrelid = ${`${schema}.plot`}::regclass and attnum > 0) as columns
          from ${sql.id(schema, 'plot')}`);
        const before = await stateOf();
        const planned = await planSql(options, {
          schema,
          tables: ['plot'],
          limits: { max_row_backfill: 100_000 },
          statements: ['dynamic_sql'],
          forward,
          rollback: `drop table if exists nothing_at_all`,
        });
        expect(planned.status, JSON.stringify(planned.findings)).toBe('planned');
        const outcome = await applyMigration(options, PG_ID);
        expect(outcome, JSON.stringify(outcome)).toMatchObject({
          status: 'rolled_back',
          findings: [
            { code: expect.stringMatching(/statement_failed|database_full/u), detail: { sqlstate: '53100' } },
          ],
          receipt: { receipt: { outcome: 'rolled_back', validation: { status: 'fail' } } },
        });
        expect(await stateOf()).toEqual(before);
        expect((await readStatus(options)).unfinished).toEqual([]);
        expect((await verifyAll(folderReader(folder.root))).findings).toEqual([]);
        expect(shell(`mount -o remount,size=64m ${place}`)).toBe(true);
        expect((await applyMigration(options, PG_ID)).status).toBe('applied');
        expect(await rollbackMigration(options, PG_ID)).toMatchObject({ status: 'rolled_back' });
        await given.store.script(`drop table ${schema}.plot; checkpoint`);
        expect(shell(`mount -o remount,size=3m ${place}`)).toBe(true);
      },
      120_000,
    );
  });
});

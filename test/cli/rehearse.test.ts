import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { writeSql } from '../migration/sql-bundle.ts';
import { createCliProject, normalised, type CliProject } from './cli-project.ts';

const GOOD = 'PG-MIG-2026-05-12-01';
const LOSSY = 'PG-MIG-2026-05-12-02';

const CONFIGS = {
  server: `export default { stores: { main: { postgres: { urlFrom: 'DATABASE_URL' } } } };`,
  embedded: `export default { stores: { main: { embedded: 'lab.db' } } };`,
} as const;

for (const where of ['server', 'embedded'] as const) {
  describe(`varve rehearse (${where})`, () => {
    let database: PostgresDatabase;
    let project: CliProject;

    const open = (): Promise<Store> =>
      where === 'server'
        ? postgresStore({ url: database.url })
        : embeddedStore({ folder: join(project.dir, 'lab.db') });

    beforeAll(async () => {
      if (where === 'server') database = await postgresDatabase(18);
      const env = where === 'server' ? { DATABASE_URL: database.url } : {};
      project = await createCliProject({ 'varve.config.ts': CONFIGS[where] }, env);
      {
        await using store = await open();
        await store.script(`
          create schema lab; create table lab.plot (id int primary key, area float8);
          insert into lab.plot select i, i from generate_series(1, 5) i; analyze lab.plot;`);
      }
      const root = join(project.dir, 'migrations');
      const bundle = { schema: 'lab', tables: ['plot'] };
      await writeSql(root, {
        ...bundle,
        id: GOOD,
        forward: 'alter table plot add column x int;\nupdate plot set x = id;',
        rollback: 'alter table plot drop column x;',
      });
      await writeSql(root, {
        ...bundle,
        id: LOSSY,
        forward: 'alter table plot drop column area;',
        rollback: 'alter table plot add column area float8;',
      });
      for (const id of [GOOD, LOSSY]) expect((await project.run(['plan', id])).exit).toBe(0);
    }, 120_000);

    afterAll(async () => {
      await project[Symbol.asyncDispose]();
      if (where === 'server') await database[Symbol.asyncDispose]();
    });

    it('M105 M107 proves the way back on a copy, and says so', async () => {
      const { exit, stdout } = await project.run(['rehearse', GOOD]);
      expect(exit, stdout).toBe(0);
      expect(normalised(stdout, project.dir))
        .toBe(`${GOOD} held on a copy. Its way back is proved on a copy (R4).
  the copy is what the database is  holds
  forward                           holds
  the way back                      holds
  equal to what was before          holds
  forward again                     holds
  equal to the first end            holds
  the way back after new rows       holds
  forward twice in a row            ends in a clean error
run      varve://run/<time>.rehearsal.${GOOD}.<id>
receipt  migrations/postgis/${GOOD}/receipts/rehearsal_receipt.json
         sha256:<digest>
`);
      const receipt = await readFile(
        join(project.dir, 'migrations/postgis', GOOD, 'receipts/rehearsal_receipt.json'),
        'utf8',
      );
      expect(JSON.parse(receipt)).toMatchObject({ direction: 'rehearsal', rollback: { rung: 'R4' } });
      expect((await project.run(['receipts', 'list', '--json'])).json()).toMatchObject({ receipts: [] });
      await using store = await open();
      expect(
        await store.query(sql`select to_regclass('lab.plot')::text as name, count(*)::int4 as columns
        from pg_attribute where attrelid = 'lab.plot'::regclass and attnum > 0`),
      ).toEqual([{ name: 'lab.plot', columns: 2 }]);
    }, 180_000);

    it('M60 one view has the change, its inputs, its justification, its products, and what still lacks', async () => {
      const before = (await project.run(['status', GOOD, '--json'])).json();
      expect(before).toMatchObject({
        migrationId: GOOD,
        change: { kind: 'postgis', scope: expect.any(Object), limits: expect.any(Object) },
        inputs: expect.arrayContaining([expect.objectContaining({ path: 'forward.sql' })]),
        justification: { why: expect.any(String), signatures: [] },
        rehearsal: { rung: 'R4', isOfTheseFiles: true },
        runs: [],
        lacks: expect.arrayContaining(['a run that passed']),
      });
      expect(JSON.stringify(before)).not.toContain('a rehearsal to equality');
      expect((await project.run(['status', LOSSY])).stdout).toContain('a rehearsal to equality');
      expect((await project.run(['status', 'PG-MIG-2026-01-01-77'])).exit).toBe(3);
    }, 60_000);

    it('F19 M106 refuses a way back that loses rows, with exit status 3', async () => {
      const { exit, stdout } = await project.run(['rehearse', LOSSY, '--json']);
      expect(exit).toBe(3);
      expect(JSON.parse(stdout)).toMatchObject({
        status: 'refused',
        direction: 'rehearsal',
        rung: null,
        checks: expect.arrayContaining([{ name: 'equal_to_pre', status: 'fail' }]),
      });
    }, 180_000);

    it('M107 a killed rehearsal leaves a copy, which the next one or recover takes away', async () => {
      const kill = (): unknown => {
        const program = `
          import { main } from ${JSON.stringify(new URL('../../src/cli/main.ts', import.meta.url).href)};
          process.exitCode = await main(['rehearse', '${GOOD}']);`;
        return spawnSync(process.execPath, ['--input-type=module', '-e', program], {
          cwd: project.dir,
          env: {
            ...process.env,
            VARVE_ACTOR: 'ada',
            VARVE_FAULT_POINT: 'F13_committed',
            ...(where === 'server' ? { DATABASE_URL: database.url } : {}),
          },
        }).signal;
      };
      const copies = async (): Promise<number> => {
        if (where === 'embedded')
          return (await readdir(project.dir)).filter((name) => /\.copy-[0-9a-f]{8}$/u.test(name)).length;
        await using store = await open();
        const [row] = await store.query<{ copies: number }>(sql`
          select count(*)::int4 as copies from pg_database
          where starts_with(datname, 'varve_copy_' || left(encode(sha256(convert_to(current_database(), 'UTF8')), 'hex'), 8))`);
        return row?.copies ?? 0;
      };
      expect(kill()).toBe('SIGKILL');
      expect(await copies()).toBe(1);
      expect((await project.run(['rehearse', GOOD])).exit).toBe(0);
      expect(await copies()).toBe(0);
      expect(kill()).toBe('SIGKILL');
      expect(await copies()).toBe(1);
      expect((await project.run(['recover'])).exit).toBe(0);
      expect(await copies()).toBe(0);
    }, 240_000);
  });
}

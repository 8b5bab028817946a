import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyMigration, type RunnerOptions } from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { confinedOptions, confinedServer, type ConfinedServer } from './confined-server.ts';
import { migrationsFolder } from './fixture.ts';
import { planSql, type SqlBundle } from './sql-bundle.ts';

const isWanted = process.env['VARVE_TEST_STORES']?.split(',').includes('postgres-18') ?? true;

describe.skipIf(!isWanted)('what a script does to the session that observes it', () => {
  let given: ConfinedServer;
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let count = 0;
  beforeAll(async () => {
    given = await confinedServer();
    folder = await migrationsFolder();
  }, 60_000);
  afterAll(async () => {
    await folder[Symbol.asyncDispose]();
    await given[Symbol.asyncDispose]();
  });

  async function run(
    level: 'guarded' | 'confined',
    bundle: Omit<SqlBundle, 'schema'>,
  ): Promise<Awaited<ReturnType<typeof applyMigration>> & { readonly schema: string }> {
    const { schema } = await given.scene();
    const { runnerLogin, ...plain } = confinedOptions(given, folder.root);
    const options: RunnerOptions =
      level === 'guarded' || runnerLogin === undefined ? plain : { ...plain, runnerLogin };
    count += 1;
    const id = `PG-MIG-2026-08-01-${String(count).padStart(2, '0')}`;
    const planned = await planSql(options, {
      tables: ['plot'],
      rollback: 'drop table if exists nothing_at_all',
      ...bundle,
      forward: bundle.forward.replaceAll(':s', schema),
      id,
      schema,
    });
    expect(planned.status, JSON.stringify(planned.findings)).toBe('planned');
    return { ...(await applyMigration(options, id)), schema };
  }

  it.each(['guarded', 'confined'] as const)(
    'M82 a %s script that prepares a statement under the name of one of varve is undone',
    async (level) => {
      const outcome = await run(level, {
        statements: ['do', 'dynamic_sql'],
        forward: `update plot set area = 7; do $$
          declare name text;
          begin
            for name in select s.name from pg_prepared_statements s where not from_sql loop
              execute format('deallocate %I', name);
              execute format('prepare %I as select 0::oid as oid, 0::int8 as inserted, 0::int8 as updated, 0::int8 as deleted where false', name);
            end loop;
          end $$`,
      });
      expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'rolled_back' });
      expect(outcome.findings.map(({ code }) => code)).toContain('guard_changed');
      const { schema } = outcome;
      const rows = await given.store.query(
        sql`select count(*)::int from ${sql.id(schema, 'plot')} where area = 7`,
      );
      expect(rows).toEqual([{ count: 0 }]);
      // The session is never used again: what comes next is observed as ever.
      const next = await run(level, { forward: 'update plot set area = 8' });
      expect(next, JSON.stringify(next)).toMatchObject({ status: 'applied', tables: [{ backfill: 5 }] });
    },
  );

  it.each(['guarded', 'confined'] as const)(
    'M82 no operator that a %s script makes is used to observe it',
    async (level) => {
      const outcome = await run(level, {
        objects: ['differs', '<>'],
        forward: `
          create function differs(oid, int) returns boolean language plpgsql as $$
            begin
              raise exception 'called as %', current_user using errcode = 'VV999';
            end $$;
          create operator <> (leftarg = oid, rightarg = int, function = differs);`,
      });
      expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'applied' });
    },
  );

  it.each(['guarded', 'confined'] as const)(
    'M35 what a %s script made is told as it names it, without the schemas of its path',
    async (level) => {
      const outcome = await run(level, {
        objects: ['mood', 'rank'],
        forward: `
          create type mood as enum ('low', 'high');
          create function rank(mood) returns int language sql as 'select 1';`,
      });
      expect(outcome, JSON.stringify(outcome)).toMatchObject({ status: 'applied' });
      const [id] = /PG-MIG-[0-9-]+/u.exec(JSON.stringify(outcome)) ?? [];
      const touched = await readFile(join(folder.root, `postgis/${id ?? ''}/diffs/touched.csv`), 'utf8');
      expect(touched).toContain(`function,${outcome.schema},rank(mood),`);
    },
  );
});

import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { startPostgres } from '../harness/index.ts';
import type { PostgresServer } from '../harness/postgres-server.ts';
import { writeSql } from '../migration/sql-bundle.ts';
import { createCliProject, type CliProject } from './cli-project.ts';

const ID = 'PG-MIG-2026-05-12-01';

let server: PostgresServer;
let store: Store;
let project: CliProject;

/** The address of the server for a login of this test. */
function as(user: string): string {
  const url = new URL(server.url);
  url.username = user;
  url.password = 'of-a-test';
  return url.href;
}

beforeAll(async () => {
  server = await startPostgres({ version: 18 });
  store = await postgresStore({ url: server.url });
  await store.script(`
    create role deployer login password 'of-a-test'; create role lab_owner;
    grant lab_owner to deployer with admin option;
    create schema lab authorization lab_owner;
    set role lab_owner;
    create table lab.plot (id int primary key, area float8);
    insert into lab.plot select i, i from generate_series(1, 5) i;
    reset role; analyze lab.plot;`);
  project = await createCliProject(
    {
      'varve.config.ts': `export default { stores: { main: { postgres: { urlFrom: 'DATABASE_URL', runnerUrlFrom: 'RUNNER_URL' } } } };`,
    },
    { DATABASE_URL: as('deployer'), RUNNER_URL: as('varve_runner') },
  );
  await writeSql(join(project.dir, 'migrations'), {
    id: ID,
    schema: 'lab',
    tables: ['plot'],
    forward: 'alter table plot add column x int;\nupdate plot set x = id;',
    rollback: 'alter table plot drop column x;',
  });
}, 60_000);

afterAll(async () => {
  await project[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

it('an administrator is given what to run, and a script then runs confined for a login that is no superuser', async () => {
  const made = await project.run(['roles', '--apply', '--db', server.url]);
  expect(made.exit, made.stdout + made.stderr).toBe(0);
  expect(made.stdout).toContain('The roles are there.');
  await store.script(`alter role varve_runner password 'of-a-test'`);

  const printed = await project.run(['roles']);
  expect(printed.exit).toBe(0);
  const grant = 'grant varve_owner to "deployer" with admin option;';
  expect(printed.stdout).toContain(grant);
  await store.script(grant);

  const planned = await project.run(['plan', ID]);
  expect(planned.exit, planned.stdout + planned.stderr).toBe(0);
  expect(planned.stdout).toContain('held     confined (L0, L1, L2, L3, L4, L5, L6, L7, L8)');
  const applied = await project.run(['apply', ID, '--json']);
  expect(applied.exit, applied.stdout + applied.stderr).toBe(0);
  expect(applied.json()).toMatchObject({ enforcement: { level: 'confined', role: 'exact' } });
  expect((await project.run(['rollback', ID])).exit).toBe(0);
  expect(
    await store.query(sql`select 1 from pg_auth_members where member = 'varve_runner'::regrole`),
  ).toEqual([]);
}, 60_000);

it('roles limit nothing in an embedded database', async () => {
  await using own = await createCliProject({
    'varve.config.ts': `export default { stores: { main: { embedded: '.varve/db' } } };`,
  });
  const refused = await own.run(['roles', '--json']);
  expect(refused.exit).toBe(3);
  expect(refused.json()).toMatchObject({ findings: [{ code: 'capability_missing' }] });
}, 60_000);

it.each([
  ['{ urlFrom: "A", runnerUrlFrom: "postgres://a:b@c/d" }', 'neither embedded nor postgres'],
  ['{ urlFrom: "A", runner: "B" }', 'runner'],
])('a configuration names logins by variables alone: %s', async (postgres, said) => {
  await using own = await createCliProject({
    'varve.config.ts': `export default { stores: { main: { postgres: ${postgres} } } };`,
  });
  const refused = await own.run(['status']);
  expect(refused.exit).toBe(3);
  expect(refused.stdout + refused.stderr).toContain(said);
  expect(refused.stdout + refused.stderr).not.toContain('a:b');
});

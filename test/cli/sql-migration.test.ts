import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { storePath } from '../../src/evidence/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { writeSql } from '../migration/sql-bundle.ts';
import { createCliProject, type CliProject } from './cli-project.ts';

const exec = promisify(execFile);
const ID = 'PG-MIG-2026-05-12-01';
const FAILING = 'PG-MIG-2026-05-12-02';
const HOSTILE = 'PG-MIG-2026-05-12-03';

let database: PostgresDatabase;
let store: Store;
let project: CliProject;
let bare: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  await store.script(`
    create schema lab; create table lab.plot (id int primary key, area float8);
    insert into lab.plot select i, i from generate_series(1, 5) i; analyze lab.plot;`);
  const config = `export default { stores: { main: { postgres: { urlFrom: 'DATABASE_URL' } } } };`;
  project = await createCliProject({ 'varve.config.ts': config }, { DATABASE_URL: database.url });
  bare = await createCliProject({});
  const root = join(project.dir, 'migrations');
  const bundle = { schema: 'lab', tables: ['plot'] };
  await writeSql(root, {
    ...bundle,
    id: ID,
    forward: 'alter table plot add column x int;\nupdate plot set x = id;',
    rollback: 'alter table plot drop column x;',
  });
  await writeSql(root, {
    ...bundle,
    id: FAILING,
    forward: 'insert into plot values (1, 2);',
    rollback: 'delete from plot where id = 99;',
  });
  await writeSql(root, {
    ...bundle,
    id: HOSTILE,
    forward: 'commit;',
    rollback: 'delete from plot where id = 99;',
  });
}, 60_000);

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
  await bare[Symbol.asyncDispose]();
});

it('plans an SQL migration in a project without any pipeline, and changes nothing', async () => {
  const { exit, stdout } = await project.run(['plan', ID]);
  expect(exit).toBe(0);
  expect(stdout).toBe(`${ID}
  forward.sql:1  alter table plot add column x int
  forward.sql:2  update plot set x = id
locks    forward.sql:1 takes ACCESS EXCLUSIVE on plot
locks    forward.sql:2 takes ROW EXCLUSIVE on plot
touches  lab.plot  (about 5 rows, an estimate)
held     guarded (L0, L1, L2, L3, L5, L6, L7, L8)
Nothing has changed yet. Go on with: varve apply ${ID}
`);
  const json = (await project.run(['plan', ID, '--json'])).json();
  expect(json).toMatchObject({ objects: ['lab.plot'], enforcement: { level: 'guarded' } });
});

it('F3 refuses what leaves the transaction with exit status 3, and nothing is opened', async () => {
  const { exit, stdout } = await project.run(['plan', HOSTILE, '--json']);
  expect(exit).toBe(3);
  expect(JSON.parse(stdout)).toMatchObject({
    findings: [
      { code: 'construct_refused', subject: 'forward.sql:1:1', detail: { reason: 'transaction_control' } },
    ],
  });
  expect((await project.run(['apply', HOSTILE])).exit).toBe(3);
});

it('applies it, tells its state, and takes it back', async () => {
  expect((await project.run(['apply', ID])).exit).toBe(0);
  const [row] = await store.query<{ sum: bigint }>(sql`select sum(x) as sum from lab.plot`);
  expect(row?.sum).toBe(15n);
  expect((await project.run(['status', '--json'])).json()).toMatchObject({
    migrations: expect.arrayContaining([expect.objectContaining({ migrationId: ID, status: 'applied' })]),
  });
  expect((await project.run(['rollback', ID, '--json'])).json()).toMatchObject({ direction: 'rollback' });
  expect((await project.run(['receipts', 'verify'])).exit).toBe(0);
}, 60_000);

it('F13 ends a run whose statement fails with exit status 4, and names the statement', async () => {
  await project.run(['plan', FAILING]);
  const { exit, stdout } = await project.run(['apply', FAILING, '--json']);
  expect(exit).toBe(4);
  expect(JSON.parse(stdout)).toMatchObject({
    findings: [
      {
        code: 'statement_failed',
        subject: 'forward.sql:1:1',
        detail: { statement: 1, sqlstate: '23505' },
        hint: expect.stringContaining('A row like it is there already.') as string,
      },
    ],
  });
  expect((await project.run(['recover'])).exit).toBe(0);
}, 60_000);

it('M6 M41 the bundle of a run that failed is edited, planned and applied again, and every receipt verifies', async () => {
  // A repository of its own, in which nothing was merged yet.
  await exec('git', ['-C', project.dir, 'init', '-q']);
  const path = join(project.dir, 'migrations/postgis', FAILING, 'forward.sql');
  const first = (await project.run(['receipts', 'show', FAILING, '--json'])).json();
  const stateOf = async (gate: string): Promise<unknown> => {
    const { migrations } = (await project.run(['gate', FAILING, '--json'])).json() as {
      readonly migrations: readonly { readonly gates: readonly { gate: string; status: string }[] }[];
    };
    return migrations[0]?.gates.find((each) => each.gate === gate)?.status;
  };
  await writeFile(path, 'insert into plot values (99, 2);');
  expect((await project.run(['receipts', 'verify', '--all'])).exit).toBe(0);
  expect(await stateOf('receipt_schema')).toBe('pass');
  // What ran says nothing about the files that there are now.
  expect(await stateOf('scope_and_limits')).toBe('fail');
  const stale = await project.run(['apply', FAILING, '--json']);
  expect([stale.exit, stale.json()]).toMatchObject([3, { findings: [{ code: 'bundle_changed' }] }]);
  for (const verb of ['plan', 'apply']) expect((await project.run([verb, FAILING])).exit).toBe(0);
  expect(await stateOf('scope_and_limits')).toBe('pass');
  expect((await project.run(['receipts', 'verify', '--all'])).exit).toBe(0);
  const digest = String(first['digest']);
  const stored = join('migrations', storePath(digest));
  const verified = await project.run(['receipts', 'verify', stored, '--json']);
  expect([verified.exit, verified.json()]).toMatchObject([
    0,
    { receipts: [{ digest, outcome: 'rolled_back', status: 'verified' }] },
  ]);

  await writeFile(path, 'insert into plot values (98, 2);');
  expect((await project.run(['plan', FAILING])).exit).toBe(0);
  const { exit, stdout } = await project.run(['apply', FAILING]);
  expect(exit).toBe(3);
  expect(stdout).toBe('');
  expect((await project.run(['receipts', 'verify', '--all'])).exit).toBe(3);
  await writeFile(path, 'insert into plot values (99, 2);');
  expect((await project.run(['plan', FAILING])).exit).toBe(0);
  expect((await project.run(['receipts', 'verify', '--all'])).exit).toBe(0);
}, 60_000);

it('a level that the environment demands and nobody reaches is refused with exit status 3', async () => {
  const other = await postgresDatabase(18);
  try {
    await using second = await postgresStore({ url: other.url });
    await second.script('create schema lab; create table lab.plot (id int primary key, area float8)');
    const { exit, stdout } = await project.run(['plan', ID, '--env', 'prod', '--db', other.url, '--json']);
    expect(exit).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      findings: expect.arrayContaining([expect.objectContaining({ code: 'level_too_low' })]),
    });
  } finally {
    await other[Symbol.asyncDispose]();
  }
}, 60_000);

it('works on a database without a project, in the folder where it is called', async () => {
  const other = await postgresDatabase(18);
  try {
    await using second = await postgresStore({ url: other.url });
    await second.script('create schema lab; create table lab.plot (id int primary key, area float8)');
    await writeSql(join(bare.dir, 'migrations'), {
      schema: 'lab',
      tables: ['plot'],
      id: ID,
      forward: 'alter table plot add column x int;',
      rollback: 'alter table plot drop column x;',
    });
    for (const verb of ['plan', 'apply']) {
      const { exit, stderr } = await bare.run([verb, ID, '--db', other.url]);
      expect(exit, stderr).toBe(0);
    }
    expect(existsSync(join(bare.dir, 'migrations/postgis', ID, 'receipts/run_receipt.json'))).toBe(true);
    const status = await bare.run(['status', '--db', other.url, '--json']);
    expect(status.json()).toMatchObject({ migrations: [expect.objectContaining({ status: 'applied' })] });
  } finally {
    await other[Symbol.asyncDispose]();
  }
}, 60_000);

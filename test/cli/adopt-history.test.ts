import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { flywayChecksum } from '../../src/migration/import/flyway.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, type CliProject } from './cli-project.ts';

let database: PostgresDatabase;
let store: Store;
let project: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  await store.script(`
    create table public.flyway_schema_history (
      installed_rank int primary key, version varchar(50), description varchar(200) not null, type varchar(20) not null,
      script varchar(1000) not null, checksum int, installed_by varchar(100) not null,
      installed_on timestamp not null default now(), execution_time int not null, success boolean not null);`);
  const config = `export default { stores: { main: { postgres: { urlFrom: 'DATABASE_URL' } } } };`;
  project = await createCliProject({ 'varve.config.ts': config }, { DATABASE_URL: database.url });
  for (const [at, name] of ['users', 'orders'].entries()) {
    await put(`db/V${at + 1}__${name}.sql`, scriptOf(name));
    await store.execute(sql`
      insert into public.flyway_schema_history
      values (${at}, ${String(at + 1)}, ${name}, 'SQL', 'x', ${flywayChecksum(scriptOf(name))}::int, 'test', now(), 1, true)`);
  }
  await put('db/V3__later.sql', 'select 1;\n');
}, 60_000);

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

const scriptOf = (name: string): string => `create table ${name} (id int);\n`;

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(project.dir, path)), { recursive: true });
  await writeFile(join(project.dir, path), text);
}

it('adopts, applies, lists, and finds a file that was edited', async () => {
  const adopted = await project.run(['adopt', '--migrations', 'db']);
  expect([adopted.exit, adopted.stderr]).toEqual([0, expect.stringContaining('import_pending')]);
  const id = /OTHER-MIG-[\d-]+/u.exec(adopted.stdout)?.[0] ?? '';
  const lines = adopted.stdout.split('\n').map((line) => line.replaceAll(/ {2,}/gu, '  ').trimEnd());
  expect(lines).toEqual([
    'migration  description  checksum',
    `V1  users  ${flywayChecksum(scriptOf('users'))}`,
    `V2  orders  ${flywayChecksum(scriptOf('orders'))}`,
    'flyway, db: 2 applied migrations to take over, as public.flyway_schema_history says; 1 left out, not applied',
    `Nothing has changed yet. Go on with: varve apply ${id}`,
    '',
  ]);
  expect((await project.run(['apply'])).exit).toBe(0);
  const status = await project.run(['status', '--json']);
  expect(status.json()).toMatchObject({
    migrations: [{ migrationId: id, status: 'applied' }],
    adopted: [
      {
        migrationId: id,
        tool: 'flyway',
        id: 'V1',
        path: 'db/V1__users.sql',
        checksumAlgorithm: 'flyway-crc32',
        file: 'same',
      },
      { id: 'V2', file: 'same' },
    ],
  });
  expect((await project.run(['receipts', 'verify', '--all'])).exit).toBe(0);
  expect((await project.run(['check'])).exit).toBe(0);
  const again = await project.run(['adopt', '--migrations', 'db', '--json']);
  expect(again.json()).toMatchObject({ status: 'ok', migrationId: null, adopted: [], alreadyAdopted: 2 });

  await put('db/V1__users.sql', 'create table users (id bigint);\n');
  const shown = await project.run(['status']);
  expect(shown.stdout).toMatch(/V1 +flyway +-?\d+ +file changed since/u);
  const checked = await project.run(['check', '--json']);
  expect([checked.exit, checked.stdout]).toEqual([3, expect.stringContaining('"import_differs"')]);
  expect((await project.run(['adopt', '--migrations', 'db'])).exit).toBe(3);
}, 60_000);

it('refuses folders outside, options of the other way, and names that fit nothing', async () => {
  const run = async (...argv: string[]): Promise<readonly [number, string]> => {
    const { exit, stdout } = await project.run([...argv, '--json']);
    return [exit, stdout];
  };
  expect(await run('adopt', '--migrations', '..')).toEqual([3, expect.stringContaining('"outside"')]);
  expect(await run('adopt', '--migrations', 'gone')).toEqual([3, expect.stringContaining('"missing"')]);
  expect((await run('adopt', '--migrations', 'db', '--plain'))[0]).toBe(2);
  expect((await run('adopt', '--all-applied'))[0]).toBe(2);
  expect((await run('adopt', '--migrations', 'db', '--tool', 'rails'))[0]).toBe(2);
  expect((await run('adopt', '--migrations', 'db', '--history-table', 'x'))[0]).toBe(2);
}, 60_000);

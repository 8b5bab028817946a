import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { freePort, postgresDatabase, uniqueName, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, definitionsIn, deploy, normalised, type CliProject } from './cli-project.ts';
import { LAB } from './lab.ts';

const VARVE = resolve('bin/varve.js');

let database: PostgresDatabase;
let store: Store;
let project: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  project = await createCliProject(LAB, { DATABASE_URL: database.url });
  await deploy(store, await definitionsIn(project));
  await store.execute(sql`insert into lab.mouse values (1, 20)`);
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

describe('a database that cannot be used', () => {
  it('is unreachable', async () => {
    const DATABASE_URL = `postgres://someone:secret@127.0.0.1:${await freePort()}/lab`;
    for (const argv of [['populate'], ['jobs'], ['status'], ['plan'], ['recover'], ['stale']]) {
      const { exit, stdout, stderr } = await project.run(argv, { env: { DATABASE_URL } });
      expect([argv[0], exit, stdout]).toEqual([argv[0], 3, '']);
      expect(stderr).toContain('database_unreachable');
      expect(stderr).not.toContain('secret');
    }
    // What needs no database goes on without it.
    const { exit, stderr } = await project.run(['check'], { env: { DATABASE_URL } });
    expect([exit, stderr.split(' ')[0]]).toEqual([0, 'info:']);
  });

  it('lets its user do nothing', async () => {
    const role = uniqueName('reader');
    await store.execute(sql`create role ${sql.id(role)} login password 'pass'`);
    const url = new URL(database.url);
    url.username = role;
    url.password = 'pass';
    const { exit, stderr } = await project.run(['populate'], { env: { DATABASE_URL: url.href } });
    await store.execute(sql`drop role ${sql.id(role)}`);
    expect(exit).toBe(3);
    expect(normalised(stderr)).toContain('permission_denied');
  });

  it('is an embedded folder that another process has open', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'varve-locked-'));
    const holder = holdFolder(join(dir, 'db'));
    try {
      await once(holder.stdout ?? holder, 'data');
      await using locked = await createCliProject({
        'varve.config.ts': `export default { stores: { main: { embedded: ${JSON.stringify(join(dir, 'db'))} } } };`,
      });
      const { exit, stderr } = await locked.run(['populate']);
      expect(exit).toBe(3);
      expect(stderr).toContain('store_locked');
    } finally {
      holder.kill();
      await once(holder, 'exit');
      await rm(dir, { recursive: true, force: true });
    }
  });

  it('is an embedded folder that was never made, and is not made by asking', async () => {
    await using empty = await createCliProject({
      'varve.config.ts': `export default { stores: { main: { embedded: '.varve/db' } } };`,
    });
    const { exit, stderr } = await empty.run(['stale']);
    expect([exit, await readdir(empty.dir)]).toEqual([3, ['varve.config.ts']]);
    expect(stderr).toContain('catalog_missing');
  });
});

describe('a project that cannot be used', () => {
  it.each([
    ['populate'],
    ['jobs'],
    ['stale'],
    ['plan'],
    ['apply'],
    ['status'],
    ['recover'],
    ['verify'],
    ['receipts'],
  ])('varve %s says that there is none', async (name) => {
    const { exit, stdout, stderr } = await project.run([name, '--project', '/']);
    expect([exit, stdout]).toEqual([3, '']);
    expect(stderr).toContain('config_missing');
  });

  it.each([
    ['throws', 'throw new Error("no such luck");', 'no such luck'],
    ['has no default export', 'export const a = 1;', 'no default export'],
    [
      'holds an address',
      'export default { stores: { main: { postgres: { url: "postgres://u:p@h/d" } } } };',
      'password',
    ],
  ])('says when its configuration %s', async (_, text, said) => {
    await using broken = await createCliProject({ 'varve.config.ts': text });
    const { exit, stderr } = await broken.run(['populate']);
    expect(exit).toBe(3);
    expect(stderr).toContain(said);
  });

  it.each([
    ['populate'],
    ['jobs'],
    ['stale'],
    ['plan'],
    ['apply'],
    ['status'],
    ['recover'],
    ['verify'],
    ['check'],
    ['init'],
  ])('varve %s refuses --branch', async (name) => {
    const { exit, stderr } = await project.run([name, '--branch', 'trial']);
    expect(exit).toBe(2);
    expect(stderr).toContain('cannot follow --branch');
  });
});

describe('what is printed', () => {
  it('has colours on a terminal only, and none with NO_COLOR', async () => {
    const isTerminal = { stdin: true, stdout: true, stderr: true };
    const colours = async (given: Parameters<CliProject['run']>[1]): Promise<boolean> => {
      const { stdout, stderr } = await project.run(['populate'], given);
      return (stdout + stderr).includes('\u001B');
    };
    expect(await colours({ isTerminal })).toBe(true);
    expect(await colours({ isTerminal, env: { NO_COLOR: '1' } })).toBe(false);
    expect(await colours({})).toBe(false);
  });

  it('is the result alone with --quiet', async () => {
    const { exit, stderr } = await project.run(['check', '--quiet']);
    expect([exit, stderr]).toEqual([0, '']);
  });

  it('helps with an example on every command', async () => {
    for (const { name } of COMMANDS) {
      const help = await project.run([name, '--help']);
      expect([name, help.exit]).toEqual([name, 0]);
      expect(help.stdout).toMatch(/Examples?:\n {2}varve /u);
    }
  });
});

describe('varve init', () => {
  it('writes a project that runs at once, and never overwrites', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'varve-init-'));
    const dir = join(parent, 'lake');
    const varve = (...argv: string[]): readonly [number | null, string, string] => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [VARVE, ...argv], {
        cwd: dir,
        encoding: 'utf8',
      });
      return [status, stdout, stderr];
    };
    try {
      const made = await project.run(['init', dir]);
      expect(made.exit).toBe(0);
      expect((await readdir(dir)).toSorted()).toEqual([
        '.gitignore',
        'correct.ts',
        'package.json',
        'pipeline',
        'varve.config.ts',
      ]);
      expect(JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'))).toMatchObject({
        name: 'lake',
        type: 'module',
        dependencies: { varve: expect.stringMatching(/^\d/u) as string },
      });
      expect(varve('plan')).toMatchObject([0, expect.stringContaining('create     demo.growth'), '']);
      expect(varve('apply')).toMatchObject([0, expect.stringContaining('is applied'), '']);
      expect(varve('populate', '--json')).toMatchObject([0, expect.stringContaining('"computed": 3'), '']);
      expect(varve('why', 'demo.growth', '--key', '{"core":"N1"}')).toMatchObject([
        0,
        expect.stringContaining('demo.layer'),
        '',
      ]);
      expect(varve('check')[0]).toBe(0);
      const before = await readFile(join(dir, 'varve.config.ts'), 'utf8');
      const [exit, , stderr] = varve('init');
      expect([exit, await readFile(join(dir, 'varve.config.ts'), 'utf8')]).toEqual([3, before]);
      expect(stderr).toContain('pipeline/demo.ts');
    } finally {
      await rm(parent, { recursive: true, force: true });
    }
  }, 180_000);

  it('keeps a package.json that is there, and needs no install where varve is found', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'varve-init-'));
    await writeFile(join(dir, 'package.json'), '{"name":"mine"}');
    const { json } = await project.run(['init', dir, '--json']);
    expect(json()).toMatchObject({
      status: 'ok',
      next: expect.arrayContaining([expect.stringMatching(/^npm install --save-exact varve@/u)]) as string[],
    });
    expect(await readFile(join(dir, 'package.json'), 'utf8')).toBe('{"name":"mine"}');
    await rm(dir, { recursive: true, force: true });
  });
});

function holdFolder(folder: string): ChildProcess {
  const program = `
    import { embeddedStore } from ${JSON.stringify(new URL('../../src/store/postgres/index.ts', import.meta.url).href)};
    await embeddedStore({ folder: ${JSON.stringify(folder)} });
    console.log('open');
    setInterval(() => {}, 1000);`;
  return spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

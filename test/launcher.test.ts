import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const LAUNCHER = resolve('bin/varve.js');
const RESOLVE_SELF = pathToFileURL(resolve('bin/resolve-self.js')).href;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-launcher-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('an old Node is told which one is needed, with exit status 2', () => {
  const pretend = put(
    'old.mjs',
    `Object.defineProperty(process, 'versions', { value: { node: '20.20.2' } });`,
  );
  const { status, stdout, stderr } = node(['--import', pretend, LAUNCHER, '--version']);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain('varve needs Node 24 or newer; this is Node 20.20.2');
});

test('a file outside of any package gets the classes of the varve that runs', () => {
  const url = pathToFileURL(resolve('src/base/index.ts')).href;
  const program = `
    import { VarveError } from 'varve/base';
    import { VarveError as Running } from ${JSON.stringify(url)};
    import { VarveError as Curated } from 'varve';
    console.log(VarveError === Running, VarveError === Curated);`;
  const { stdout, stderr } = node(['--import', RESOLVE_SELF, join(folder, 'varve.config.ts')], program);
  expect({ stdout, stderr }).toEqual({ stdout: 'true true\n', stderr: '' });
});

test('other packages are left to Node', () => {
  const program = `import 'varved/base';`;
  const { status, stderr } = node(['--import', RESOLVE_SELF, join(folder, 'varve.config.ts')], program);
  expect(status).toBe(1);
  expect(stderr).toContain(`Cannot find package 'varved'`);
});

test('the launcher passes arguments on and ends with the exit status of the command line', () => {
  expect(node([LAUNCHER, '--version'])).toMatchObject({ status: 0, stderr: '' });
  expect(node([LAUNCHER, 'no-such-command'])).toMatchObject({ status: 2, stdout: '' });
});

test('a reader that has seen enough does not end the command line half-way', async () => {
  const child = spawn(process.execPath, [LAUNCHER, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [status]: readonly unknown[] = await once(child, 'close');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

function node(args: readonly string[], program?: string): SpawnSyncReturns<string> {
  if (program !== undefined) put('varve.config.ts', program);
  return spawnSync(process.execPath, [...args], { encoding: 'utf8', cwd: folder });
}

function put(name: string, text: string): string {
  const filePath = join(folder, name);
  writeFileSync(filePath, text);
  return pathToFileURL(filePath).href;
}

// What a user gets: the packed tarball, installed in an empty folder, and its command line there.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { version, exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly version: string;
  readonly exports: Readonly<Record<string, unknown>>;
};
const folder = mkdtempSync(join(tmpdir(), 'varve-package-'));
try {
  checkPackage();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function checkPackage(): void {
  const tarball = pack();
  const home = join(folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }\n');
  run('npm', ['install', '--no-audit', '--no-fund', tarball], home);
  expectEqual('varve --version', varve(['--version'], home).trim(), version);
  const help = varve(['--help'], home);
  importEverySubpath(home);
  if (/^\s+init\b/m.test(help)) startProject(home);
  else console.log('no `varve init` yet: no project started');
}

function pack(): string {
  const [packed] = JSON.parse(
    run('npm', ['pack', '--json', '--loglevel', 'error', '--pack-destination', folder], '.'),
  ) as readonly [{ readonly filename: string; readonly files: readonly { readonly path: string }[] }];
  const stray = packed.files.filter(({ path }) => /\.test\.|^(src|test|scripts)\//.test(path));
  expectEqual('files that are no product', stray.map(({ path }) => path).join(', '), '');
  return join(folder, packed.filename);
}

function importEverySubpath(home: string): void {
  const names = Object.keys(exports)
    .filter((subpath) => subpath !== './package.json')
    .map((subpath) => `varve${subpath.slice(1)}`);
  const program = names.map((name) => `await import('${name}');`).join('\n');
  run('node', ['--input-type=module', '--eval', program], home);
  console.log(`imported ${names.join(', ')}`);
}

function startProject(home: string): void {
  varve(['init', 'project'], home);
  const project = join(home, 'project');
  const key = '{"core":"N1"}';
  const plan = jsonOf(['plan'], project);
  const id = String(plan['migrationId']);
  for (const args of [
    ['apply', id],
    ['populate'],
    ['why', 'demo.growth', '--key', key],
    ['history', 'demo.growth', '--key', key],
    ['check'],
    ['verify', '--full'],
    ['receipts', 'verify', '--all'],
    ['status'],
    ['recover'],
  ]) {
    jsonOf(args, project);
  }
}

/** The object of a command that succeeds. */
function jsonOf(args: readonly string[], cwd: string): Readonly<Record<string, unknown>> {
  const result = JSON.parse(varve([...args, '--json'], cwd)) as Readonly<Record<string, unknown>>;
  expectEqual(`varve ${args.join(' ')} in a new project`, String(result['status']), 'ok');
  return result;
}

function varve(args: readonly string[], cwd: string): string {
  return run('npx', ['--no-install', 'varve', ...args], cwd);
}

function run(file: string, args: readonly string[], cwd: string): string {
  console.log(`$ ${file} ${args.join(' ')}`);
  return execFileSync(file, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function expectEqual(what: string, found: string, expected: string): void {
  if (found !== expected) throw new Error(`${what}: expected "${expected}", found "${found}"`);
}

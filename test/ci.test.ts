import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

// The script itself, in a folder of its own, where `npm` and `node` only write down that they were called.
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-ci-'));
  mkdirSync(join(folder, '.ci'));
  mkdirSync(join(folder, 'bin'));
  copyFileSync('.ci/run', join(folder, '.ci/run'));
  program('apt-get', 'exit 0');
  program('node', 'echo "node $*" >> calls');
  program('npm', 'echo "npm $*" >> calls; [ "$*" != "$FAILING" ]');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const PARTS = ['npm run check', 'npm test', 'npm run test:package', 'node scripts/test-summary.ts'];

test('the whole check runs each of its parts, and says that they passed', () => {
  expect(run('')).toEqual({
    status: 0,
    calls: ['npm ci', 'npm ci --prefix examples/05-documents/corpora', ...PARTS],
    stderr: '',
  });
});

test.each(['run check', 'test', 'run test:package'])(
  'a failing `npm %s` fails the whole, and the rest runs',
  (part) => {
    const { status, calls, stderr } = run(part);
    expect({ status, parts: calls.slice(2) }).toEqual({ status: 1, parts: PARTS });
    expect(stderr).toMatch(new RegExp(`^== failed: timeout \\d+ npm ${part}\n$`, 'u'));
  },
);

test('where nothing can be installed nothing is run', () => {
  expect(run('ci')).toEqual({ status: 1, calls: ['npm ci'], stderr: '' });
});

function run(failing: string): { status: number | null; calls: string[]; stderr: string } {
  rmSync(join(folder, 'calls'), { force: true });
  const { status, stderr } = spawnSync(join(folder, '.ci/run'), {
    encoding: 'utf8',
    env: {
      ...process.env,
      FAILING: failing,
      PATH: [join(folder, 'bin'), process.env['PATH']].join(delimiter),
    },
  });
  return { status, calls: readFileSync(join(folder, 'calls'), 'utf8').trimEnd().split('\n'), stderr };
}

function program(name: string, body: string): void {
  const filePath = join(folder, 'bin', name);
  writeFileSync(filePath, `#!/bin/sh\n${body}\n`);
  chmodSync(filePath, 0o755);
}

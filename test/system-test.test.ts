import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isSystemTest } from '../scripts/system-test.ts';

let folder: string;

beforeAll(() => {
  // Inside the repository, because imports are followed by paths relative to it.
  folder = mkdtempSync('test/planted-');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test.for([
  [`import { sql } from 'varve/store';`, false],
  [`import type { Client } from 'pg';`, false],
  [`import { Client } from 'pg';`, true],
  [`import { postgresStore } from 'varve/store/postgres';`, true],
  [`const { postgresStore } = await import('varve/store/postgres');`, true],
  [`import {\n  withStores,\n} from '../harness/index.ts';`, true],
  [`import { main } from '../../src/cli/main.ts';`, false],
  [`import { execFile } from 'node:child_process';`, true],
] as const)('%s', ([source, expected]) => {
  const testPath = relative('.', join(folder, 'planted.test.ts'));
  writeFileSync(testPath, `import { test } from 'vitest';\n${source}\n`);
  expect(isSystemTest(testPath)).toBe(expected);
});

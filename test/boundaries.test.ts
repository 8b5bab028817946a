import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

interface Violation {
  readonly rule: { readonly name: string };
  readonly from: string;
  readonly to: string;
}

const CONFIG = resolve('.dependency-cruiser.mjs');

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

type Files = Readonly<Record<string, string>>;

/** One violation for each rule: the rule, the file that breaks it, what it imports. */
const PLANTED: readonly (readonly [rule: string, from: string, text: string])[] = [
  ['layer-base', 'src/base/a.ts', `import '../store/index.ts';`],
  ['layer-evidence', 'src/evidence/a.ts', `import type { X } from '../store/index.ts';`],
  ['layer-store', 'src/store/a.ts', `import '../evidence/index.ts';`],
  ['layer-provenance', 'src/provenance/a.ts', `import '../run/index.ts';`],
  ['layer-lineage', 'src/lineage/a.ts', `import 'varve/evidence';`],
  ['layer-run', 'src/run/a.ts', `export type { X } from '../provenance/index.ts';`],
  ['layer-document', 'src/document/a.ts', `import '../store/index.ts';`],
  ['layer-pipeline', 'src/pipeline/a.ts', `import '../migration/index.ts';`],
  ['layer-branch', 'src/branch/a.ts', `import '../pipeline/index.ts';`],
  ['layer-migration', 'src/migration/a.ts', `import '../run/index.ts';`],
  ['layer-evolution', 'src/evolution/a.ts', `import '../document/index.ts';`],
  ['layer-replica', 'src/replica/a.ts', `await import('../store/index.ts');`],
  ['known-area', 'src/helpers/a.ts', `import '../base/index.ts';`],
  ['no-cycle', 'src/base/cycle-a.ts', `import type { X } from './cycle-b.ts';\nexport type Y = X;`],
  ['by-the-index', 'src/run/b.ts', `import '../base/inner.ts';`],
  ['driver-at-the-root', 'src/pipeline/b.ts', `import '../store/postgres/index.ts';`],
  ['driver-alone', 'src/store/duckdb/a.ts', `import '../postgres/index.ts';`],
  ['driver-package', 'src/run/c.ts', `import 'pg';`],
  ['kind-alone', 'src/migration/kind/graph/a.ts', `import '../search/index.ts';`],
  ['portable', 'src/evidence/b.ts', `import 'node:crypto';`],
  ['web-sees-the-contract', 'src/web/a.ts', `import type { X } from '../base/index.ts';`],
  ['web-types-only', 'src/web/b.ts', `import '../server/contract.ts';`],
  ['nobody-imports-a-root', 'src/run/d.ts', `import '../cli/index.ts';`],
  ['server-not-cli', 'src/server/a.ts', `import '../cli/index.ts';`],
  ['no-test-in-product', 'src/run/e.ts', `import './run.test.ts';`],
  ['shipped-packages-only', 'src/run/f.ts', `import 'vitest';`],
  ['resolves', 'examples/01-a/run.ts', `import 'varve/nowhere';`],
];

const INDEXED = ['base', 'evidence', 'store', 'store/postgres', 'provenance', 'run', 'pipeline', 'migration'];
const EMPTY = `export interface X { readonly x: string }\nexport const x = 1;\n`;

/** What both trees hold. */
const COMMON: Files = {
  ...Object.fromEntries([...INDEXED, 'document', 'cli'].map((area) => [`src/${area}/index.ts`, EMPTY])),
  'src/migration/kind/search/index.ts': EMPTY,
  'src/base/inner.ts': EMPTY,
  'src/server/contract.ts': EMPTY,
  'src/run/run.test.ts': `import 'vitest';\nimport '../store/postgres/index.ts';\n`,
  'package.json': JSON.stringify({
    name: 'varve',
    type: 'module',
    exports: { './*': { '@varve/source': './src/*/index.ts', default: './dist/*/index.js' } },
    dependencies: { pg: '1.0.0' },
    devDependencies: { vitest: '1.0.0' },
  }),
  ...installed('pg'),
  ...installed('vitest'),
};

/** Imports that look close to a violation and are none. */
const ALLOWED: Files = {
  'src/cli/main.ts': `import '../store/postgres/index.ts';\nimport 'varve/run';\n`,
  'src/server/a.ts': `import '../store/postgres/index.ts';\n`,
  'src/store/postgres/client.ts': `import 'pg';\nimport '../../base/index.ts';\n`,
  'src/web/a.ts': `import type { X } from '../server/contract.ts';\nexport type Y = X;\n`,
  'src/replica/hub.ts': `import 'node:crypto';\n`,
  'src/pipeline/a.ts': `import '../run/index.ts';\nimport type { X } from '../store/index.ts';\nexport type Y = X;\n`,
  'test/flow.test.ts': `import 'vitest';\nimport 'varve/store/postgres';\n`,
  'examples/01-a/run.ts': `import 'varve/base';\n`,
};

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-boundaries-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('a violation of each rule is caught', () => {
  let found: readonly Violation[];

  beforeAll(async () => {
    const planted = Object.fromEntries(PLANTED.map(([, from, text]) => [from, `${text}\n`]));
    const other = { 'src/base/cycle-b.ts': `import type { Y } from './cycle-a.ts';\nexport type X = Y;\n` };
    found = await violations('planted', { ...COMMON, ...planted, ...other });
  });

  test.for(PLANTED)('%s', ([rule, from]) => {
    expect(found.filter((violation) => violation.from === from).map(({ rule: { name } }) => name)).toContain(
      rule,
    );
  });

  test('and no rule is left out', async () => {
    const { default: config } = (await import(pathToFileURL(CONFIG).href)) as {
      readonly default: { readonly forbidden: readonly { readonly name: string }[] };
    };
    const rules = config.forbidden.map(({ name }) => name);
    expect(PLANTED.map(([rule]) => rule).toSorted()).toEqual(rules.toSorted());
  });
});

test('what the table allows is let through', async () => {
  expect(await violations('allowed', { ...COMMON, ...ALLOWED })).toEqual([]);
});

async function violations(name: string, files: Files): Promise<readonly Violation[]> {
  const root = join(folder, name);
  for (const [filePath, text] of Object.entries(files)) await put(join(root, filePath), text);
  await copyFile('tsconfig.json', join(root, 'tsconfig.json'));
  await Promise.all(['src', 'test', 'examples'].map((area) => mkdir(join(root, area), { recursive: true })));
  const cruise = [resolve('node_modules/.bin/depcruise'), 'src', 'test', 'examples'];
  const options = ['--config', CONFIG, '--output-type', 'json'];
  const { stdout, stderr } = await outputOf(process.execPath, [...cruise, ...options], root);
  expect(stderr).toBe('');
  const report = JSON.parse(stdout) as { readonly summary: { readonly violations: readonly Violation[] } };
  return report.summary.violations;
}

/** What a program printed, whatever its exit status: dependency-cruiser counts violations in it. */
async function outputOf(file: string, args: readonly string[], cwd: string): Promise<Output> {
  return promisify(execFile)(file, args, { cwd }).catch((error: Output) => error);
}

async function put(filePath: string, text: string): Promise<void> {
  await mkdir(dirname(filePath), { recursive: true });
  await writeFile(filePath, text);
}

function installed(name: string): Files {
  return {
    [`node_modules/${name}/package.json`]: JSON.stringify({ name, version: '1.0.0', main: 'index.js' }),
    [`node_modules/${name}/index.js`]: '',
  };
}

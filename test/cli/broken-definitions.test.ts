/** Definitions that cannot be loaded, or that say what they must not: `plan` and `apply` name the file, and change nothing. */
import { execFile } from 'node:child_process';
import { cp, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, type CliProject } from './cli-project.ts';

const CONFIG = `
import { defineConfig } from 'varve/pipeline';
import { lab } from './pipeline/lab.ts';
export default defineConfig({ stores: { main: { postgres: { urlFrom: 'DATABASE_URL' } } }, pipelines: [lab] });
`;

const labOf = (rest: string): string => `
import { pipeline, t } from 'varve/pipeline';
export const lab = pipeline('lab');
const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.integer() } });
${rest}
`;

/** What stands at line 5, and what is said of it. */
const BROKEN = {
  'does not parse': ['lab.manual("cage", { key: { cage: t.integer() } columns: {} });', 'config_invalid'],
  'throws at load': ['throw new TypeError("not today");', 'config_invalid'],
  'reads what is undefined': [
    'lab.manual("cage", { key: { cage: t.integer() }, columns: { n: t.integer().default((undefined as { n: number }).n) } });',
    'config_invalid',
  ],
  'has a column that is none': [
    'lab.manual("cage", { key: { cage: t.integer() }, columns: { n: "integer" } });',
    'config_invalid',
  ],
  'names no parent': ['lab.manual("cage", { parents: [Mouse, undefined] });', 'config_invalid'],
  'reads a column that is not there': [
    'lab.computed("heavy", { parents: [Mouse], columns: { y: t.integer() }, reads: { m: Mouse.columns("length") }, make: () => ({ y: 1 }) });',
    'definition_invalid',
  ],
  'imports what is not there': ['import { nothing } from "./nothing.ts"; void nothing;', 'config_invalid'],
} as const;

let database: PostgresDatabase;
let store: Store;
let project: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  project = await createCliProject({ 'varve.config.ts': CONFIG, 'pipeline/lab.ts': labOf('') });
  for (const command of ['plan', 'apply']) expect(await run(project, command)).toMatchObject({ exit: 0 });
  await writeFile(
    join(project.dir, 'pipeline/lab.ts'),
    labOf('lab.manual("cage", { key: { cage: t.integer() } });'),
  );
  expect(await run(project, 'plan')).toMatchObject({ exit: 0 });
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

interface Finding {
  readonly code: string;
  readonly subject: string;
  readonly detail: { readonly line?: number };
  readonly hint: string;
}

/** In a process of its own: a module that was imported once stays as it was. */
async function run(
  given: CliProject,
  command: string,
): Promise<{ readonly exit: number; readonly findings: readonly Finding[] }> {
  const options = { cwd: given.dir, env: { ...process.env, DATABASE_URL: database.url } };
  const child = promisify(execFile)(process.execPath, [resolve('bin/varve.js'), command, '--json'], options);
  const { stdout, code = 0 } = (await child.catch(
    (error: unknown) => error as { readonly stdout: string; readonly code?: number },
  )) as { readonly stdout: string; readonly code?: number };
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  return { exit: code, findings };
}

async function state(): Promise<unknown> {
  return {
    ledger: await store.query(sql`select count(*) as n from varve.ledger`),
    tables: await store.query(
      sql`select relname from pg_class where relnamespace = 'lab'::regnamespace order by 1`,
    ),
  };
}

describe('definitions', () => {
  it.each(Object.entries(BROKEN))('where the file %s', async (_, [text, code]) => {
    await using broken = await createCliProject({
      'varve.config.ts': CONFIG,
      'pipeline/lab.ts': labOf(text),
    });
    await cp(join(project.dir, 'migrations'), join(broken.dir, 'migrations'), { recursive: true });
    const before = await state();
    const bundles = await readdir(join(broken.dir, 'migrations/pipeline'));
    for (const command of ['plan', 'apply']) {
      const { exit, findings } = await run(broken, command);
      expect(exit).toBe(3);
      expect(findings).toMatchObject([{ code, hint: expect.stringMatching(/\w{3}/u) as string }]);
      if (code === 'config_invalid' && !text.startsWith('import'))
        expect(findings).toMatchObject([
          { subject: expect.stringMatching(/pipeline\/lab\.ts$/u) as string, detail: { line: 5 } },
        ]);
    }
    expect(await state()).toEqual(before);
    expect(await readdir(join(broken.dir, 'migrations/pipeline'))).toEqual(bundles);
  });

  it('where only the compiler objects, a plan is made, and the make that gives a wrong row writes none', async () => {
    const text =
      'lab.computed("heavy", { parents: [Mouse], columns: { y: t.integer() }, reads: { m: Mouse }, make: () => ({ y: "much" }) });';
    await using wrong = await createCliProject({ 'varve.config.ts': CONFIG, 'pipeline/lab.ts': labOf(text) });
    await cp(join(project.dir, 'migrations'), join(wrong.dir, 'migrations'), { recursive: true });
    expect(await run(wrong, 'plan')).toMatchObject({ exit: 0 });
    expect(await run(wrong, 'apply')).toMatchObject({ exit: 0 });
    await store.execute(sql`insert into lab.mouse values (1, 20)`);
    const populated = await run(wrong, 'populate');
    expect(populated.exit).not.toBe(0);
    expect(await store.query(sql`select count(*)::int as n from lab.heavy`)).toEqual([{ n: 0 }]);
  });
});

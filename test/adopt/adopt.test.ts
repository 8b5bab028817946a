import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { format } from 'prettier';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/index.ts';
import { embeddedStore } from '../../src/store/postgres/index.ts';
import { createCliProject, definitionsIn, type CliProject } from '../cli/cli-project.ts';
import { typeCheck } from './type-check.ts';

interface Adopted {
  readonly status: string;
  readonly files: readonly string[];
  readonly skipped: readonly string[];
  readonly tables: readonly { readonly table: string; readonly standsAs: string; readonly tier: string }[];
  readonly findings: readonly {
    readonly subject: string;
    readonly severity: string;
    readonly detail: { readonly what: string };
  }[];
}

const PRETTIER = { parser: 'typescript', printWidth: 110, singleQuote: true, trailingComma: 'all' } as const;

describe('varve adopt, on what people have in their databases', () => {
  let project: CliProject;
  let adopted: Adopted;
  const textOf = (file: string): Promise<string> => readFile(path.join(project.dir, 'lab', file), 'utf8');
  beforeAll(async () => {
    project = await createCliProject({});
    await using store: Store = await embeddedStore({ folder: path.join(project.dir, 'db') });
    await store.script(await readFile(new URL('odd-schema.sql', import.meta.url), 'utf8'));
    await store[Symbol.asyncDispose]();
    const argv = ['adopt', '--db', 'embedded:db', '--out', 'lab', '--json', '--command', "python3 'a b.py'"];
    const run = await project.run(argv);
    expect(run.exit, run.stderr).toBe(0);
    adopted = run.json() as unknown as Adopted;
    return () => project[Symbol.asyncDispose]();
  });

  it('writes definitions that say all that can be said', async () => {
    expect(adopted.files).toEqual([
      'package.json',
      '.gitignore',
      'pipeline/Other-Schema.ts',
      'varve.config.ts',
    ]);
    await expect(await textOf('pipeline/Other-Schema.ts')).toMatchFileSnapshot('expected/odd.txt');
    await expect(await textOf('varve.config.ts')).toMatchFileSnapshot('expected/odd-config.txt');
  });

  it('tells the rest, and nothing twice', async () => {
    const told = adopted.findings.map(
      ({ severity, subject, detail }) => `${severity}  ${subject}: ${detail.what}`,
    );
    await expect(`${told.join('\n')}\n`).toMatchFileSnapshot('expected/odd-findings.txt');
    expect(new Set(told).size).toBe(told.length);
    expect(adopted.skipped).toEqual(['odd.~log']);
  });

  it('lays them out as prettier does', async () => {
    for (const file of adopted.files.filter((each) => each.endsWith('.ts'))) {
      expect(await textOf(file)).toBe(await format(await textOf(file), PRETTIER));
    }
  });

  it('writes definitions that type-check', async () => {
    expect(await typeCheck(path.join(project.dir, 'lab'))).toBe('');
  });

  it('writes definitions of which every table is taken over as it stands', async () => {
    const within = { workingDir: path.join(project.dir, 'lab') };
    const { set } = await definitionsIn({ ...project, dir: within.workingDir });
    expect(set.tables).toHaveLength(adopted.tables.length);
    const refused = await project.run(['plan', '--json'], within);
    expect(refused.exit).toBe(3);
    const found = refused.json()['findings'] as readonly { readonly code: string }[];
    expect(found).toHaveLength(adopted.tables.length);
    expect(found.every(({ code }) => code === 'table_exists')).toBe(true);
    const plan = await project.run(['plan', '--adopt', '--json'], within);
    expect(plan.exit, plan.stdout).toBe(0);
    const operations = plan.json()['operations'] as readonly { readonly kind: string }[];
    expect(operations.map(({ kind }) => kind)).toEqual(adopted.tables.map(() => 'adopt_table'));
    const applied = await project.run(['apply', '--json'], within);
    expect(applied.exit, applied.stdout).toBe(0);
    const status = await project.run(['plan', '--json'], within);
    expect(status.json()).toMatchObject({ status: 'ok', migrationId: null });
  });

  it('overwrites nothing, and says what it misses', async () => {
    const codes = async (argv: readonly string[]): Promise<readonly unknown[]> => {
      const run = await project.run([...argv, '--json']);
      return (run.json()['findings'] as readonly { readonly code: string }[]).map(({ code }) => code);
    };
    expect(await codes(['adopt', '--db', 'embedded:db', '--out', 'lab'])).toEqual(['files_exist']);
    expect(await codes(['adopt', '--out', 'other'])).toEqual(['usage']);
    const other = ['adopt', '--db', 'embedded:db', '--out', 'other'];
    expect(await codes([...other, '--schema', 'nowhere'])).toEqual(['unknown_schema']);
    expect(await codes([...other, '--command', ' '])).toEqual(['usage']);
  });

  it('takes names as they are where it is asked to', async () => {
    const run = await project.run(['adopt', '--db', 'embedded:db', '--out', 'plain', '--plain', '--json']);
    const { tables } = run.json() as unknown as Adopted;
    expect(tables.every(({ table, standsAs, tier }) => table === standsAs && tier === 'manual')).toBe(true);
    expect(tables.map(({ table }) => table)).toContain('odd._film__frame');
    expect(await typeCheck(path.join(project.dir, 'plain'))).toBe('');
  });
});

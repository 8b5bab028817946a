import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createCliProject, type CliProject } from './cli-project.ts';

const exec = promisify(execFile);
const CONFIG = `
import { defineConfig } from 'varve/pipeline';
export default defineConfig({ stores: { main: { embedded: '.varve/db' } } });
`;
const NOTES = ['Why', 'Risks', 'Rollout', 'Rollback', 'Rollback verification']
  .map((heading) => `# ${heading}\n\nSaid.\n`)
  .join('\n');

interface Scene extends AsyncDisposable {
  readonly project: CliProject;
  readonly id: string;
  readonly path: (name: string) => string;
  /** The gates that are not passed, and the reasons or codes of their findings. */
  readonly gate: (...argv: string[]) => Promise<{
    readonly exit: number;
    readonly gates: Readonly<Record<string, string>>;
    readonly told: readonly string[];
  }>;
  readonly git: (...argv: string[]) => Promise<string>;
}

async function scene(fill = true): Promise<Scene> {
  const project = await createCliProject({ 'varve.config.ts': CONFIG });
  const made = (
    await project.run(['new', 'postgis', '--intent', "Sites get a code: 'yes'", '--json'])
  ).json();
  const id = String(made['migrationId']);
  const path = (name: string): string => join(project.dir, 'migrations/postgis', id, name);
  if (fill) await fillIn(path);
  return {
    project,
    id,
    path,
    gate: async (...argv) => {
      const { exit, json } = await project.run(['gate', ...argv, '--json']);
      const { migrations, findings } = json() as unknown as {
        readonly migrations: readonly {
          readonly gates: readonly { readonly gate: string; readonly status: string }[];
        }[];
        readonly findings: readonly {
          readonly code: string;
          readonly detail: Readonly<Partial<Record<'reason' | 'rung', string>>>;
        }[];
      };
      const gates = (migrations[0]?.gates ?? []).map(({ gate, status }) => [gate, status] as const);
      const told = findings.map(({ code, detail }) => `${code} ${detail.reason ?? detail.rung ?? ''}`.trim());
      return { exit, gates: Object.fromEntries(gates), told };
    },
    git: async (...argv) => {
      const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'init.defaultBranch=main'];
      return (await exec('git', ['-C', project.dir, ...who, ...argv])).stdout;
    },
    [Symbol.asyncDispose]: () => project[Symbol.asyncDispose](),
  };
}

async function fillIn(path: (name: string) => string): Promise<void> {
  const yaml = await readFile(path('migration.yml'), 'utf8');
  await writeFile(
    path('migration.yml'),
    yaml
      .replace('allowed_schemas: []', 'allowed_schemas: [app]')
      .replace('allowed_tables: []', 'allowed_tables: [site]')
      .replace('max_table_count_touched: 0', 'max_table_count_touched: 1'),
  );
  await writeFile(path('forward.sql'), 'alter table app.site add column code text;\n');
  await writeFile(path('rollback.sql'), 'alter table app.site drop column code;\n');
  await writeFile(path('notes.md'), NOTES);
}

/** A plan of the bundle as it is, of the shape that planning writes; what it says of the database is not asked here. */
async function writePlan(s: Scene): Promise<void> {
  const { readBundle } = await import('../../src/migration/index.ts');
  const { canonicalBytes, digestOf } = await import('../../src/evidence/index.ts');
  const reading = await readBundle(join(s.project.dir, 'migrations'), s.id);
  if (reading.status === 'refused') throw new Error(JSON.stringify(reading.findings));
  const { declaration, digest } = reading.bundle;
  const bound = {
    kind: 'postgis',
    direction: 'forward',
    migration_id: s.id,
    bundle_digest: digest,
    scope: declaration.scope,
    limits: declaration.limits,
    rollback_class: 'lossless',
    tables: [],
    objects: ['app.site'],
    work: {},
  };
  const plan = {
    plan_version: 'v1',
    migration_id: s.id,
    bundle_digest: digest,
    plan_digest: digestOf(bound),
    bound,
    shown: {},
  };
  await writeFile(s.path('plan.json'), canonicalBytes(plan));
}

describe('varve new', () => {
  it('writes a bundle that is refused until it is filled in, and passes check then', async () => {
    await using s = await scene(false);
    const { exit, json } = await s.project.run(['check', '--json']);
    expect(exit).toBe(3);
    const codes = (json()['findings'] as readonly { readonly code: string }[]).map(({ code }) => code);
    expect(codes.filter((code) => code === 'notes_incomplete')).toHaveLength(5);
    await fillIn(s.path);
    expect((await s.project.run(['check'])).exit).toBe(0);
    expect(await readFile(s.path('migration.yml'), 'utf8')).toContain(`intent: "Sites get a code: 'yes'"`);
  });

  it('M3 takes the next free id each time, and overwrites nothing', async () => {
    await using s = await scene();
    const before = await readFile(s.path('notes.md'), 'utf8');
    const made = (await s.project.run(['new', 'postgis', '--json'])).json();
    expect(made['migrationId']).toBe(s.id.replace(/01$/u, '02'));
    expect(await readFile(s.path('notes.md'), 'utf8')).toBe(before);
    await rm(dirname(s.path('notes.md')), { recursive: true });
    expect((await s.project.run(['new', 'postgis', '--json'])).json()['migrationId']).toBe(
      s.id.replace(/01$/u, '03'),
    );
  });

  it('leaves a pipeline to plan, and an intent that is too long to its author', async () => {
    await using s = await scene();
    expect((await s.project.run(['new', 'pipeline', '--json'])).json()).toMatchObject({
      findings: [{ code: 'kind_unavailable' }],
    });
    expect((await s.project.run(['new', 'postgis', '--intent', 'x'.repeat(501)])).exit).toBe(3);
  });
});

describe('a policy', () => {
  it('M129 begins with varve new policy, and blocks the gate where a fixture is missing or decided otherwise', async () => {
    await using s = await scene();
    await writePlan(s);
    const made = await s.project.run(['new', 'policy']);
    expect(made.exit).toBe(0);
    expect(made.stdout).toContain('migrations/registry/policy/main.cedar');
    expect((await s.project.run(['new', 'policy', '--json'])).json()).toMatchObject({
      findings: [{ code: 'files_exist' }],
    });
    expect(await s.gate()).toMatchObject({ exit: 0, told: [] });
    const folder = join(s.project.dir, 'migrations/registry/policy');
    // A policy is scanned like every file that people write (M124).
    const key = ['ghp', 'Zk3v9QeR7tYu2WoP5xSd8fGh1JkL4mNb6VcX'].join('_');
    await writeFile(join(folder, 'note.cedar'), `// token: ${key}\n`);
    expect((await s.gate()).told.join('\n')).toContain('secret_found');
    await rm(join(folder, 'note.cedar'));
    await rm(join(folder, 'deny/apply.prod.nameless.json'));
    await writeFile(
      join(folder, 'more.cedar'),
      'forbid (principal, action == Action::"retire", resource) when { context.environment == "dev" };',
    );
    expect(await s.gate()).toMatchObject({
      exit: 3,
      told: ['policy_fixture_failed decided_otherwise', 'policy_fixture_failed missing'],
    });
    const junit = await s.project.run(['gate', '--format', 'junit']);
    expect(junit.stdout).toContain('policy_fixture_failed');
  });
});

describe('varve gate', () => {
  it('M56 has six gates in their order; one that did not run blocks, and passes once it can', async () => {
    await using s = await scene();
    const before = await s.gate();
    expect(Object.keys(before.gates)).toEqual([
      'declaration_schema',
      'secret_scan',
      'scope_and_limits',
      'invariants',
      'rollback_posture',
      'receipt_schema',
    ]);
    expect(before).toMatchObject({
      exit: 3,
      gates: { scope_and_limits: 'not_run' },
      told: ['gate_not_run no_plan'],
    });
    await writePlan(s);
    expect(await s.gate()).toMatchObject({
      exit: 0,
      told: [],
      gates: { scope_and_limits: 'pass', invariants: 'pass', receipt_schema: 'nothing_yet' },
    });
  });

  it('M55 there is no flag that turns a gate off, and --yes approves nothing', async () => {
    await using s = await scene();
    for (const flag of ['--skip', '--force', '--no-verify', '--no-secret-scan'])
      expect((await s.project.run(['gate', flag])).exit).toBe(2);
    expect((await s.project.run(['gate', '--yes'])).exit).toBe(3);
    expect((await s.project.run(['gate'], { env: { VARVE_SKIP_GATES: '1' } })).exit).toBe(3);
  });

  it.each<readonly [string, (s: Scene) => Promise<unknown>, string, string]>([
    [
      'M46 a way back of comments',
      (s) => writeFile(s.path('rollback.sql'), '-- drop it\n'),
      'rollback_posture',
      'rollback_missing R1',
    ],
    [
      'M46 a way back that selects',
      (s) => writeFile(s.path('rollback.sql'), 'select 1;\n'),
      'rollback_posture',
      'rollback_missing R1',
    ],
    [
      'M105 a way back that is no SQL',
      (s) => writeFile(s.path('rollback.sql'), 'drop colum;\n'),
      'rollback_posture',
      'sql_invalid R2',
    ],
    [
      'M124 a password',
      (s) => writeFile(s.path('forward.sql'), "alter role app password 'Tr0ub4dor&3';\n"),
      'secret_scan',
      'secret_found',
    ],
    [
      'M45 a heading gone',
      (s) => writeFile(s.path('notes.md'), NOTES.replace('# Risks', '')),
      'declaration_schema',
      'notes_incomplete missing',
    ],
    [
      'M54 a canonical zone',
      (s) => edit(s, 'allowed_schemas: [app]', 'allowed_schemas: [app, Raw]'),
      'declaration_schema',
      'scope_violation canonical_zone',
    ],
    [
      'M57 a group of nobody',
      (s) => edit(s, "['group:approvers']", '[group:nobody]'),
      'declaration_schema',
      'declaration_invalid no_such_group',
    ],
    [
      'M9 an unknown key',
      (s) => edit(s, 'scope:', 'colour: red\nscope:'),
      'declaration_schema',
      'declaration_invalid',
    ],
    [
      'M6 other line endings',
      async (s) =>
        writeFile(
          s.path('forward.sql'),
          (await readFile(s.path('forward.sql'), 'utf8')).replaceAll('\n', '\r\n'),
        ),
      'scope_and_limits',
      'bundle_changed',
    ],
    [
      'M41 a receipt that is none',
      async (s) => {
        await mkdir(s.path('receipts'));
        await writeFile(s.path('receipts/run_receipt.json'), '{');
      },
      'receipt_schema',
      'evidence_missing',
    ],
  ])('blocks %s', async (_what, spoil, gate, told) => {
    await using s = await scene();
    await writePlan(s);
    await spoil(s);
    const report = await s.gate();
    expect(report.exit).toBe(3);
    expect(report.gates[gate]).toBe('fail');
    expect(report.told.join('\n')).toContain(told);
  });

  it('M52 shows what a bundle allows more than it was planned and signed with; a draft may grow', async () => {
    await using s = await scene();
    await writePlan(s);
    await edit(s, 'max_row_backfill: 0', 'max_row_backfill: 7');
    expect((await s.gate()).told).not.toContain('scope_widened');
    await mkdir(join(dirname(s.path('notes.md')), 'approvals'), { recursive: true });
    await writeFile(join(dirname(s.path('notes.md')), 'approvals/stage.apply.eve.dsse.json'), '{}');
    const report = await s.gate();
    expect(report.told).toContain('scope_widened');
    expect(report.gates['declaration_schema']).toBe('fail');
  });

  it('M28 a bundle that was copied here is entered on request', async () => {
    await using s = await scene();
    await writePlan(s);
    await rm(join(s.project.dir, 'migrations/registry/migrations.v1.json'));
    expect((await s.gate()).told).toContain('registry_invalid no_entry');
    expect((await s.gate('--register')).told).toEqual([]);
  });

  it('M48 a registry that claims more than the evidence is refused', async () => {
    await using s = await scene();
    await writePlan(s);
    const file = join(s.project.dir, 'migrations/registry/migrations.v1.json');
    const registry = JSON.parse(await readFile(file, 'utf8')) as {
      migrations: { status: string; history: { status: string }[] }[];
    };
    const [entry] = registry.migrations;
    if (entry === undefined) throw new Error('no entry');
    entry.history.push({ ...entry.history[0], status: 'executed_prod' });
    entry.status = 'executed_prod';
    await writeFile(file, JSON.stringify(registry));
    expect((await s.gate()).told).toContain('registry_invalid claims_more');
  });

  it('M51 a frozen bundle counts as merged where there is no version control', async () => {
    await using s = await scene();
    await writePlan(s);
    expect(await s.gate('--freeze')).toMatchObject({ exit: 0 });
    const text = await readFile(join(s.project.dir, 'migrations/registry/migrations.v1.json'), 'utf8');
    expect(text).toContain('"status": "merged"');
  });

  it('M6 M51 what is merged is neither edited, nor deleted, nor rewritten in its history', async () => {
    await using s = await scene();
    await writePlan(s);
    await s.git('init', '-q');
    await s.git('add', '-A', '-f', 'migrations');
    await s.git('commit', '-qm', 'one');
    expect(await s.gate('--base', 'main')).toMatchObject({ exit: 0, told: [] });
    await writeFile(s.path('notes.md'), `${NOTES}\n`);
    expect((await s.gate('--base', 'main')).told).toContain('bundle_changed merged_and_edited');
    await writeFile(s.path('notes.md'), NOTES.replaceAll('\n', '\r\n'));
    expect((await s.gate('--base', 'main')).told).toContain('bundle_changed merged_and_edited');
    const folder = dirname(s.path('notes.md'));
    await rename(folder, folder.replace(/01$/u, '02'));
    expect((await s.gate('--base', 'main')).told).toContain('bundle_changed merged_and_removed');
    await rm(join(s.project.dir, 'migrations'), { recursive: true });
    expect((await s.gate('--base', 'main')).told).toEqual(
      expect.arrayContaining(['bundle_changed merged_and_removed', 'registry_invalid entry_removed']),
    );
  });

  it('takes no revision for an option or a command', async () => {
    await using s = await scene();
    await writePlan(s);
    await s.git('init', '-q');
    for (const revision of ['--help', '; touch owned', '$(touch owned)', 'no-such-branch', '--output=owned'])
      expect((await s.gate(`--base=${revision}`)).told).toContain('revision_unknown');
    await expect(readFile(join(s.project.dir, 'owned'))).rejects.toThrow('ENOENT');
  });

  it.each(['sarif', 'junit', 'json', 'text'])('is written as %s', async (format) => {
    await using s = await scene();
    const { stdout, exit } = await s.project.run(['gate', s.id, '--format', format]);
    expect(exit).toBe(3);
    expect(stdout).toContain(format === 'text' ? 'DID NOT RUN' : 'gate_not_run');
  });

  it('refuses an id that is not there', async () => {
    await using s = await scene();
    expect((await s.gate('PG-MIG-2020-01-01-01')).told).toContain('bundle_missing');
  });
});

async function edit(s: Scene, what: string, instead: string): Promise<void> {
  const yaml = await readFile(s.path('migration.yml'), 'utf8');
  if (!yaml.includes(what)) throw new Error(`no ${what}`);
  await writeFile(s.path('migration.yml'), yaml.replace(what, instead));
}

import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeBundle } from '../../src/migration/index.ts';
import type { Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { doubleDraft, doubleKind } from '../migration/double-kind.ts';
import { createCliProject, normalised, type CliProject } from './cli-project.ts';

const ID = 'PIPE-MIG-2026-03-01-01';
const FAILING = 'PIPE-MIG-2026-03-02-01';

let database: PostgresDatabase;
let store: Store;
let project: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  await store.script(`
    create schema lab; create table lab.thing (id int primary key, value int not null);
    insert into lab.thing select i, i * 10 from generate_series(1, 5) i;`);
  const config = `export default { stores: { main: { postgres: { urlFrom: 'DATABASE_URL' } } } };`;
  project = await createCliProject(
    { 'varve.config.ts': config },
    { DATABASE_URL: database.url },
    { kinds: () => Promise.resolve({ list: [doubleKind] }) },
  );
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

const root = (): string => join(project.dir, 'migrations');
const run = async (...argv: string[]): Promise<readonly [number, string, string]> => {
  const { exit, stdout, stderr } = await project.run(argv);
  return [exit, normalised(stdout, project.dir), normalised(stderr, project.dir)];
};

describe('the road of a migration on the command line', () => {
  it('says that nothing was deployed yet', async () => {
    expect(await run('status')).toMatchInlineSnapshot(`
      [
        0,
        "dev: there are no migrations.
      ",
        "",
      ]
    `);
    expect(await run('apply')).toMatchInlineSnapshot(`
      [
        0,
        "No migration is pending.
      ",
        "",
      ]
    `);
  });

  it('does not pass over a bundle that cannot be read, for it may be the one that is meant', async () => {
    const folder = join(root(), 'pipeline', ID);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'migration.yml'), 'migration_id: [');
    const [exit, stdout, stderr] = await run('apply');
    expect({ exit, stdout }).toEqual({ exit: 3, stdout: '' });
    expect(stderr).toContain(`error: declaration_invalid  ${ID}/migration.yml`);
    await rm(folder, { recursive: true });
  });

  it('plans', async () => {
    await writeBundle(root(), doubleDraft(ID, 'lab.thing'));
    expect(await run('plan', ID)).toMatchInlineSnapshot(`
      [
        0,
        "PIPE-MIG-2026-03-01-01
        Every thing gets its double.
      table      keep  backfill  recompute  retire  ambiguous
      lab.thing     0         5          0       0          0
      Nothing has changed yet. Go on with: varve apply PIPE-MIG-2026-03-01-01
      ",
        "",
      ]
    `);
    expect(await run('plan', ID, '--json')).toMatchInlineSnapshot(`
      [
        0,
        "{
        "status": "ok",
        "findings": [],
        "migrationId": "PIPE-MIG-2026-03-01-01",
        "planDigest": "sha256:<digest>",
        "tables": [
          {
            "table": "lab.thing",
            "keep": 0,
            "rekey": 0,
            "backfill": 5,
            "recompute": 0,
            "retire": 0,
            "ambiguous": 0,
            "carried": 0
          }
        ],
        "reasons": [],
        "operations": [],
        "cost": null,
        "questions": [],
        "rollbackClass": "lossless"
      }
      ",
        "",
      ]
    `);
    expect(await run('status')).toMatchInlineSnapshot(`
      [
        0,
        "migration               status   last run
      PIPE-MIG-2026-03-01-01  pending
      ",
        "",
      ]
    `);
  });

  it('applies the one that is pending, and only once', async () => {
    expect(await run('apply')).toMatchInlineSnapshot(`
      [
        0,
        "PIPE-MIG-2026-03-01-01 is applied.
      table      keep  backfill  recompute  retire  ambiguous
      lab.thing     0         5          0       0          0
      run      varve://run/<time>.migration.PIPE-MIG-2026-03-01-01.<id>
      receipt  migrations/pipeline/PIPE-MIG-2026-03-01-01/receipts/run_receipt.json
               sha256:<digest>
      ",
        "",
      ]
    `);
    expect(await run('apply', ID)).toMatchInlineSnapshot(`
      [
        0,
        "PIPE-MIG-2026-03-01-01 was applied before; nothing was done now.
      table      keep  backfill  recompute  retire  ambiguous
      lab.thing     0         5          0       0          0
      run      varve://run/<time>.migration.PIPE-MIG-2026-03-01-01.<id>
      receipt  migrations/pipeline/PIPE-MIG-2026-03-01-01/receipts/run_receipt.json
               sha256:<digest>
      ",
        "",
      ]
    `);
    expect(await run('status', '--env', 'stage')).toEqual([
      0,
      expect.stringMatching(/^migration +status +last run +elsewhere\n.*\bdev\n$/u),
      '',
    ]);
    expect(await run('status', '--json')).toMatchInlineSnapshot(`
      [
        0,
        "{
        "status": "ok",
        "findings": [],
        "environment": "dev",
        "migrations": [
          {
            "migrationId": "PIPE-MIG-2026-03-01-01",
            "status": "applied",
            "runId": "varve://run/<time>.migration.PIPE-MIG-2026-03-01-01.<id>",
            "at": "<time>",
            "drifted": false,
            "letGoAt": null,
            "environments": [
              {
                "environment": "dev",
                "stands": true,
                "wasRolledBack": false
              }
            ],
            "history": {
              "tables": 0,
              "rows": 0,
              "sizeBytes": 0
            }
          }
        ],
        "unfinished": [],
        "adopted": [],
        "history": {
          "tables": 0,
          "rows": 0,
          "sizeBytes": 0
        }
      }
      ",
        "",
      ]
    `);
  });

  it('rolls back', async () => {
    expect(await run('rollback', ID, '--json')).toMatchInlineSnapshot(`
      [
        0,
        "{
        "status": "ok",
        "findings": [],
        "runId": "varve://run/<time>.migration.PIPE-MIG-2026-03-01-01.<id>",
        "migrationId": "PIPE-MIG-2026-03-01-01",
        "receipt": {
          "path": "migrations/pipeline/PIPE-MIG-2026-03-01-01/receipts/run_receipt.json",
          "digest": "sha256:<digest>"
        },
        "direction": "rollback",
        "already": false,
        "tables": [
          {
            "table": "lab.thing",
            "keep": 0,
            "rekey": 0,
            "backfill": 5,
            "recompute": 0,
            "retire": 0,
            "ambiguous": 0,
            "carried": 0
          }
        ],
        "enforcement": {
          "level": "observed",
          "layers": [
            "row_counts"
          ],
          "role": "none"
        }
      }
      ",
        "",
      ]
    `);
    expect(await run('rollback', ID)).toMatchInlineSnapshot(`
      [
        0,
        "PIPE-MIG-2026-03-01-01 was rolled back before; nothing was done now.
      table      keep  backfill  recompute  retire  ambiguous
      lab.thing     0         5          0       0          0
      run      varve://run/<time>.migration.PIPE-MIG-2026-03-01-01.<id>
      receipt  migrations/pipeline/PIPE-MIG-2026-03-01-01/receipts/run_receipt.json
               sha256:<digest>
      ",
        "",
      ]
    `);
  });

  it('lists, shows and verifies receipts', async () => {
    expect(await run('receipts')).toMatchInlineSnapshot(`
      [
        0,
        "closed                    environment  migration               direction  receipt
      <time>  dev          PIPE-MIG-2026-03-01-01  forward    sha256:<digest>
      <time>  dev          PIPE-MIG-2026-03-01-01  rollback   sha256:<digest>
      ",
        "",
      ]
    `);
    const path = `migrations/pipeline/${ID}/receipts/run_receipt.json`;
    expect(await run('receipts', 'show', ID)).toMatchInlineSnapshot(`
      [
        0,
        "PIPE-MIG-2026-03-01-01  rollback  committed
      run          varve://run/<time>.migration.PIPE-MIG-2026-03-01-01.<id>
      by           user:ada on <host> in dev
      from, to     <time>, <time>
      commit       <commit>
      bundle       sha256:<digest>
      plan         sha256:<digest>
      enforcement  observed (row_counts)
      way back     lossless
      check              status
      declaration        pass
      bundle_unchanged   pass
      scope              pass
      limits             pass
      enforcement        pass
      counts_as_planned  pass
      baseline_equality  pass
      rows_complete      pass
      after: tidy        pass
      read_back          pass
      signature          not_run
      ",
        "",
      ]
    `);
    expect((await project.run(['receipts', 'show', ID, '--json'])).json()).toMatchObject({
      status: 'ok',
      receipt: { migration_id: ID, direction: 'rollback', outcome: 'committed' },
    });
    expect(await run('receipts', 'verify', '--all')).toMatchInlineSnapshot(`
      [
        0,
        "verified  PIPE-MIG-2026-03-01-01  committed  pipeline/PIPE-MIG-2026-03-01-01/receipts/run_receipt.json
      Looked at 36 files and 1 receipt: everything holds.
      ",
        "",
      ]
    `);
    expect((await run('receipts', 'verify', path))[0]).toBe(0);
  });

  it('refuses a receipt of which a byte was changed', async () => {
    const path = join(root(), 'pipeline', ID, 'receipts', 'run_receipt.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('user:ada', 'user:eve'));
    const [exit, stdout, stderr] = await run('receipts', 'verify', '--all');
    await writeFile(path, text);
    expect([exit, stdout]).toEqual([3, expect.stringContaining('refuted')]);
    expect(stderr).toContain('run_receipt.json');
  });

  it('ends with exit status 4 when a step fails, and has undone it', async () => {
    await writeBundle(root(), doubleDraft(FAILING, 'lab.thing', { failAt: 'decide' }));
    await run('plan', FAILING);
    expect(await run('apply', FAILING)).toMatchInlineSnapshot(`
      [
        4,
        "PIPE-MIG-2026-03-02-01 was undone: what stands in the database is the baseline of the run.
      run      varve://run/<time>.migration.PIPE-MIG-2026-03-02-01.<id>
      receipt  migrations/pipeline/PIPE-MIG-2026-03-02-01/receipts/run_receipt.json
      ",
        "error: sql_invalid  cut over  the database does not accept this SQL: sqlstate 22012
        Correct the statement at this position.
      ",
      ]
    `);
    expect((await run('apply', FAILING, '--json'))[0]).toBe(4);
  });

  it('recovers when there is nothing to recover', async () => {
    expect(await run('recover')).toEqual([0, 'No run is unfinished.\n', '']);
    expect((await project.run(['recover', '--json'])).json()).toEqual({
      status: 'ok',
      findings: [],
      completed: [],
      runs: [],
    });
  });

  it.each([
    [['plan'], 3, 'kind_unavailable'],
    [['plan', 'PIPE-MIG-2026-03-01-02'], 3, `Ask for ${ID}`],
    [['plan', 'nonsense'], 3, 'bundle_invalid'],
    [['apply', 'PIPE-MIG-2026-03-01-02'], 3, 'bundle_missing'],
    [['apply', ID, '--attribute', 'recompute'], 3, 'without --attribute'],
    [['apply', ID, '--attribute', '=b'], 2, 'Not TABLE=RULE'],
    [['apply', ID, '--env', 'production'], 2, 'Allowed choices are dev, stage, prod'],
    [['apply', ID, '--branch', 'trial'], 2, 'cannot follow --branch'],
    [['rollback'], 2, "missing required argument 'id'"],
    [['rollback', FAILING], 3, 'not_applied'],
    [['receipts', 'verify', '--all', 'x.json'], 2, 'PATH and --all at once'],
    [['receipts', 'show', 'PIPE-MIG-2026-03-01-07'], 3, 'evidence_missing'],
    [['recover', '--env', 'prod'], 3, 'ledger_fork'],
  ])('%j ends with exit status %i', async (argv, exit, said) => {
    const got = await run(...argv);
    expect(got[2]).toContain(said);
    expect([got[0], got[1]]).toEqual([exit, '']);
  });
});

describe('VARVE_FAULT_POINT', () => {
  it('kills the process at that point, and apply goes on from there', async () => {
    const id = 'PIPE-MIG-2026-03-03-01';
    await store.script(
      `create table lab.other (id int primary key, value int not null); insert into lab.other values (1, 1)`,
    );
    await writeBundle(root(), doubleDraft(id, 'lab.other'));
    await run('plan', id);
    const killed = applyInProcess(id, { VARVE_FAULT_POINT: 'F12_ledger_row' });
    expect(killed).toMatchObject({ status: null, signal: 'SIGKILL' });
    expect((await project.run(['status', '--json'])).json()).toMatchObject({
      unfinished: [{ migrationId: id, direction: 'forward' }],
    });
    expect((await project.run(['status'])).stdout).toContain(`run varve apply ${id} to go on`);
    expect((await project.run(['apply', id, '--json'])).json()).toMatchObject({
      status: 'ok',
      already: false,
    });
    expect((await project.run(['receipts', 'verify', '--all'])).exit).toBe(0);
  });

  it('leaves a decided run without its receipt, which recover writes', async () => {
    const id = 'PIPE-MIG-2026-03-03-02';
    await store.script(
      `create table lab.third (id int primary key, value int not null); insert into lab.third values (1, 1)`,
    );
    await writeBundle(root(), doubleDraft(id, 'lab.third'));
    await run('plan', id);
    expect(applyInProcess(id, { VARVE_FAULT_POINT: 'F13_committed' })).toMatchObject({ signal: 'SIGKILL' });
    expect((await project.run(['status'])).stdout).toContain(': run varve recover to complete it');
    await project.run(['recover']);
    expect((await project.run(['status'])).stdout).not.toContain('unfinished');
    expect((await project.run(['receipts', 'verify', '--all'])).exit).toBe(0);
  });
});

/** In a process of its own, which the kill ends. */
function applyInProcess(id: string, env: Readonly<Record<string, string>>): ReturnType<typeof spawnSync> {
  const program = `
    import { main } from ${JSON.stringify(new URL('../../src/cli/main.ts', import.meta.url).href)};
    import { doubleKind } from ${JSON.stringify(new URL('../migration/double-kind.ts', import.meta.url).href)};
    process.exitCode = await main(['apply', ${JSON.stringify(id)}], undefined, { kinds: async () => ({ list: [doubleKind] }) });`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: project.dir,
    encoding: 'utf8',
    env: { ...process.env, VARVE_ACTOR: 'ada', DATABASE_URL: database.url, ...env },
  });
}

import { cp } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, normalised, type CliProject } from './cli-project.ts';
import { LAB } from './lab.ts';

let database: PostgresDatabase;
let store: Store;
let first: CliProject;
/** The same project later: its make says the same in other words. */
let later: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  const env = { DATABASE_URL: database.url };
  first = await createCliProject(LAB, env);
  const file = LAB['pipeline/lab.ts'] ?? '';
  later = await createCliProject(
    { ...LAB, 'pipeline/lab.ts': file.replace('mouse.weight > 30', '!(mouse.weight <= 30)') },
    env,
  );
  for (const argv of [['plan'], ['apply']]) expect((await first.run(argv)).exit).toBe(0);
  await store.execute(sql`insert into lab.mouse select n, n from generate_series(1, 60) n`);
  expect((await first.run(['populate'])).exit).toBe(0);
  await cp(path.join(first.dir, 'migrations'), path.join(later.dir, 'migrations'), { recursive: true });
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  await later[Symbol.asyncDispose]();
});

const run = async (...argv: string[]): Promise<readonly [number, string, string]> => {
  const { exit, stdout, stderr } = await later.run(argv);
  return [exit, normalised(stdout, later.dir), normalised(stderr, later.dir)];
};

it('keeps the rows of a make that was only written anew, and takes that back', async () => {
  expect((await run('stale'))[1]).toContain('lab.grade  60 stale keys');
  const planned = await run('plan', '--attest', 'grade', '--sample', '20');
  expect(planned).toMatchInlineSnapshot(`
    [
      0,
      "PIPE-MIG-<day>-02
      attest     lab.grade   (on 20 keys of each earlier code)
    table      keep  backfill  recompute  retire  ambiguous
    lab.grade    60         0          0       0          0
    Nothing has changed yet. Go on with: varve apply PIPE-MIG-<day>-02
    ",
      "",
    ]
  `);
  expect(await run('plan', '--attest', 'grade', '--sample', '20')).toEqual(planned);
  expect(await run('apply')).toMatchObject([0, expect.any(String), '']);
  expect((await run('stale'))[1]).toBe('Nothing is stale.\n');
  const { json } = await later.run(['why', 'grade', '--key', '{"mouse":3}', '--json']);
  expect(json()).toMatchObject({
    origin: { computation: { origin: 'attributed', attribution: { rule: 'attested', sample: 20 } } },
  });
  expect((await run('receipts', 'verify', '--all'))[0]).toBe(0);

  const status = await later.run(['status', '--json']);
  const migrations = status.json()['migrations'] as readonly { readonly migrationId: string }[];
  expect(await run('rollback', migrations.at(-1)?.migrationId ?? '')).toMatchObject([
    0,
    expect.any(String),
    '',
  ]);
  expect((await run('stale'))[1]).toContain('lab.grade  60 stale keys');
});

it.each([
  [['plan', '--attest', 'lab.mouse'], 3, 'unknown_table'],
  [['plan', '--attest', 'graed'], 3, 'Did you mean grade?'],
  [['plan', '--sample', '5'], 2, '--sample or --seed without --attest'],
  [['plan', '--attest', 'grade', '--sample', 'all'], 2, 'Not a whole number'],
  [['plan', 'PIPE-MIG-2026-03-01-01', '--attest', 'grade'], 2, '--attest or --adopt, and an id, at once'],
])('%j is refused with what to do', async (argv, exit, text) => {
  const [found, stdout, stderr] = await run(...argv);
  expect([found, stdout]).toEqual([exit, '']);
  expect(stderr).toContain(text);
});

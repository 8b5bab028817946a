import { afterAll, beforeAll, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, type CliProject } from './cli-project.ts';
import { LAB } from './lab.ts';

let database: PostgresDatabase;
let store: Store;
let project: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  project = await createCliProject(LAB, { DATABASE_URL: database.url });
  for (const argv of [['plan'], ['apply']]) expect((await project.run(argv)).exit).toBe(0);
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

const run = async (...argv: string[]): Promise<readonly [number, string, string]> => {
  const { exit, stdout, stderr } = await project.run(argv);
  // Two digits less than a digest of the starter's make would be the same each time; the make is not what is tested.
  return [exit, stdout.replaceAll(/sha256:[0-9a-f]{8}\b/gu, 'sha256:<code>'), stderr];
};

it('has nothing to take a sample of before anything is computed', async () => {
  expect(await run('verify', '--sample')).toEqual([0, 'There is no computed row to take a sample of.\n', '']);
});

it('says what a sample proves and what not', async () => {
  await store.execute(sql`insert into lab.mouse select n, n from generate_series(1, 60) n`);
  expect((await run('populate'))[0]).toBe(0);
  expect(await run('verify', '--sample', '40')).toMatchInlineSnapshot(`
    [
      0,
      "table      code             keys  sampled  equal  stale  differing  wrong, at most
    lab.grade  sha256:<code>    60       40     40      0          0           7.5 %
    "at most": the share of wrong keys that so many equal ones leave possible, with 95 % confidence, stale keys apart.
    Nothing is proved of keys without a row. Every row is compared by varve verify --full
    ",
      "",
    ]
  `);
  expect((await run('verify', '--sample'))[1]).toContain(' 0 %\n');
});

it('names what differs by digests and counts, never by its values', async () => {
  await store.execute(sql`update lab.grade set heavy = not heavy where mouse = 7`);
  await store.execute(sql`update lab.mouse set weight = 987654 where mouse = 8`);
  const { exit, json, stdout } = await project.run([
    'verify',
    'grade',
    '--sample=60',
    '--seed',
    'x',
    '--json',
  ]);
  expect(exit).toBe(3);
  expect(json()).toMatchObject({
    status: 'refused',
    isEqual: false,
    isStale: false,
    tables: [
      {
        table: 'lab.grade',
        seed: 'x',
        codes: [
          { isPresent: true, keys: 60, sampled: 60, equal: 58, stale: 1, differing: 1, wrongAtMost: null },
        ],
      },
    ],
    findings: [
      {
        code: 'verify_differs',
        subject: 'lab.grade',
        detail: {
          sampled: 60,
          differing: 1,
          keys: [
            {
              key: expect.stringMatching(/^[0-9a-f]{32}$/u) as unknown,
              stored: expect.stringMatching(/^sha256:[0-9a-f]{64}$/u) as unknown,
              computed: expect.stringMatching(/^sha256:[0-9a-f]{64}$/u) as unknown,
            },
          ],
        },
      },
      { code: 'verify_stale', subject: 'lab.grade', detail: { rows: 1 } },
    ],
  });
  expect(stdout).not.toMatch(/987654|"mouse"/u);

  await store.execute(sql`update lab.grade set heavy = not heavy where mouse = 7`);
  const full = await project.run(['verify', '--full', '--json']);
  expect([full.exit, full.json()]).toMatchObject([
    3,
    {
      isEqual: false,
      isStale: true,
      tables: [{ rows: 60, equal: 59, stale: 1, differing: 0 }],
      findings: [{ code: 'verify_stale' }],
    },
  ]);
  expect((await run('populate'))[0]).toBe(0);
  expect((await run('verify', '--full'))[0]).toBe(0);
});

it.each([
  [['verify', '--sample', 'lab.grade'], 2, 'Name the tables before --sample'],
  [['verify', '--sample', '0'], 2, 'Not a whole number'],
  [['verify', '--sample', '--full'], 2, 'cannot be used with'],
  [['verify', '--full', '--seed', 'x'], 2, 'cannot be used with'],
  [['verify', '--seed', 'x'], 2, '--seed without a proof'],
  [['verify', '--imported'], 2, '--imported without a proof'],
  [['verify', 'lab.mouse', '--sample'], 3, 'unknown_table'],
])('%j is refused with what to do', async (argv, exit, text) => {
  const [found, stdout, stderr] = await run(...argv);
  expect([found, stdout]).toEqual([exit, '']);
  expect(stderr).toContain(text);
});

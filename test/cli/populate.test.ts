import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, definitionsIn, deploy, normalised, type CliProject } from './cli-project.ts';
import { LAB } from './lab.ts';

let database: PostgresDatabase;
let store: Store;
let project: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  project = await createCliProject(LAB, { DATABASE_URL: database.url });
  await deploy(store, await definitionsIn(project));
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await store.script(`
    truncate lab.mouse, lab.grade; truncate varve.job; truncate varve.computation;
    insert into lab.mouse values (1, 20), (2, 40), (3, -1);`);
});

describe('varve populate', () => {
  it('computes what is missing and shows each table', async () => {
    await store.execute(sql`delete from lab.mouse where mouse = 3`);
    const { exit, stdout, stderr } = await project.run(['populate']);
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout).toMatchInlineSnapshot(`
      "table      computed  failed  remaining  unchanged
      lab.grade         2       0          0          0
      "
    `);
  });

  it('ends with exit status 4 when keys failed, and says how to go on', async () => {
    const { exit, stdout, stderr } = await project.run(['populate', 'grade']);
    expect(exit).toBe(4);
    expect(normalised(stdout + stderr)).toMatchInlineSnapshot(`
      "table      computed  failed  remaining  unchanged
      lab.grade         2       1          0          0
      error: make_failed  lab.grade  a make threw an error: keys 1, run varve://run/<time>.populate.lab.grade.<id>
        Run \`varve jobs list lab.grade\` to see each key and its error, then \`varve jobs retry lab.grade\`.
      "
    `);
  });

  it.each([[['--workers', '2']], [['--no-share']], [['--no-wait', '--lease', '10']]])(
    'computes the same with %j',
    async (flags) => {
      const { exit, json } = await project.run(['populate', '--json', ...flags]);
      expect(exit).toBe(4);
      expect(json()).toMatchObject({ tables: [{ computed: 2, failed: 1, remaining: 0 }] });
    },
  );

  it.each([
    [['--workers', '0'], 2, 'whole number'],
    [['--workers', 'many'], 2, 'whole number'],
    [['--lease', '3'], 2, 'lease_too_short'],
    [['--batch', '0'], 2, 'whole number'],
  ])('refuses %j', async (flags, exit, said) => {
    const done = await project.run(['populate', ...flags]);
    expect(done.exit).toBe(exit);
    expect(done.stderr).toContain(said);
    expect(await store.query(sql`select from lab.grade`)).toEqual([]);
  });

  it('prints one JSON object', async () => {
    const { exit, stdout } = await project.run(['populate', '--json']);
    expect(exit).toBe(4);
    expect(normalised(stdout)).toMatchInlineSnapshot(`
      "{
        "status": "failed",
        "findings": [
          {
            "code": "make_failed",
            "severity": "error",
            "subject": "lab.grade",
            "detail": {
              "keys": 1,
              "run": "varve://run/<time>.populate.all.<id>"
            },
            "hint": "Run \`varve jobs list lab.grade\` to see each key and its error, then \`varve jobs retry lab.grade\`."
          }
        ],
        "tables": [
          {
            "table": "lab.grade",
            "computed": 2,
            "failed": 1,
            "remaining": 0,
            "skippedUnchanged": 0
          }
        ],
        "run": "varve://run/<time>.populate.all.<id>"
      }
      "
    `);
  });

  it('computes no more than --max, in batches of --batch, and goes on next time', async () => {
    await store.execute(sql`insert into lab.mouse select i, i from generate_series(10, 19) i`);
    const first = await project.run([
      'populate',
      '--max',
      '5',
      '--batch',
      '2',
      '--where',
      'mouse >= 10',
      '--json',
    ]);
    expect(first.json()).toMatchObject({ status: 'ok', tables: [{ computed: 5, remaining: 8 }] });
    const second = await project.run(['populate', '--where', 'mouse between 10 and 99', '--json']);
    expect(second.json()).toMatchObject({
      status: 'ok',
      tables: [{ computed: 5, remaining: 3, skippedUnchanged: 5 }],
    });
  });

  it('narrows stale keys by --where too, though the table read has a column of that name', async () => {
    await store.execute(sql`delete from lab.mouse where mouse = 3`);
    await project.run(['populate']);
    await store.execute(sql`update lab.mouse set weight = weight + 1`);
    const { json } = await project.run(['populate', '--where', 'mouse = 2', '--json']);
    expect(json()).toMatchObject({ tables: [{ computed: 1 }] });
  });

  it('keeps what is done when Ctrl-C comes, and says how to go on', async () => {
    const interrupted = await project.run(['populate', '--batch', '1'], { interruptAtOnce: true });
    expect(interrupted.exit).toBe(3);
    expect(normalised(interrupted.stderr)).toMatchInlineSnapshot(`
      "
      Stopping at the next safe point. Press Ctrl-C again to stop at once.
      error: interrupted  populate  stopped on request: kept 0, run varve://run/<time>.populate.all.<id>
        Every key computed so far is kept. Run the same command again: it goes on with the others.
      "
    `);
  });

  it.each([
    [['graed'], 3, 'Did you mean grade?'],
    [['lab.graed'], 3, 'Did you mean lab.grade?'],
    [['lab.mouse'], 3, 'Nothing computes lab.mouse'],
    [['--max', 'many'], 2, 'Not a whole number from 1 up'],
    [['--max', '0'], 2, 'Not a whole number from 1 up'],
    [['--batch', '-1'], 2, ''],
    [['--where', 'mouse = 1; drop table lab.mouse'], 3, 'more than one statement'],
    [['--where', 'mouse = '], 3, 'Correct the condition at this position'],
    [['--where', 'mause = 1'], 3, 'Write mouse.'],
    [['--where', 'weight > 1'], 3, 'The columns are: mouse.'],
    [['--where', 'mouse'], 3, 'not a condition: its type is not boolean'],
    [['--where', "mouse = 'one'"], 3, 'a constant does not fit'],
    [['--where', 'true) or (true'], 3, ''],
    [['--branch', 'trial'], 2, 'this command cannot follow --branch'],
    [['--db', 'postgres://localhost/lab'], 2, 'this command cannot follow --db'],
  ])('refuses %j with exit status %i', async (argv, exit, said) => {
    const got = await project.run(['populate', ...argv]);
    expect([got.exit, got.stdout]).toEqual([exit, '']);
    expect(got.stderr).toContain(said);
  });
});

describe('varve jobs', () => {
  it('lists, retries, ignores and clears', async () => {
    await project.run(['populate']);
    expect((await project.run(['jobs'])).stdout).toMatchInlineSnapshot(`
      "table      key          state  attempts  due                     why
      lab.grade  {"mouse":3}  error         1  after varve jobs retry  make_failed: a weight below zero
      "
    `);
    expect(normalised((await project.run(['jobs', 'list', 'lab.grade', '--json'])).stdout))
      .toMatchInlineSnapshot(`
        "{
          "status": "ok",
          "findings": [],
          "jobs": [
            {
              "table": "lab.grade",
              "key": {
                "mouse": 3
              },
              "state": "error",
              "priority": 0,
              "code": "make_failed",
              "message": "a weight below zero",
              "stack": "<stack>",
              "run": "varve://run/<time>.populate.all.<id>",
              "attempts": 1,
              "notBefore": null,
              "changedAt": "<time>"
            }
          ]
        }
        "
      `);
    expect(await project.run(['jobs', 'retry', 'grade'])).toMatchObject({
      exit: 0,
      stdout: '1 key to be computed by the next populate.\n',
    });
    await project.run(['populate']);
    expect((await project.run(['jobs', 'ignore', '--json'])).json()).toEqual({
      status: 'ok',
      findings: [],
      changed: 1,
    });
    expect((await project.run(['jobs', 'retry', '--json'])).json()).toMatchObject({ changed: 0 });
    expect((await project.run(['jobs', 'clear'])).exit).toBe(2);
    expect((await project.run(['jobs', 'clear', '--yes'])).stdout).toBe('1 key forgotten.\n');
    expect((await project.run(['jobs', 'list'])).stdout).toBe('No key stands aside.\n');
  });

  it('asks on a terminal before it forgets', async () => {
    await project.run(['populate']);
    const isTerminal = { stdin: true, stdout: false, stderr: true };
    const kept = await project.run(['jobs', 'clear'], { isTerminal, ask: () => Promise.resolve('n') });
    expect(kept).toMatchObject({ exit: 0, stdout: 'Nothing was changed.\n' });
    const gone = await project.run(['jobs', 'clear'], { isTerminal, ask: () => Promise.resolve('yes') });
    expect(gone).toMatchObject({ exit: 0, stdout: '1 key forgotten.\n' });
  });

  it('lets a person say which keys come first, later, or never', async () => {
    const where = (text: string) => ['--where', text];
    expect(await project.run(['jobs', 'first', 'grade', ...where('mouse = 2')])).toMatchObject({
      exit: 0,
      stdout: '1 key put first.\n',
    });
    await project.run(['jobs', 'delay', 'grade', ...where('mouse = 1'), '--for', '2h']);
    await project.run(['jobs', 'ignore', 'grade', ...where('mouse = 3')]);
    expect((await project.run(['jobs', 'status', '--json'])).json()).toMatchObject({
      tables: [{ table: 'lab.grade', pending: 1, reserved: 0, done: 0, error: 0, delayed: 1, ignored: 1 }],
      inHand: [],
    });
    expect((await project.run(['jobs', 'list', '--state', 'pending', '--json'])).json()).toMatchObject({
      jobs: [
        { key: { mouse: 2 }, priority: 1, run: 'ada' },
        { key: { mouse: 1 }, priority: 0, notBefore: expect.stringContaining('Z') as string },
      ],
    });
    expect((await project.run(['populate', '--json'])).json()).toMatchObject({
      status: 'ok',
      tables: [{ computed: 1, failed: 0 }],
    });
    await project.run(['jobs', 'clear', '--yes']);
    expect((await project.run(['populate', '--json'])).json()).toMatchObject({
      tables: [{ computed: 1, failed: 1 }],
    });
    expect((await project.run(['jobs', 'status'])).stdout).toMatchInlineSnapshot(`
      "table      pending  reserved  done  error  delayed  ignored
      lab.grade        0         0     2      1        0        0
      "
    `);
  });

  it.each([
    [['delay', 'grade', '--where', 'mouse = 1', '--for', 'soon'], 2, 'Not a time such as'],
    [['delay', 'grade', '--for', '2h'], 2, '--where'],
    [['first', '--where', 'mouse = 1'], 2, 'table'],
    [['first', 'grade', '--where', 'mouse = 1', '--priority', '-3'], 2, 'whole number'],
    [['list', '--state', 'lost'], 2, 'pending'],
    [['ignore', 'grade', '--where', 'weight > 1'], 3, 'where_invalid'],
    [['ignore', 'grade', '--where', 'true; drop table lab.mouse'], 3, 'where_invalid'],
    [['retry', 'mouse', '--where', 'nothing = 1'], 0, ''],
  ])('answers %j with what is wrong', async (argv, exit, said) => {
    const done = await project.run(['jobs', ...argv]);
    expect(done.exit).toBe(exit);
    expect(done.stderr).toContain(said);
  });

  it('names the nearest table', async () => {
    const { exit, stderr } = await project.run(['jobs', 'list', 'lab.graed']);
    expect(exit).toBe(3);
    expect(stderr).toContain('Did you mean lab.grade?');
  });
});

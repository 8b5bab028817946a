import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, normalised, type CliProject } from './cli-project.ts';
import { LAB } from './lab.ts';

let database: PostgresDatabase;
let store: Store;
let project: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  project = await createCliProject(LAB, { DATABASE_URL: database.url });
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

const run = async (...argv: string[]): Promise<readonly [number, string, string]> => {
  const { exit, stdout, stderr } = await project.run(argv);
  return [exit, normalised(stdout, project.dir), normalised(stderr, project.dir)];
};

describe('a project from its first plan on', () => {
  it('says what is missing before anything was deployed', async () => {
    for (const argv of [
      ['why', 'lab.grade', '--key', '{"mouse":1}'],
      ['stale'],
      ['jobs'],
      ['history', 'lab.grade'],
    ]) {
      const [exit, , stderr] = await run(...argv);
      expect([argv[0], exit]).toEqual([argv[0], 3]);
      expect(stderr).toContain('catalog_missing');
    }
    const [exit, , stderr] = await run('populate');
    expect(exit).toBe(3);
    expect(stderr).toContain('not_deployed');
  });

  it('plans the tables, once however often it is asked', async () => {
    const first = await run('plan');
    expect(first).toMatchInlineSnapshot(`
      [
        0,
        "PIPE-MIG-<day>-01
        create     lab.mouse
        create     lab.grade
      table      keep  backfill  recompute  retire  ambiguous
      lab.grade     0         0          0       0          0
      lab.mouse     0         0          0       0          0
      Nothing has changed yet. Go on with: varve apply PIPE-MIG-<day>-01
      ",
        "",
      ]
    `);
    expect(await run('plan')).toEqual(first);
    const [, json] = await run('plan', '--json');
    expect(JSON.parse(json)).toMatchObject({
      status: 'ok',
      operations: [{ kind: 'create_table' }, { kind: 'create_table' }],
    });
  });

  it('applies it and has nothing more to do', async () => {
    expect((await run('apply'))[0]).toBe(0);
    expect((await run('apply'))[1]).toBe('No migration is pending.\n');
    expect((await run('plan'))[1]).toBe('The database is as the definitions say. There is nothing to do.\n');
  });

  it('says why a row is there', async () => {
    await store.execute(sql`insert into lab.mouse values (1, 20), (2, 40)`);
    expect((await run('populate'))[0]).toBe(0);
    expect(await run('why', 'lab.grade', '--key', '{"mouse":2}', '--deep')).toMatchInlineSnapshot(`
      [
        0,
        "lab.grade {"mouse":2}  computed
        computed  <time> by ada on <host>
        run       varve://run/<time>.populate.all.<id>
        commit    <commit>
        code      sha256:<digest> (bundle)
        reads     the declared ones: a pure make
        output    sha256:<digest>
        read   table      rows         columns        since then
        mouse  lab.mouse  {"mouse":2}  mouse, weight  unchanged

      lab.mouse {"mouse":2}  manual
        brought   by people; no batch is recorded
      ",
        "",
      ]
    `);
    const { exit, json } = await project.run(['why', 'grade', '--key', '{"mouse":2}', '--json']);
    expect(exit).toBe(0);
    expect(json()).toMatchObject({
      status: 'ok',
      origin: {
        table: 'lab.grade',
        key: { mouse: 2 },
        computation: { run: { actor: 'ada' }, inputs: [{ table: 'lab.mouse' }] },
      },
    });
  });

  it('proves what it computed', async () => {
    expect(await run('verify')).toMatchInlineSnapshot(`
      [
        0,
        "table      stale
      lab.grade      0
      Recorded inputs and code are those of the present. Prove the rows themselves with varve verify --full
      ",
        "",
      ]
    `);
    expect(await run('verify', '--full')).toMatchInlineSnapshot(`
      [
        0,
        "table      rows  equal  stale  differing  missing  extra
      lab.grade     2      2      0          0        0      0
      ",
        "",
      ]
    `);
    await store.execute(sql`update lab.grade set heavy = not heavy where mouse = 1`);
    const [exit, , stderr] = await run('verify', '--full', '--json');
    await store.execute(sql`update lab.grade set heavy = not heavy where mouse = 1`);
    expect([exit, stderr]).toEqual([3, '']);
  });

  it('lists what is stale, with the reason', async () => {
    expect((await run('stale'))[1]).toBe('Nothing is stale.\n');
    await store.execute(sql`update lab.mouse set weight = 10 where mouse = 2`);
    expect(await run('stale')).toMatchInlineSnapshot(`
      [
        0,
        "lab.grade  1 stale key
      key          why
      {"mouse":2}  mouse (lab.mouse) changed
      ",
        "",
      ]
    `);
    expect(await run('stale', 'grade', '--json')).toMatchInlineSnapshot(`
      [
        0,
        "{
        "status": "ok",
        "findings": [],
        "tables": [
          {
            "table": "lab.grade",
            "stale": [
              {
                "key": {
                  "mouse": 2
                },
                "reasons": [
                  {
                    "kind": "inputs",
                    "reads": [
                      {
                        "read": "mouse",
                        "table": "lab.mouse"
                      }
                    ]
                  }
                ]
              }
            ],
            "below": [],
            "upstream": []
          }
        ]
      }
      ",
        "",
      ]
    `);
    expect((await run('verify', '--json'))[1]).toContain('"isCurrent": false');
  });

  it('keeps the history of a row', async () => {
    await run('populate');
    expect(await run('history', 'lab.grade', '--key', '{"mouse":2}')).toMatchInlineSnapshot(`
      [
        0,
        "from                         until                        by                                                      what became of it  rows
      <time>  now                          varve://run/<time>.populate.all.<id>  it stands          {"heavy":false,"mouse":2}
      <time>  <time>  varve://run/<time>.populate.all.<id>  computed anew      {"heavy":true,"mouse":2}
      ",
        "",
      ]
    `);
    const { json } = await project.run([
      'history',
      'lab.grade',
      '--as-of',
      new Date().toISOString(),
      '--json',
    ]);
    expect(json()).toMatchObject({ status: 'ok', count: 2, nextOffset: null });
    expect((await run('history', 'lab.grade', '--as-of', 'yesterday'))[0]).toBe(3);
  });

  it('shows a deletion before it asks, and moves rows to history', async () => {
    const refused = await run('delete', 'lab.mouse', '--where', 'mouse = 2');
    expect(refused).toMatchInlineSnapshot(`
      [
        2,
        "",
        "table      rows
      lab.mouse     1
      lab.grade     1
      error: usage  --yes  a question has to be answered, and there is no terminal
        Add --yes to answer it with yes.
      ",
      ]
    `);
    const kept = await project.run(['delete', 'lab.mouse', '--where', 'mouse = 2'], {
      isTerminal: { stdin: true, stdout: false, stderr: false },
      ask: () => Promise.resolve(''),
    });
    expect([kept.exit, kept.stdout]).toEqual([0, 'Nothing was deleted.\n']);
    expect(await run('delete', 'mouse', '--where', 'mouse = 2', '--yes')).toMatchInlineSnapshot(`
      [
        0,
        "table      rows
      lab.mouse     1
      lab.grade     1
      2 rows moved to history by varve://run/<time>.delete.lab.mouse.<id>
      Take it back with: varve restore varve://run/<time>.delete.lab.mouse.<id>
      ",
        "",
      ]
    `);
    expect((await run('delete', 'mouse', '--where', 'mouse = 2', '--yes'))[1]).toBe('Nothing was deleted.\n');
    const [, json] = await run('history', 'grade', '--key', '{"mouse":2}', '--json');
    expect(JSON.parse(json)).toMatchObject({ versions: [{ ended: 'deleted' }, { ended: 'recomputed' }] });
  });

  it.each([
    [['why', 'lab.graed', '--key', '{"mouse":1}'], 3, 'Did you mean lab.grade?'],
    [['why', 'lab.grade', '--key', '{"mouse":99}'], 3, 'row_missing'],
    [['why', 'lab.grade'], 2, "required option '--key <json>' not specified"],
    [['why', 'lab.grade', '--key', 'mouse=1'], 2, '--key is no JSON'],
    [['why', 'lab.grade', '--key', '[1]'], 2, '--key is no JSON object'],
    [['why', 'lab.grade', '--key', '{}'], 2, '--key misses mouse of lab.grade'],
    [['why', 'lab.grade', '--key', '{"mause":1}'], 3, 'Write mouse.'],
    [['why', 'lab.grade', '--key', '{"mouse":{}}'], 2, 'no plain value'],
    [['why', 'lab.grade', '--key', '{"mouse":"one"}'], 3, 'value_invalid'],
    [['history', 'lab.grade', '--key', '{"mouse":99}'], 3, 'row_missing'],
    [['history', 'lab.grade', '--limit', 'x'], 2, 'Not a whole number'],
    [['stale', 'lab.mouse'], 3, 'unknown_table'],
    [['stale', 'nothing'], 3, 'Name one of'],
    [['delete', 'lab.mouse'], 2, "required option '--where <sql>' not specified"],
    [['delete', 'lab.mouse', '--where', 'mause = 1', '--yes'], 3, 'Write mouse.'],
    [['delete', 'lab.mouse', '--where', '1; drop table lab.mouse', '--yes'], 3, 'where_invalid'],
    [['delete', 'lab.mouse', '--where', 'true', '--parts', 'some'], 2, 'Allowed choices'],
    [['verify', 'lab.mouse', '--full'], 3, 'unknown_table'],
    [['verify', 'lab.graed'], 3, 'Did you mean lab.grade?'],
    [['plan', '--attribute', 'invent'], 2, 'TABLE=recompute'],
    [['plan', 'PIPE-MIG-2026-03-01-01', '--attribute', 'recompute'], 2, 'Leave the id out'],
  ])('refuses %j with exit status %i', async (argv, exit, said) => {
    const got = await run(...argv);
    expect(got[2]).toContain(said);
    expect([got[0], got[1]]).toEqual([exit, '']);
  });
});

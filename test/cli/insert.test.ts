import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, definitionsIn, deploy, normalised, type CliProject } from './cli-project.ts';

const FILES = {
  'varve.config.ts': `
import { defineConfig } from 'varve/pipeline';
import { lab, field } from './pipeline/lab.ts';
export default defineConfig({ stores: { main: { postgres: { urlFrom: 'DATABASE_URL' } } }, pipelines: [lab, field] });
`,
  'pipeline/lab.ts': `
import { part, pipeline, t } from 'varve/pipeline';
export const lab = pipeline('lab');
export const field = pipeline('field');
export const Mouse = lab.manual('mouse', {
  key: { mouse: t.bigint() },
  columns: { weight: t.numeric(8, 3), name: t.text().nullable(), tags: t.array(t.text()).nullable(),
    born: t.date().nullable(), alive: t.boolean().default(true), meta: t.json().nullable(), blob: t.bytea().nullable() },
});
export const Grade = lab.computed('grade', {
  parents: [Mouse],
  columns: { heavy: t.boolean() },
  reads: { mouse: Mouse.columns('weight') },
  make: ({ mouse }) => ({ heavy: Number(mouse.weight) > 30 }),
});
export const Scan = lab.manual('scan', {
  parents: [Mouse],
  key: { scan: t.integer() },
  parts: { frame: part({ key: { frame: t.integer() }, columns: { mean: t.double() } }) },
});
export const FieldMouse = field.manual('mouse', { key: { mouse: t.integer() } });
`,
};

let database: PostgresDatabase;
let store: Store;
let project: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  project = await createCliProject(FILES, { DATABASE_URL: database.url });
  await deploy(store, await definitionsIn(project));
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(path.join(project.dir, name), content);
  return name;
};
const run = async (...argv: string[]) => {
  const { exit, stdout, stderr } = await project.run(argv);
  return [exit, normalised(stdout, project.dir), normalised(stderr, project.dir)] as const;
};
const json = async (...argv: string[]) => {
  const ran = await project.run([...argv, '--json']);
  return { exit: ran.exit, ...ran.json() } as Readonly<Record<string, unknown>>;
};
const mice = () => store.query(sql`select mouse, weight, name from lab.mouse order by mouse`);
const numbered = (text: string) => text.replaceAll(/ingestion\/\d+/gu, 'ingestion/<n>');

describe('varve insert', () => {
  beforeEach(async () => {
    await store.script('truncate lab.mouse, lab.scan, lab.scan__frame, lab.grade, varve.computation');
  });

  it('takes JSON Lines, and counts before it does', async () => {
    const file = write(
      'mice.jsonl',
      '{"mouse":9007199254740993,"weight":20.500}\n\n{"mouse":"2","weight":"31"}\n',
    );
    expect(await run('insert', 'lab.mouse', '--file', file, '--dry-run')).toEqual([
      0,
      '2 rows would be inserted\nNothing was changed.\n',
      '',
    ]);
    expect(await mice()).toEqual([]);
    const [exit, stdout] = await run('insert', 'lab.mouse', '--file', file);
    expect([exit, numbered(stdout)]).toEqual([0, '2 rows inserted\nrecorded as varve://ingestion/<n>\n']);
    expect(await mice()).toEqual([
      { mouse: 2n, weight: '31.000', name: null },
      { mouse: 9007199254740993n, weight: '20.500', name: null },
    ]);
  });

  it('takes every type from CSV, from JSON and from a packed file alike', async () => {
    const csv =
      '\uFEFFmouse,weight,name,tags,born,alive,meta,blob\r\n' +
      '1,1.5,"a, ""b""\nc","[""x"",""y""]",2026-01-02,false,"{""n"":1.50}",\\x00ff\r\n2,2,,,,,,\r\n3,3,"",,,,,\r\n';
    // A column that the file has but leaves empty is null; one that has a default and may not be null must be left out.
    expect(await json('insert', 'lab.mouse', '--file', write('bad.csv', csv))).toMatchObject({
      exit: 3,
      findings: [
        { code: 'value_invalid', subject: 'lab.mouse.alive', detail: { line: 4 } },
        { code: 'value_invalid', subject: 'lab.mouse.alive', detail: { line: 5 } },
      ],
    });
    const good = csv.replace('2,2,,,,,,', '2,2,,,,true,,').replace('3,3,"",,,,,', '3,3,"",,,t,,');
    await run('insert', 'lab.mouse', '--file', write('good.csv.gz', gzipSync(good)));
    const fromCsv = await store.query(sql`select * from lab.mouse order by mouse`);
    expect(fromCsv).toMatchObject([
      {
        mouse: 1n,
        weight: '1.500',
        name: 'a, "b"\nc',
        tags: ['x', 'y'],
        born: '2026-01-02',
        alive: false,
        meta: { n: 1.5 },
        blob: new Uint8Array([0, 255]),
      },
      { name: null, tags: null, alive: true },
      { name: '' },
    ]);
    await store.script('truncate lab.mouse cascade');
    const rows = [
      {
        mouse: 1,
        weight: 1.5,
        name: 'a, "b"\nc',
        tags: ['x', 'y'],
        born: '2026-01-02',
        alive: false,
        meta: { n: 1.5 },
        blob: '\\x00ff',
      },
      { mouse: 2, weight: 2 },
      { mouse: 3, weight: 3, name: '' },
    ];
    await run('insert', 'lab.mouse', '--file', write('mice.json', JSON.stringify(rows)));
    expect(await store.query(sql`select * from lab.mouse order by mouse`)).toEqual(fromCsv);
  });

  it('reads standard input', async () => {
    const given = { stdin: () => Readable.from([Buffer.from('mouse\tweight\n7\t'), Buffer.from('3.25')]) };
    const ran = await project.run(
      ['insert', 'lab.mouse', '--file', '-', '--format', 'tsv', '--source', 'a scale'],
      given,
    );
    expect([ran.exit, ran.stderr]).toEqual([0, '']);
    expect(await mice()).toMatchObject([{ mouse: 7n, weight: '3.250' }]);
    expect(await json('why', 'lab.mouse', '--key', '{"mouse":7}')).toMatchObject({
      origin: { ingestions: [{ source: 'a scale', actor: 'ada', isUnchanged: true }] },
    });
  });

  it('refuses keys that stand, by line, unless it is told what to do with them', async () => {
    await run(
      'insert',
      'lab.mouse',
      '--file',
      write('one.jsonl', '{"mouse":1,"weight":1}\n{"mouse":2,"weight":2}\n'),
    );
    const file = write(
      'two.jsonl',
      '{"mouse":3,"weight":3}\n{"mouse":2,"weight":5}\n{"mouse":1,"weight":1}\n',
    );
    expect(await run('insert', 'lab.mouse', '--file', file)).toMatchInlineSnapshot(`
      [
        3,
        "",
        "error: row_exists  lab.mouse  rows of these keys are there already: columns ["mouse"], lines [2,3], count 2, mode new
        Leave them out with --skip-existing (mode: skip), or let them take the place of what stands with --replace (mode: replace); no row was inserted.
      ",
      ]
    `);
    expect(await json('insert', 'lab.mouse', '--file', file, '--skip-existing', '--dry-run')).toMatchObject({
      status: 'ok',
      rows: 1,
      replaced: 0,
      kept: 2,
      dryRun: true,
      ingestion: null,
    });
    expect(await json('insert', 'lab.mouse', '--file', file, '--replace')).toMatchObject({
      rows: 1,
      replaced: 1,
      kept: 1,
    });
    expect(await mice()).toMatchObject([{ weight: '1.000' }, { weight: '5.000' }, { weight: '3.000' }]);
    const [, text] = await run('history', 'lab.mouse', '--key', '{"mouse":2}');
    expect(text).toContain('ada, from two.jsonl');
    expect(text).toContain('another row took its place');
    expect(text).toContain('ada, from one.jsonl');
    expect(await run('insert', 'lab.mouse', '--file', file, '--replace')).toEqual([
      0,
      '0 rows inserted\n3 rows stood the same already\n',
      '',
    ]);
  });

  it('makes what is below stale by itself, and why says who changed it', async () => {
    await run(
      'insert',
      'lab.mouse',
      '--file',
      write('a.jsonl', '{"mouse":1,"weight":10}\n{"mouse":2,"weight":20}\n'),
    );
    await run('populate');
    await run(
      'insert',
      'lab.mouse',
      '--file',
      write('b.jsonl', '{"mouse":2,"weight":40}\n'),
      '--replace',
      '--source',
      'weighed again',
    );
    expect((await run('stale', 'lab.grade'))[1]).toContain('{"mouse":"2"}  mouse (lab.mouse) changed');
    const [, text] = await run('why', 'grade', '--key', '{"mouse":2}', '--deep');
    expect(numbered(text)).toContain(
      'brought   from weighed again by ada, <time>, as varve://ingestion/<n>\n',
    );
    await store.execute(sql`update lab.mouse set weight = 1 where mouse = 1`);
    expect((await run('why', 'lab.mouse', '--key', '{"mouse":1}'))[1]).toContain('changed by hand since');
  });

  it('brings rows of a part', async () => {
    await run('insert', 'lab.mouse', '--file', write('m.jsonl', '{"mouse":1,"weight":10}'));
    await run('insert', 'lab.scan', '--file', write('s.csv', 'mouse,scan\n1,1\n'));
    await run(
      'insert',
      'scan__frame',
      '--file',
      write('f.csv', 'mouse,scan,frame,mean\n1,1,1,0.5\n1,1,2,1e3\n'),
    );
    expect(await json('why', 'lab.scan__frame', '--key', '{"mouse":1,"scan":1,"frame":2}')).toMatchObject({
      origin: {
        table: 'lab.scan',
        ingestions: [
          { table: 'lab.scan', source: 's.csv', rows: 1 },
          { table: 'lab.scan__frame', source: 'f.csv', rows: 2 },
        ],
      },
    });
    await run(
      'insert',
      'scan__frame',
      '--file',
      write('g.csv', 'mouse,scan,frame,mean\n1,1,2,7\n'),
      '--replace',
    );
    expect(await json('history', 'lab.scan', '--key', '{"mouse":1,"scan":1}')).toMatchObject({
      versions: [
        { ended: null, rows: { 'lab.scan__frame': [{ frame: 1 }, { frame: 2, mean: 7 }] } },
        { ended: 'replaced', rows: { 'lab.scan__frame': [{ frame: 1 }, { frame: 2, mean: 1000 }] } },
      ],
    });
  });

  it('names one table, however it is quoted, and says when several have the name', async () => {
    const file = write('k.jsonl', '{"mouse":1}');
    expect(await json('insert', 'mouse', '--file', file)).toMatchObject({
      exit: 3,
      findings: [
        {
          code: 'unknown_table',
          detail: { tables: ['field.mouse', 'lab.mouse'] },
          hint: 'Name the schema too: field.mouse or lab.mouse.',
        },
      ],
    });
    expect(await json('insert', '"field"."mouse"', '--file', file)).toMatchObject({
      table: 'field.mouse',
      rows: 1,
    });
    for (const verb of ['why', 'history'])
      expect(await json(verb, 'field."mouse"', '--key', '{"mouse":1}')).toMatchObject({ exit: 0 });
    expect(await json('trace', '"field"."mouse"')).toMatchObject({ exit: 0, table: 'field.mouse' });
    for (const verb of ['trace', 'cascade', 'why', 'history']) {
      const key = verb === 'why' ? ['--key', '{"mouse":1}'] : [];
      expect(await json(verb, 'mouse', ...key)).toMatchObject({
        exit: 3,
        findings: [{ detail: { tables: ['field.mouse', 'lab.mouse'] } }],
      });
    }
  });

  const bad: readonly (readonly [string, string, readonly string[], number, string])[] = [
    ['no.jsonl', '', ['--file', 'none.jsonl'], 3, 'file_unreadable'],
    ['a-folder', '', ['--file', 'pipeline', '--format', 'csv'], 3, 'EISDIR'],
    ['x.jsonl', '{"mouse":1,\n', [], 3, 'not JSON'],
    ['x.jsonl', '[1]\n', [], 3, 'not a JSON object'],
    ['x.jsonl', '{"mouse":1,"weight":"secret"}\n', [], 3, 'value_invalid'],
    ['x.jsonl', '{"mouse":1.5,"weight":"1"}\n', [], 3, 'bigint'],
    ['x.jsonl', '{"mouse":"secret","weight":"1"}\n', [], 3, 'lab.mouse.mouse'],
    ['x.jsonl', '{"mouse":1,"weigt":"1"}\n', [], 3, 'Did you mean'],
    ['x.jsonl', '{"mouse":1,"weight":1}\n{"mouse":1,"weight":2}\n', [], 3, 'row_repeated'],
    ['x.jsonl', '{"mouse":1,"weight":1}\n{"mouse":1,"weight":2}\n', ['--replace'], 3, 'row_repeated'],
    ['x.json', '{"mouse":1}', [], 3, 'not a JSON array of rows'],
    ['x.json', '[{"mouse":1,"weight":1},7]', [], 3, 'row 2'],
    ['x.csv', '', [], 3, 'no header line'],
    ['x.csv', 'mouse,weigt\n', [], 3, 'Did you mean'],
    ['x.csv', 'mouse\n1\n', [], 3, 'the header misses'],
    ['x.csv', 'mouse,mouse,weight\n1,1,1\n', [], 3, 'names twice'],
    ['x.csv', 'mouse,weight\n1,2,3\n', [], 3, '3 fields where the header has 2'],
    ['x.csv', 'mouse,weight\n1,"2\n', [], 3, 'a quote that is never closed'],
    ['x.csv', 'mouse,weight\n1,secret\n', [], 3, 'value_invalid'],
    ['x.csv.gz', 'mouse,weight\n1,1\n', [], 3, 'Z_DATA_ERROR'],
    ['x.txt', 'mouse,weight\n1,1\n', [], 2, '--format'],
    ['x.csv', 'mouse,weight\n1,1\n', ['--replace', '--skip-existing'], 2, 'exclude each other'],
    ['x.csv', 'mouse,weight\n1,1\n', ['--source', ''], 2, '--source is empty'],
    ['x.csv', 'mouse,weight\n1,1\n', ['--format', 'xml'], 2, 'Allowed choices'],
  ];
  it.each(bad)('refuses %s with %j and %j', async (name, content, flags, exit, said) => {
    const file = write(name, content);
    const given = flags[0] === '--file' ? flags : ['--file', file, ...flags];
    const ran = await project.run(['insert', 'lab.mouse', ...given]);
    expect(ran.stderr).toContain(said);
    expect([ran.exit, ran.stdout]).toEqual([exit, '']);
    expect(ran.stderr).not.toContain('secret');
    expect(await mice()).toEqual([]);
  });

  it('refuses tables that people do not fill, and a foreign key that leads nowhere', async () => {
    const file = write('x.jsonl', '{"mouse":1,"heavy":true}\n');
    expect((await run('insert', 'lab.grade', '--file', file))[2]).toContain('varve populate lab.grade');
    const scans = write('y.jsonl', '{"mouse":77,"scan":1}\n');
    expect(await json('insert', 'lab.scan', '--file', scans)).toMatchObject({
      exit: 3,
      findings: [{ code: 'constraint_violated', detail: { line: 1, sqlstate: '23503' } }],
    });
  });

  it('stops on Ctrl-C with nothing inserted', async () => {
    const file = write('x.jsonl', '{"mouse":1,"weight":1}\n');
    const ran = await project.run(['insert', 'lab.mouse', '--file', file], { interruptAtOnce: true });
    expect(ran.exit).toBe(3);
    expect(ran.stderr).toContain('No row was inserted');
    expect(await mice()).toEqual([]);
  });
});

describe('deletion, its reason and its remedy', () => {
  it('shows, gives its reason, and is taken back whole', async () => {
    await store.script('truncate lab.mouse, lab.scan, lab.scan__frame, lab.grade, varve.computation');
    await run(
      'insert',
      'lab.mouse',
      '--file',
      write('a.jsonl', '{"mouse":1,"weight":10}\n{"mouse":2,"weight":40}\n'),
    );
    await run('insert', 'lab.scan', '--file', write('s.csv', 'mouse,scan\n1,1\n'));
    await run('insert', 'scan__frame', '--file', write('f.csv', 'mouse,scan,frame,mean\n1,1,1,0.5\n'));
    await run('populate');
    const before = await store.query(sql`select * from lab.grade order by mouse`);
    expect(await json('delete', 'lab.mouse', '--where', 'mouse = 1', '--dry-run')).toMatchObject({
      status: 'ok',
      dryRun: true,
      run: null,
      tables: [
        { table: 'lab.mouse', rows: 1 },
        { table: 'lab.grade', rows: 1 },
        { table: 'lab.scan', rows: 1 },
        { table: 'lab.scan__frame', rows: 1 },
      ],
    });
    const deleted = await json(
      'delete',
      'lab.mouse',
      '--where',
      'mouse = 1',
      '--reason',
      'the tag was misread',
      '--yes',
    );
    expect(deleted).toMatchObject({ status: 'ok' });
    expect((await run('history', 'lab.mouse', '--key', '{"mouse":1}'))[1]).toContain(
      'deleted: the tag was misread',
    );
    const runName = deleted['run'] as string;
    expect(await json('restore', runName, '--dry-run')).toMatchObject({ status: 'ok', dryRun: true });
    expect(await mice()).toHaveLength(1);
    const restored = await run('restore', runName);
    expect(restored).toMatchInlineSnapshot(`
      [
        0,
        "table            rows
      lab.mouse           1
      lab.grade           1
      lab.scan            1
      lab.scan__frame     1
      4 rows stand again
      ",
        "",
      ]
    `);
    expect(await store.query(sql`select * from lab.grade order by mouse`)).toEqual(before);
    expect((await run('stale'))[1]).toBe('Nothing is stale.\n');
    expect((await run('populate', '--json'))[1]).toContain('"computed": 0');
    expect((await run('why', 'lab.mouse', '--key', '{"mouse":1}'))[1]).toContain(`restored from`);
    const { versions } = (await json('history', 'lab.grade', '--key', '{"mouse":1}')) as {
      versions?: readonly {
        readonly since: string;
        readonly until: string | null;
        readonly ended: string | null;
      }[];
    };
    expect(versions).toMatchObject([{ ended: null }, { ended: 'deleted' }]);
    expect(versions?.[0]?.since.localeCompare(versions[1]?.until ?? '')).toBe(1);
    expect((await run('restore', runName))[2]).toContain('row_exists');
    expect((await run('restore', 'varve://run/none'))[2]).toContain('unknown_run');
  });
});

describe('parts on the command line', () => {
  it('14. 15. a part row goes with its master, alone, or not at all', async () => {
    await store.script('truncate lab.mouse, lab.scan, lab.scan__frame, lab.grade, varve.computation');
    await run('insert', 'lab.mouse', '--file', write('a.jsonl', '{"mouse":1,"weight":10}\n'));
    await run('insert', 'lab.scan', '--file', write('s.csv', 'mouse,scan\n1,1\n1,2\n'));
    await run(
      'insert',
      'scan__frame',
      '--file',
      write('f.csv', 'mouse,scan,frame,mean\n1,1,1,1\n1,1,2,2\n1,2,1,3\n'),
    );
    const frame = ['scan__frame', '--where', 'scan = 1 and frame = 2'];
    for (const verb of [['cascade'], ['delete', '--yes']]) {
      expect(await json(...verb, ...frame)).toMatchObject({
        exit: 3,
        findings: [
          {
            code: 'part_without_master',
            subject: 'lab.scan__frame',
            detail: { master: 'lab.scan', rows: 1, keys: [{ mouse: 1, scan: 1, frame: 2 }] },
          },
        ],
      });
    }
    const counts = async (...argv: string[]) =>
      ((await json(...argv))['tables'] as readonly { table: string; rows: number }[])
        .filter(({ rows }) => rows > 0)
        .map(({ table, rows }) => `${table} ${String(rows)}`);
    expect(await counts('cascade', ...frame, '--parts', 'ignore')).toEqual(['lab.scan__frame 1']);
    expect(await counts('cascade', ...frame, '--parts', 'cascade')).toEqual([
      'lab.scan 1',
      'lab.scan__frame 2',
    ]);
    for (const parts of ['ignore', 'cascade'])
      expect(await counts('delete', ...frame, '--parts', parts, '--dry-run')).toEqual(
        await counts('cascade', ...frame, '--parts', parts),
      );
    const gone = await json('delete', ...frame, '--parts', 'ignore', '--yes');
    expect(await store.query(sql`select count(*)::int as n from lab.scan__frame`)).toEqual([{ n: 2 }]);
    expect(await json('restore', gone['run'] as string)).toMatchObject({
      tables: [{ table: 'lab.scan__frame', rows: 1 }],
    });
    const all = await json('delete', ...frame, '--parts', 'cascade', '--yes');
    expect(await json('restore', all['run'] as string)).toMatchObject({
      tables: [
        { table: 'lab.scan', rows: 1 },
        { table: 'lab.scan__frame', rows: 2 },
      ],
    });
  });

  it('8. a merged row leads through its parts to what it was merged from, on request', async () => {
    await store.script(`create schema merged;
      create table merged.parent (parent int primary key); create table merged.master (master int primary key);
      create table merged.master__p (master int references merged.master, parent int references merged.parent, primary key (master, parent));
      create table merged.child (master int references merged.master, c int, primary key (master, c));
      insert into merged.parent values (5); insert into merged.master values (10);
      insert into merged.master__p values (10, 5); insert into merged.child values (10, 1000)`);
    const rows = async (...argv: string[]) =>
      ((await json(...argv))['tables'] as readonly { table: string; rows: number }[]).map(
        ({ table, rows: count }) => `${table} ${String(count)}`,
      );
    expect(await rows('trace', 'merged.child')).toEqual(['merged.master 1', 'merged.child 1']);
    expect((await rows('trace', 'merged.child', '--through-parts')).toSorted()).toEqual([
      'merged.child 1',
      'merged.master 1',
      'merged.master__p 1',
      'merged.parent 1',
    ]);
    expect((await rows('cascade', 'merged.parent', '--parts', 'cascade')).toSorted()).toEqual([
      'merged.child 1',
      'merged.master 1',
      'merged.master__p 1',
      'merged.parent 1',
    ]);
    expect(await json('cascade', 'merged.parent')).toMatchObject({
      findings: [{ code: 'part_without_master' }],
    });
  });
});

describe('a table as it was', () => {
  it('goes into a file that insert takes back', async () => {
    await store.script('truncate lab.mouse, lab.scan, lab.scan__frame, lab.grade, varve.computation');
    const first = await json(
      'insert',
      'lab.mouse',
      '--file',
      write('a.jsonl', '{"mouse":9007199254740993,"weight":10,"blob":"\\\\x01"}\n{"mouse":2,"weight":40}\n'),
    );
    await run('insert', 'lab.mouse', '--file', write('b.jsonl', '{"mouse":2,"weight":41}\n'), '--replace');
    const out = `was-${String(Date.now())}.jsonl`;
    expect(
      await json('history', 'lab.mouse', '--as-of', first['ingestion'] as string, '--out', out),
    ).toMatchObject({ status: 'ok', rows: 2, out });
    const rows = readFileSync(path.join(project.dir, out), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(rows).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ mouse: '9007199254740993' }),
        expect.objectContaining({ mouse: '2', weight: '40.000' }),
      ]),
    );
    expect(await json('insert', 'lab.mouse', '--file', out, '--replace')).toMatchObject({
      rows: 0,
      replaced: 1,
      kept: 1,
    });
    expect(await mice()).toMatchObject([{ weight: '40.000' }, { weight: '10.000' }]);
    expect((await run('history', 'lab.mouse', '--out', out))[2]).toContain('files_exist');
    expect((await run('history', 'lab.mouse', '--out', 'no/such/folder.jsonl'))[2]).toContain('ENOENT');
    expect((await run('history', 'lab.mouse', '--out', 'n.jsonl', '--limit', '3'))[0]).toBe(2);
    expect((await run('history', 'lab.mouse', '--out', 'n.jsonl', '--as-of', 'yesterday'))[2]).toContain(
      'unknown_run',
    );
  });
});

describe('restrictions that all must hold', () => {
  it('narrows a cascade and a trace by conditions on other tables', async () => {
    await store.script(`truncate lab.mouse, lab.scan, lab.scan__frame, lab.grade, varve.computation;
      create schema grid; create table grid.a (a int primary key); create table grid.b (b int primary key);
      create table grid.ab (a int references grid.a, b int references grid.b, primary key (a, b));
      insert into grid.a values (1), (2); insert into grid.b values (1), (2); insert into grid.ab select a, b from grid.a, grid.b`);
    const rows = (result: Readonly<Record<string, unknown>>) =>
      (result['tables'] as readonly { table: string; rows: number }[]).map(
        ({ table, rows: count }) => `${table} ${count}`,
      );
    const and = ['--and', '"grid"."b" WHERE b = 2'];
    expect(rows(await json('cascade', 'grid.a', '--where', 'a = 1', ...and))).toEqual([
      'grid.a 1',
      'grid.b 1',
      'grid.ab 1',
    ]);
    expect(rows(await json('trace', 'grid.ab', '--where', 'a = 1', ...and))).toEqual([
      'grid.a 1',
      'grid.b 1',
      'grid.ab 1',
    ]);
    expect(rows(await json('trace', 'ab', '--and', 'a where a = 1', ...and))).toEqual([
      'grid.a 1',
      'grid.b 1',
      'grid.ab 1',
    ]);
    expect(rows(await json('trace', 'grid.ab', ...and))).toEqual(['grid.a 2', 'grid.b 1', 'grid.ab 2']);
  });

  it.each([
    [['trace', 'grid.ab', '--and', 'grid.b'], 2, 'TABLE where CONDITION'],
    [['trace', 'grid.ab', '--and', 'grid.c where c = 1'], 3, 'unknown_table'],
    [['trace', 'grid.ab', '--and', 'grid.b where c = 1'], 3, 'where_invalid'],
    [['cascade', 'grid.a', '--where', 'a = 1', '--and', 'grid.b where c = 1'], 3, 'grid.b'],
    [['cascade', 'grid.a', '--where', 'a = 1', '--and', 'grid.b where 1/0 = b'], 3, 'grid.b'],
    [['trace', 'grid.ab', '--and', 'grid.b where true; drop table grid.b'], 3, 'where_invalid'],
    [['trace', 'grid.ab', '--and', 'lab.mouse where true'], 3, 'unrelated_table'],
    [['cascade', 'grid.a', '--parts', 'ignore', '--and', 'grid.b where b = 1'], 2, 'Leave --parts out'],
  ])('refuses %j', async (argv, exit, said) => {
    const ran = await project.run(argv);
    expect(ran.stderr).toContain(said);
    expect([ran.exit, ran.stdout]).toEqual([exit, '']);
  });
});

import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, normalised, type CliProject } from './cli-project.ts';

const CONFIG = `
import { defineConfig } from 'varve/pipeline';
import { lab } from './pipeline/lab.ts';
export default defineConfig({ stores: { main: { postgres: { urlFrom: 'DATABASE_URL' } } }, pipelines: [lab] });
`;

/** Grades mice by the latest rule, which the first version does not declare. */
const pipelineOf = (declared: boolean): string => `
import { pipeline, t } from 'varve/pipeline';
${declared ? '' : `import { sql } from 'kysely';`}
export const lab = pipeline('lab');
const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.integer() } });
const Rule = lab.manual('rule', { key: { rule: t.integer() }, columns: { bound: t.integer() } });
lab.computed('grade', {
  parents: [Mouse],
  columns: { heavy: t.boolean() },
${
  declared
    ? `  references: { rule: Rule },
  reads: { mouse: Mouse, rules: Rule.all() },
  make: ({ mouse, rules }) => {
    const { rule, bound } = rules.reduce((best, each) => (each.rule > best.rule ? each : best));
    return { rule, heavy: mouse.weight > bound };
  },`
    : `  strict: 'observe',
  reads: { mouse: Mouse },
  makeWith: async (db) => {
    const { weight } = await db.selectFrom('mouse').select('weight').executeTakeFirstOrThrow();
    const { rows } = await sql\`select bound from lab.rule order by rule desc limit 1\`.execute(db);
    return { heavy: weight > rows[0].bound };
  },`
}
});
`;

let database: PostgresDatabase;
let store: Store;
let project: CliProject;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  const [one, two] = await Promise.all(
    [false, true].map((declared) =>
      createCliProject(
        { 'varve.config.ts': CONFIG, 'pipeline/lab.ts': pipelineOf(declared) },
        { DATABASE_URL: database.url },
      ),
    ),
  );
  if (one === undefined || two === undefined) throw new TypeError('no project');
  for (const argv of [['plan'], ['apply']]) expect(await one.run(argv)).toMatchObject({ exit: 0 });
  await store.execute(sql`insert into lab.mouse values (1, 20), (2, 40)`);
  await store.execute(sql`insert into lab.rule values (1, 30)`);
  expect(await one.run(['populate'])).toMatchObject({ exit: 0 });
  await store.execute(sql`insert into lab.rule values (2, 35)`);
  await store.execute(sql`insert into lab.mouse values (3, 33), (4, 36)`);
  await store.execute(sql`insert into lab.grade values (3, true), (4, true)`);
  await cp(join(one.dir, 'migrations'), join(two.dir, 'migrations'), { recursive: true });
  await one[Symbol.asyncDispose]();
  project = two;
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

/** Sizes of tables are the server's own. */
const run = async (...argv: string[]): Promise<readonly [number, string, string]> => {
  const { exit, stdout, stderr } = await project.run(argv);
  const text = (out: string): string => normalised(out, project.dir).replaceAll(/\d+ kB/gu, '<size>');
  return [exit, text(stdout), text(stderr)];
};

describe('rows that a plan cannot attribute', () => {
  it('are told with the reason, and their keys with the refusal', async () => {
    expect(await run('plan')).toMatchInlineSnapshot(`
      [
        3,
        "PIPE-MIG-<day>-02
        declare    lab.grade -> lab.rule   (read 2 times without being declared)
        reads      lab.grade rules
      table      keep  backfill  recompute  retire  ambiguous
      lab.grade     0         2          0       0          2  !
      table      class      rows  why
      lab.grade  ambiguous     2  nothing recorded: lab.rule
      no makes, <size> beside
      2 rows of lab.grade cannot be attributed by what is recorded: say which rule holds: --attribute lab.grade=recompute, lab.grade=retire, or --attribute lab.grade.COLUMN=EXPRESSION
      It cannot be applied as it is.
      ",
        "error: rows_ambiguous  lab.grade  what becomes of some rows is not decided: rows 2, keys [{"mouse":3},{"mouse":4}]
        Say what becomes of these rows: an attribution rule, or let them be computed again.
      ",
      ]
    `);
    const { exit, json } = await project.run(['plan', '--json']);
    expect(exit).toBe(3);
    expect(json()).toMatchObject({
      status: 'refused',
      findings: [
        {
          code: 'rows_ambiguous',
          subject: 'lab.grade',
          detail: { rows: 2, keys: [{ mouse: 3 }, { mouse: 4 }] },
        },
      ],
      reasons: [{ table: 'lab.grade', class: 'ambiguous', why: 'nothing recorded: lab.rule', rows: 2 }],
      cost: { makeSeconds: 0, tables: [{ table: 'lab.grade', makes: 0 }] },
    });
  });

  it('are listed, and each is explained by what is recorded', async () => {
    expect(await run('plan', '--explain', 'grade')).toMatchInlineSnapshot(`
      [
        0,
        "lab.grade    class      why
      {"mouse":3}  ambiguous  nothing recorded: lab.rule
      {"mouse":4}  ambiguous  nothing recorded: lab.rule
      ",
        "",
      ]
    `);
    expect(await run('plan', '--explain', 'grade', '--limit', '1', '--offset', '1', '--json'))
      .toMatchInlineSnapshot(`
      [
        0,
        "{
        "status": "ok",
        "findings": [],
        "table": "lab.grade",
        "rows": [
          {
            "key": {
              "mouse": 4
            },
            "class": "ambiguous",
            "why": "nothing recorded: lab.rule"
          }
        ],
        "total": 2
      }
      ",
        "",
      ]
    `);
    expect(await run('plan', '--explain', 'lab.grade', '--key', '{"mouse":1}')).toMatchInlineSnapshot(`
      [
        0,
        "lab.grade {"mouse":1}  backfill
        why       nothing stands against keeping it
        computed  in varve://run/<time>.populate.all.<id> by sha256:<digest>
        value     rule by recorded: lab.rule
        read      lab.rule {"rule":1} (rule, bound) sha256:<digest>, not declared
        input     mouse of lab.mouse: recorded sha256:<digest>
        input     rules of lab.rule: by the row that was read
        above     lab.mouse  keep, its rows stay where they stand
      ",
        "",
      ]
    `);
    expect(await run('plan', '--explain', 'lab.grade', '--key', '{"mouse":3}')).toMatchInlineSnapshot(`
      [
        0,
        "lab.grade {"mouse":3}  ambiguous
        why       nothing recorded: lab.rule
        computed  nothing is recorded of how it was computed
        value     rule by recorded: lab.rule, none
        input     mouse of lab.mouse: nothing recorded
        input     rules of lab.rule: nothing recorded
        above     lab.mouse  keep, its rows stay where they stand
      ",
        "",
      ]
    `);
    const { json } = await project.run(['plan', '--explain', 'lab.grade', '--key', '{"mouse":2}', '--json']);
    expect(json()).toMatchObject({
      status: 'ok',
      row: {
        table: 'lab.grade',
        from: 'lab.grade',
        key: { mouse: 2 },
        class: 'backfill',
        why: '',
        found: [{ column: 'rule', from: 'recorded: lab.rule', isFound: true }],
        recorded: [{ subject: 'lab.rule', declared: false, keys: [{ rule: 1 }], rowCount: 1 }],
        inputs: [
          { read: 'mouse', table: 'lab.mouse', known: 'recorded' },
          { read: 'rules', table: 'lab.rule', known: 'recorded_read' },
        ],
        above: [{ table: 'lab.mouse', class: 'keep' }],
      },
    });
  });

  it('are decided by rules on the command line, with names in quotes where they need it', async () => {
    for (const rule of [`lab.grade.rule=2`, `"lab"."grade"."rule"=2`, `grade.rule=2`]) {
      const { json } = await project.run(['plan', '--attribute', rule, '--json']);
      expect(json(), rule).toMatchObject({
        status: 'ok',
        tables: [{ table: 'lab.grade', backfill: 4, ambiguous: 0 }],
      });
    }
    const explained = await project.run([
      'plan',
      '--explain',
      'lab.grade',
      '--key',
      '{"mouse":3}',
      '--json',
      '--attribute',
      'lab.grade.rule=case when mouse = 3 then 9 end',
    ]);
    expect(explained.json()).toMatchObject({ row: { class: 'ambiguous', why: 'no such row: lab.rule' } });
  });

  it('are decided by a function of the project, whose answers are part of what is planned', async () => {
    await writeFile(
      join(project.dir, 'attribute.ts'),
      `type Asked = { readonly row: { readonly mouse: number } };
       export const byMouse = ({ row }: Asked): object | string => (row.mouse === 3 ? { rule: 2 } : 'recompute');`,
    );
    const { json } = await project.run(['plan', '--attribute', 'lab.grade=./attribute.ts#byMouse', '--json']);
    expect(json()).toMatchObject({
      status: 'ok',
      tables: [{ table: 'lab.grade', backfill: 3, recompute: 1, ambiguous: 0 }],
    });
    const id = String(json()['migrationId']);
    expect((await run('plan', id, '--explain', 'lab.grade', '--key', '{"mouse":4}'))[1]).toContain(
      'recompute',
    );
    expect((await run('plan', '--attribute', 'lab.grade=./none.ts#byMouse'))[2]).toContain('no file none.ts');
    expect((await run('plan', '--attribute', 'lab.grade=./attribute.ts#other'))[2]).toContain(
      'no function other',
    );
    expect((await run('plan', '--attribute', 'lab.grade=../attribute.ts#byMouse'))[2]).toContain('outside');
  });

  it.each([
    [['plan', '--explain', 'lab.grade', '--key', '{"mouse":99}'], 3, 'row_missing'],
    [['plan', '--explain', 'lab.grade', '--key', '{"mouse":"one"}'], 3, 'value_invalid'],
    [['plan', '--explain', 'lab.grade', '--key', '[1]'], 2, 'no JSON object'],
    [['plan', '--explain', 'lab.rule', '--key', '{"rule":1}'], 3, 'rows of: lab.grade'],
    [['plan', '--explain', 'lab.graed'], 3, 'Ask for lab.grade'],
    [['plan', '--key', '{"mouse":1}'], 2, '--key without --explain'],
    [['plan', 'PIPE-MIG-2026-03-01-01', '--explain', 'lab.grade', '--attribute', 'recompute'], 2, 'at once'],
    [['plan', '--attribute', 'lab.grade.rule=random()'], 3, 'attribute_invalid'],
    [['plan', '--attribute', 'lab.grade.rule=(select 1)'], 3, 'a subquery'],
    [['plan', '--attribute', 'lab.grade.rul=1'], 3, 'Write lab.grade.rule'],
    [['plan', '--attribute', 'lab.graed=retire'], 3, 'lab.grade'],
    [['plan', '--attribute', 'lab.grade=forget'], 3, 'no such rule'],
    [['plan', '--attribute', 'retire'], 2, 'TABLE=retire'],
    [['plan', '--attribute', 'lab.grade.rule='], 2, 'Not TABLE=RULE'],
    [['plan', '--attribute', '"lab.grade=recompute'], 2, 'Not TABLE=RULE'],
    [['plan', '--attribute', 'lab.grade=retire', 'lab.grade=keep'], 2, 'Two rules for lab.grade'],
  ])('refuses %j with exit status %i', async (argv, exit, said) => {
    const got = await run(...argv);
    expect(got[2]).toContain(said);
    expect(got[0]).toBe(exit);
  });

  it('are applied by the rule, and explained afterwards', async () => {
    const planned = await project.run(['plan', '--attribute', 'lab.grade.rule=2', '--json']);
    const id = String(planned.json()['migrationId']);
    expect((await run('apply', id))[0]).toBe(0);
    expect(await store.query(sql`select mouse, rule from lab.grade order by mouse`)).toEqual([
      { mouse: 1, rule: 1 },
      { mouse: 2, rule: 1 },
      { mouse: 3, rule: 2 },
      { mouse: 4, rule: 2 },
    ]);
    expect(await run('plan', id, '--explain', 'lab.grade', '--key', '{"mouse":1}')).toMatchInlineSnapshot(`
      [
        0,
        "lab.grade {"mouse":1}  applied
        now       carried, by recorded_read
        before    computed in varve://run/<time>.populate.all.<id>
        read      lab.rule {"rule":1}, not declared
      ",
        "",
      ]
    `);
    expect((await run('plan', id, '--explain', 'lab.grade'))[2]).toContain('--key');
  });
});

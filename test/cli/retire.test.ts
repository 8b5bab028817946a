import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, normalised, type CliProject } from './cli-project.ts';

const CONFIG = `
import { defineConfig } from 'varve/pipeline';
import { lab } from './lab.ts';
export default defineConfig({ stores: { main: { postgres: { urlFrom: 'DATABASE_URL' } } }, pipelines: [lab] });
`;
const HEAD = `
import { sql } from 'kysely';
import { pipeline, t } from 'varve/pipeline';
export const lab = pipeline('lab');
export const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.integer() } });
export const Scale = lab.manual('scale', { key: { scale: t.integer() }, columns: { off: t.integer() } });
`;
/** The make reads the scale, and does not say so. */
const BEFORE = `${HEAD}
export const Grade = lab.computed('grade', {
  parents: [Mouse],
  columns: { weight: t.integer() },
  strict: 'observe',
  reads: { mouse: Mouse },
  makeWith: async (db) => {
    const { weight } = await db.selectFrom('mouse').select('weight').executeTakeFirstOrThrow();
    const scale = await sql<{ off: number }>\`select "off" from lab.scale order by scale desc limit 1\`.execute(db);
    return { weight: weight + (scale.rows[0]?.off ?? 0) };
  },
});
`;
const AFTER = `${HEAD}
export const Grade = lab.computed('grade', {
  parents: [Mouse],
  references: { scale: Scale },
  columns: { weight: t.integer() },
  reads: { mouse: Mouse, scales: Scale.all() },
  make: ({ mouse, scales }) => {
    const last = scales.reduce((best, each) => (each.scale > best.scale ? each : best));
    return { scale: last.scale, weight: mouse.weight + last.off };
  },
});
`;

let database: PostgresDatabase;
let store: Store;
let project: CliProject;
let id: string;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
  const env = { DATABASE_URL: database.url };
  await using first = await createCliProject({ 'varve.config.ts': CONFIG, 'lab.ts': BEFORE }, env);
  const done = async (given: CliProject, ...argv: string[]): Promise<Readonly<Record<string, unknown>>> => {
    const ran = await given.run([...argv, '--json']);
    if (ran.exit !== 0) throw new Error(ran.stdout);
    return ran.json();
  };
  await done(first, 'plan');
  await done(first, 'apply');
  await store.script('insert into lab.mouse values (1, 20), (2, 31); insert into lab.scale values (1, 7)');
  await done(first, 'populate');
  project = await createCliProject({ 'varve.config.ts': CONFIG, 'lab.ts': AFTER }, env);
  await cp(join(first.dir, 'migrations'), join(project.dir, 'migrations'), { recursive: true });
  id = String((await done(project, 'plan'))['migrationId']);
  await done(project, 'apply');
}, 60_000);

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

const run = async (...argv: string[]): Promise<readonly [number, string, string]> => {
  const { exit, stdout, stderr } = await project.run(argv);
  const plain = (text: string): string =>
    normalised(text, project.dir)
      .replaceAll(/\d+\.\d kB/gu, '<size>')
      .replaceAll(/retire-[0-9a-f]{16}/gu, 'retire-<digest>');
  return [exit, plain(stdout), plain(stderr)];
};

async function firstPopulate(): Promise<string> {
  const [populated] = await store.query<{ name: string }>(
    sql`select name from varve.run where kind = 'populate' order by id limit 1`,
  );
  return populated?.name ?? '';
}

describe('letting go of history on the command line', () => {
  it('shows what superseded structures cost', async () => {
    expect(await run('status')).toMatchInlineSnapshot(`
      [
        0,
        "migration               status   last run
      PIPE-MIG-<day>-01  applied  <time>
      PIPE-MIG-<day>-02  applied  <time>
      in history  1 table, 2 rows, <size>; let go with varve retire PIPE-MIG-<day>-02
      ",
        "",
      ]
    `);
    expect((await project.run(['status', '--json'])).json()).toMatchObject({
      migrations: [
        { history: { tables: 0, rows: 0, sizeBytes: 0 } },
        { migrationId: id, letGoAt: null, history: { tables: 1, rows: 2 } },
      ],
      history: { tables: 1, rows: 2, sizeBytes: expect.any(Number) as number },
    });
  });

  it('shows what would go', async () => {
    expect(await run('retire', id, '--dry-run')).toMatchInlineSnapshot(`
      [
        0,
        "PIPE-MIG-<day>-02: these would go for good, <size>
      structure                      rows  results  superseded  reads     size
      "varve_history"."lab.grade@3"     2        2           0      2  <size>
      plan     sha256:<digest>
      Nothing has changed. Go on with: varve approve PIPE-MIG-<day>-02 --for retire --as PRINCIPAL --key FILE, then varve retire PIPE-MIG-<day>-02
      ",
        "",
      ]
    `);
  });

  it('shows the graph, the code and the rows of before the migration', async () => {
    const asOf = await firstPopulate();
    expect(await run('graph', '--as-of', asOf)).toMatchInlineSnapshot(`
      [
        0,
        "table      tier      primary key
      lab.mouse  manual    mouse
      lab.grade  computed  mouse
      lab.scale  manual    scale

      from       to         columns  kind
      lab.grade  lab.mouse  mouse    primary
      ",
        "",
      ]
    `);
    expect((await project.run(['graph', '--as-of', asOf, '--json'])).json()).toMatchObject({
      status: 'ok',
      asOf,
      edges: [{ from: 'lab.grade', to: 'lab.mouse' }],
      code: [{ table: 'lab.grade', basis: 'bundle', run: asOf }],
    });
    expect(await run('code', 'lab.grade', '--as-of', asOf)).toMatchInlineSnapshot(`
      [
        0,
        "table      code                                                                     covers  rows  last run
      lab.grade  sha256:<digest>  bundle     2  varve://run/<time>.populate.all.<id>
      ",
        "",
      ]
    `);
    expect((await project.run(['code', '--source', '--json'])).json()).toMatchObject({
      asOf: null,
      code: [{ table: 'lab.grade', source: expect.stringContaining('scales.reduce') as string }],
    });
    expect(await run('cascade', 'lab.scale', '--as-of', asOf)).toMatchInlineSnapshot(`
      [
        0,
        "table      rows  reached by
      lab.scale     1  start
      as of varve://run/<time>.populate.all.<id>, by the graph of varve://run/<time>.migration.PIPE-MIG-<day>-01.<id>
      ",
        "",
      ]
    `);
    expect(await run('cascade', 'lab.scale')).toMatchInlineSnapshot(`
      [
        0,
        "table      rows  reached by
      lab.scale     1  start
      lab.grade     2  grade_scale_fkey, read scales
      ",
        "",
      ]
    `);
    expect(await run('trace', 'lab.grade', '--where', 'weight = 27', '--as-of', asOf)).toMatchInlineSnapshot(`
      [
        0,
        "table      rows  reached by
      lab.mouse     1  lab.mouse
      lab.grade     1  start
      as of varve://run/<time>.populate.all.<id>, by the graph of varve://run/<time>.migration.PIPE-MIG-<day>-01.<id>
      ",
        "",
      ]
    `);
    expect((await run('trace', 'lab.grade', '--as-of', '2001-01-01T00:00:00Z'))[2]).toContain('not_deployed');
  });

  it('is refused without an approval', async () => {
    expect(await run('retire', id)).toMatchInlineSnapshot(`
      [
        3,
        "",
        "error: approval_missing  PIPE-MIG-<day>-02  nobody who may has approved this: grant retire, environment dev, plan sha256:<digest>
        Look at what goes with --dry-run, then sign it: varve approve PIPE-MIG-<day>-02 --for retire --env dev --as PRINCIPAL --key FILE.
      ",
      ]
    `);
  });

  it('makes a key, registers it, and approves with it', async () => {
    expect(await run('keys')).toEqual([
      0,
      'No key is registered. Add one: varve keys add PRINCIPAL --new FILE\n',
      '',
    ]);
    expect((await run('approve', id, '--as', 'user:eve', '--for', 'retire'))[0]).toBe(2);
    expect(await run('keys', 'add', 'user:eve', '--new', 'eve.pem')).toMatchInlineSnapshot(`
      [
        0,
        "sha256:<digest> is a key of user:eve, in migrations/registry/keys.v1.json
      ",
        "",
      ]
    `);
    expect((await readFile(join(project.dir, 'eve.pem'), 'utf8')).split('\n')[0]).toBe(
      '-----BEGIN PRIVATE KEY-----',
    );
    expect((await run('keys', 'add', 'user:eve', '--new', 'eve.pem'))[0]).toBe(3);
    expect((await run('keys', 'add', 'user:bob', '--public', 'eve.pem'))[2]).toContain('registered already');
    expect((await run('keys', 'add', 'user:bob'))[0]).toBe(2);
    const withoutKey = ['approve', id, '--as', 'user:eve', '--for', 'retire', '--key', 'nowhere.pem'];
    expect((await run(...withoutKey))[0]).toBe(3);
    expect(await run('approve', id, '--as', 'user:eve', '--for', 'retire', '--key', 'eve.pem'))
      .toMatchInlineSnapshot(`
      [
        0,
        "user:eve approves PIPE-MIG-<day>-02 in dev: retire
      structure                      rows  results  superseded  reads     size
      "varve_history"."lab.grade@3"     2        2           0      2  <size>
      plan     sha256:<digest>
      until    <time>
      written  migrations/pipeline/PIPE-MIG-<day>-02/approvals/retire-<digest>.dsse.json
      ",
        "",
      ]
    `);
  });

  it('lets go, and says so ever after', async () => {
    expect(await run('retire', id)).toMatchInlineSnapshot(`
      [
        0,
        "What PIPE-MIG-<day>-02 superseded is let go.
      table      rows let go
      lab.grade            2
      run      varve://run/<time>.migration.PIPE-MIG-<day>-02.<id>
      receipt  migrations/pipeline/PIPE-MIG-<day>-02/receipts/run_receipt.json
               sha256:<digest>
      ",
        "",
      ]
    `);
    expect(await run('status')).toMatchInlineSnapshot(`
      [
        0,
        "migration               status   last run
      PIPE-MIG-<day>-01  applied  <time>
      PIPE-MIG-<day>-02  applied  <time>  history let go <time>
      ",
        "",
      ]
    `);
    expect(await run('history', 'lab.grade', '--key', '{"mouse":1}')).toMatchInlineSnapshot(`
      [
        0,
        "from                         until                        by                                                      what became of it                 rows
      <time>  now                          varve://run/<time>.populate.all.<id>  it stands                         {"mouse":1,"scale":1,"weight":27}
      <time>  <time>  varve://run/<time>.populate.all.<id>  another structure took its place  let go <time> by user:ada
      ",
        "",
      ]
    `);
    const asOf = await firstPopulate();
    expect(await run('why', 'lab.grade', '--key', '{"mouse":1}', '--as-of', asOf)).toMatchInlineSnapshot(`
      [
        0,
        "lab.grade {"mouse":1}  computed  until <time>
        computed  <time> by ada on <host>
        run       varve://run/<time>.populate.all.<id>
        commit    <commit>
        code      sha256:<digest> (bundle)
        packages  kysely@0.29.9
        reads     observed: what is not declared was let through and recorded
        output    sha256:<digest>
        let go    <time> by user:ada, varve://run/<time>.migration.PIPE-MIG-<day>-02.<id>
      ",
        "",
      ]
    `);
    expect(await run('history', 'lab.grade', '--as-of', asOf)).toMatchInlineSnapshot(`
      [
        0,
        "key  rows
      0 rows as of varve://run/<time>.populate.all.<id>
      2 rows of lab.grade had stood then and were let go <time> by user:ada, varve://run/<time>.migration.PIPE-MIG-<day>-02.<id>
      ",
        "",
      ]
    `);
    expect((await run('rollback', id))[2]).toContain('structure_missing');
    expect((await run('receipts', 'verify', '--all'))[0]).toBe(0);
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import { beforeAll, expect, it } from 'vitest';
import { sql, type Row } from '../../src/store/index.ts';
import { createCliProject, type CliProject, type CliRun } from '../cli/cli-project.ts';
import { withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openDataJoint, type DataJoint } from './python.ts';
import { typeCheck } from './type-check.ts';

const fileOf = (name: string): string => fileURLToPath(new URL(`datajoint/${name}`, import.meta.url));
const TABLES = [
  'colony.#species',
  'colony.mouse',
  'colony.litter',
  'lab.session',
  'lab._scan',
  'lab._scan__field',
  'lab.__scan_score',
];

/** A laboratory of DataJoint, and an empty folder in which it is adopted. */
interface Laboratory {
  readonly project: CliProject;
  /** Runs a command in the adopted project, and fails the test unless it exits so. */
  readonly varve: (argv: readonly string[], exit?: number) => Promise<CliRun>;
  readonly datajoint: (verb: string) => Promise<unknown>;
  readonly edit: (file: string, ...changes: readonly (readonly [string, string])[]) => Promise<void>;
  readonly textOf: (file: string) => Promise<string>;
}

let python: DataJoint;

async function openLaboratory(given: StoreUnderTest): Promise<Laboratory> {
  for (const schema of [
    'lab',
    'colony',
    'varve',
    'varve_history',
    'varve_build',
    'varve_copy',
    'varve_queue',
  ]) {
    await given.store.execute(sql`drop schema if exists ${sql.id(schema)} cascade`);
  }
  const env = { DATABASE_URL: given.url() };
  const project = await createCliProject({}, env);
  const datajoint = (verb: string): Promise<unknown> => python([fileOf('lab.py'), verb], env);
  expect(await datajoint('create')).toEqual({ datajoint: expect.stringMatching(/^2\./u) as string });
  const at = (file: string): string => path.join(project.dir, 'adopted', file);
  return {
    project,
    datajoint,
    varve: async (argv, exit = 0) => {
      const run = await ownProcess(argv, {
        cwd: path.join(project.dir, 'adopted'),
        env: { ...process.env, ...env },
      });
      expect(run.exit, `${argv.join(' ')}\n${run.stdout}\n${run.stderr}`).toBe(exit);
      return run;
    },
    textOf: (file) => readFile(at(file), 'utf8'),
    edit: async (file, ...changes) => {
      const before = await readFile(at(file), 'utf8');
      const after = changes.reduce((source, [from, to]) => {
        expect(source).toContain(from);
        return source.replace(from, () => to);
      }, before);
      await writeFile(at(file), after);
    },
  };
}

const VARVE = fileURLToPath(new URL('../../bin/varve.js', import.meta.url));

/** In a process of its own, which reads definitions as they are by now. */
async function ownProcess(
  argv: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<CliRun> {
  const child = spawn(process.execPath, [VARVE, ...argv], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const json = (): Readonly<Record<string, unknown>> => JSON.parse(stdout) as Record<string, unknown>;
  return { exit: child.exitCode ?? -1, stdout, stderr, json };
}

/** Writes the project, with makes that are a line-wise Python program. */
async function adopt({ project }: Laboratory, url: string): Promise<CliRun> {
  const flags = ['--schema', 'lab', 'colony', '--command', 'python3 lab/make.py', '--lines'];
  const run = await project.run(['adopt', '--db', url, '--out', 'adopted', ...flags, '--json']);
  expect(run.exit, run.stdout).toBe(0);
  await mkdir(path.join(project.dir, 'adopted', 'lab'));
  await copyFile(fileOf('make.py'), path.join(project.dir, 'adopted', 'lab', 'make.py'));
  return run;
}

withPostgres('a pipeline of DataJoint', 18, (given) => {
  beforeAll(async () => {
    python = await openDataJoint();
  }, 600_000);

  /** Every row of DataJoint's tables with where it physically is: a row that was touched is elsewhere. */
  const standing = async (): Promise<Readonly<Record<string, readonly Row[]>>> => {
    const rows = TABLES.map(async (table) => {
      const [schema = '', name = ''] = table.split('.');
      const id = sql.id(schema, name);
      const query = sql`select ctid::text as "at", xmin::text as "by", to_jsonb(t) as "row" from ${id} t order by ctid`;
      return [table, await given.store.query(query)] as const;
    });
    return Object.fromEntries(await Promise.all(rows));
  };

  it('is adopted, goes on with an outside command, and is evolved, with no row of it touched', async () => {
    const laboratory = await openLaboratory(given);
    await using project = laboratory.project;
    const { varve, datajoint, textOf, edit } = laboratory;
    const adopted = await adopt(laboratory, given.url());
    expect(adopted.json()).toMatchObject({
      tables: [
        { table: 'colony.species', standsAs: 'colony.#species', tier: 'lookup' },
        { table: 'colony.mouse', standsAs: 'colony.mouse', tier: 'manual' },
        { table: 'colony.litter', standsAs: 'colony.litter', tier: 'manual' },
        { table: 'lab.session', standsAs: 'lab.session', tier: 'manual' },
        { table: 'lab.scan', standsAs: 'lab._scan', tier: 'imported' },
        { table: 'lab.scan__field', standsAs: 'lab._scan__field', tier: 'part' },
        { table: 'lab.scan_score', standsAs: 'lab.__scan_score', tier: 'computed' },
      ],
      findings: [],
    });
    expect(adopted.json()['skipped']).toContain('lab.~~scan_score');
    for (const file of ['pipeline/colony.ts', 'pipeline/lab.ts', 'varve.config.ts']) {
      const written = await textOf(file);
      const options = { parser: 'typescript', printWidth: 110, singleQuote: true } as const;
      expect(written).toBe(await format(written, options));
      const name = `expected/datajoint-${path.basename(file, '.ts')}.txt`;
      await expect(written.replaceAll(/enum_[0-9a-f]{8}/gu, 'enum_<digest>')).toMatchFileSnapshot(name);
    }
    expect(await typeCheck(path.join(project.dir, 'adopted'))).toBe('');

    // What its make reads beside its parent, only a person can say.
    const reads = 'reads: { scan: Scan, mouse: Mouse, species: Species.all() }';
    await edit('pipeline/lab.ts', ['reads: { scan: Scan }', reads]);
    await edit('pipeline/lab.ts', ['import { Mouse } from', 'import { Mouse, Species } from']);

    // Without being told so, nothing of others is taken over; with it, no row is touched.
    const refused = await varve(['plan', '--json'], 3);
    expect(refused.json()['findings']).toHaveLength(7);
    const before = await standing();
    const plan = await varve(['plan', '--adopt', '--json']);
    expect(plan.json()).toMatchObject({ status: 'ok', questions: [] });
    const applied = await varve(['apply', '--json']);
    expect(applied.json()).toMatchObject({
      tables: [
        { table: 'colony.litter', keep: 1 },
        { table: 'colony.mouse', keep: 2 },
        { table: 'colony.species', keep: 2 },
        { table: 'lab.scan', keep: 3 },
        { table: 'lab.scan__field', keep: 6 },
        { table: 'lab.scan_score', keep: 3 },
        { table: 'lab.session', keep: 3 },
      ],
    });
    expect(await standing()).toEqual(before);
    await varve(['receipts', 'verify', '--all']);
    expect((await varve(['plan', '--json'])).json()).toMatchObject({ migrationId: null });

    // Adopted rows are neither missing nor stale, and say what they are.
    const nothing = await varve(['populate', '--json']);
    expect(nothing.json()['tables']).toEqual([
      { table: 'lab.scan', computed: 0, failed: 0, remaining: 0, skippedUnchanged: 0 },
      { table: 'lab.scan_score', computed: 0, failed: 0, remaining: 0, skippedUnchanged: 0 },
    ]);
    const key = ['--key', '{"mouse_id":1,"session":2}'];
    const origin = await varve(['why', 'lab.scan_score', ...key, '--json']);
    expect(origin.json()['origin']).toMatchObject({
      computation: null,
      adopted: { run: applied.json()['runId'] },
    });
    expect((await varve(['why', 'lab.scan_score', ...key])).stdout).toContain('adopted   with its table');

    // A key that DataJoint brings is computed by the outside command, and DataJoint reads what came of it.
    await datajoint('session');
    const populated = await varve(['populate', '--json']);
    expect(populated.json()['tables']).toMatchObject([
      { table: 'lab.scan', computed: 1, failed: 0, remaining: 0 },
      { table: 'lab.scan_score', computed: 1, failed: 0, remaining: 0 },
    ]);
    const scores = [
      [1, 1, 6],
      [1, 2, 12],
      [2, 1, 3],
      [2, 7, 21],
    ];
    expect(await datajoint('read')).toEqual({ scores, fields: 8, trace: [0, 1, 2, 3, 4] });

    // What the adopted rows were made from is seen by making them again.
    const observed = await varve(['observe', '--json']);
    expect(observed.json()).toMatchObject({
      findings: [],
      tables: [
        { table: 'lab.scan', unrecorded: 3, observed: 3, equal: 3, differing: 0, failed: 0 },
        { table: 'lab.scan_score', unrecorded: 3, observed: 3, equal: 3, differing: 0, failed: 0 },
      ],
    });
    const seen = await varve(['why', 'lab.scan_score', ...key, '--deep', '--json']);
    expect(seen.json()['origin']).toMatchObject({
      computation: { origin: 'adopted', enforcement: 'outside' },
    });
    const above = seen.json()['above'] as readonly { readonly table: string }[];
    expect(above.map(({ table }) => table)).toContain('lab.session');
    expect((await varve(['stale', '--json'])).json()['tables']).toMatchObject([{ stale: [] }, { stale: [] }]);
    expect((await varve(['verify', '--full', '--imported', '--json'])).json()).toMatchObject({
      isEqual: true,
    });

    // An edit of the command shows, as of any make.
    await edit('lab/make.py', ['"""The makes', '"""Edited: the makes']);
    const { tables: edited } = (await varve(['stale', '--json'])).json() as {
      readonly tables: readonly { readonly stale: readonly unknown[] }[];
    };
    expect(edited.map((table) => table.stale.length)).toEqual([4, 4]);
    await edit('lab/make.py', ['"""Edited: the makes', '"""The makes']);

    // A table below, computed in TypeScript from adopted and computed rows alike; then the way back.
    const old = await standing();
    const below = `
export const Verdict = lab.computed('verdict', {
  parents: [ScanScore],
  columns: { good: t.boolean() },
  reads: { score: ScanScore },
  make: ({ score }) => ({ good: score.score > 10 }),
});
`;
    await writeFile(
      path.join(project.dir, 'adopted/pipeline/lab.ts'),
      `${await textOf('pipeline/lab.ts')}${below}`,
    );
    await varve(['plan']);
    await varve(['apply']);
    const verdicts = await varve(['populate', '--json']);
    expect(verdicts.json()['tables']).toMatchObject([
      { table: 'lab.scan', computed: 0 },
      { table: 'lab.scan_score', computed: 0 },
      { table: 'lab.verdict', computed: 4 },
    ]);
    expect(await standing()).toEqual(old);
    const cascade = ['cascade', 'colony.mouse', '--where', 'mouse_id = 2', '--json'];
    const rows = (await varve(cascade)).json()['tables'];
    expect(rows).toContainEqual(expect.objectContaining({ table: 'lab.scan_score', rows: 2 }));
    expect(rows).toContainEqual(expect.objectContaining({ table: 'lab.scan__field', rows: 4 }));
  }, 180_000);

  it('declares what its make read without saying so, with every result kept', async () => {
    const laboratory = await openLaboratory(given);
    await using _project = laboratory.project;
    const { varve, datajoint, edit } = laboratory;
    await adopt(laboratory, given.url());
    const file = 'pipeline/lab.ts';
    const observing = `strict: 'observe',
  reads: { scan: Scan, mouse: Mouse.columns('species') },
  makeWith: async (db) => {
    const { depth } = await db.selectFrom('scan').select('depth').executeTakeFirstOrThrow();
    const { species } = await db.selectFrom('mouse').select('species').executeTakeFirstOrThrow();
    const kinds = await sql<{ legs: number }>\`
      select legs from colony."#species" where species = \${species}\`.execute(db);
    return { score: depth * (kinds.rows[0]?.legs ?? 0) };
  },`;
    const make =
      "reads: { scan: Scan },\n  make: command(['python3', 'lab/make.py', 'lab.scan_score'], { mode: 'lines' }),";
    await edit(file, [make, observing], ['import {', "import { sql } from 'kysely';\nimport {"]);
    await varve(['plan', '--adopt']);
    await varve(['apply']);
    const observed = await varve(['observe', 'lab.scan_score', '--sample', '2', '--json']);
    expect(observed.json()['tables']).toMatchObject([{ unrecorded: 3, observed: 2, equal: 2 }]);
    expect((await varve(['observe', '--json'])).json()['tables']).toMatchObject([
      { table: 'lab.scan', equal: 3 },
      { table: 'lab.scan_score', unrecorded: 1, equal: 1 },
    ]);
    // The alarm: what was read without being declared, and the remedy.
    const check = await varve(['check', '--json'], 0);
    expect(JSON.stringify(check.json()['findings'])).toContain('colony.species');

    const scores = async (): Promise<readonly Row[]> => {
      const [place] = await given.store.query<{ schema: string; name: string }>(sql`
        select physical_schema as schema, physical_name as name from varve.relation
        where name = 'lab.scan_score' and state = 'live'`);
      return given.store.query(sql`
        select * from ${sql.id(place?.schema ?? '', place?.name ?? '')} order by mouse_id, session`);
    };
    const before = await scores();
    const declared = `references: { species: Species.from({ species: Mouse.column('species') }) },
  columns: { score: t.double().describe('depth by legs') },
  reads: { scan: Scan, mouse: Mouse.columns('species'), kinds: Species.matching({ species: Mouse.column('species') }) },
  make: ({ scan, kinds }) => {
    const [kind] = kinds;
    return { score: scan.depth * (kind?.legs ?? 0) };
  },`;
    const columns = "columns: { score: t.double().describe('depth by legs') },\n  ";
    await edit(
      file,
      [`${columns}${observing}`, declared],
      ['import { Mouse } from', 'import { Mouse, Species } from'],
      ["import { sql } from 'kysely';\n", ''],
    );
    const plan = await varve(['plan', '--json']);
    expect(plan.json()['tables']).toMatchObject([
      { table: 'lab.scan_score', backfill: 3, recompute: 0, ambiguous: 0 },
    ]);
    const migrationId = String(plan.json()['migrationId']);
    await varve(['apply']);
    const kept = before.map((row) => ({ ...row, species: row['mouse_id'] === 1 ? 'mouse' : 'finch' }));
    expect(await scores()).toEqual(kept);
    expect((await varve(['populate', '--json'])).json()['tables']).toMatchObject([
      { table: 'lab.scan', computed: 0 },
      { table: 'lab.scan_score', computed: 0 },
    ]);
    expect((await varve(['verify', '--full', '--json'])).json()).toMatchObject({ isEqual: true });
    const below = await varve(['cascade', 'colony.species', '--where', "species = 'finch'", '--json']);
    expect(below.json()['tables']).toContainEqual(
      expect.objectContaining({ table: 'lab.scan_score', rows: 1 }),
    );

    // It stands where DataJoint knows it, there and on the way back.
    const read = { scores: before.map(({ mouse_id, session, score }) => [mouse_id, session, score]) };
    expect(await datajoint('read')).toMatchObject(read);
    await varve(['rollback', migrationId]);
    expect(await datajoint('read')).toMatchObject(read);
    expect(await scores()).toEqual(before);
  }, 180_000);
});

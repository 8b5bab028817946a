/**
 * Every kind of bad input that the product promises to answer: each gives an error with a code and a hint, prints no row
 * value, password or stack, and leaves nothing half-written. Through the command line, for people and with `--json`.
 */
import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';
import { freePort, postgresDatabase, uniqueName, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, definitionsIn, deploy, type CliProject } from './cli-project.ts';

/** Stands in rows, in an address or in a message of PostgreSQL, and never in what is printed. */
const SECRET = 'hunter2secret';

/** What each bad make does for key 2 alone, and the code that its job gets. */
const BAD_MAKES = {
  throws: ['throw new TypeError("no")', 'make_failed'],
  returns_nothing: ['return undefined', 'make_returned_nothing'],
  returns_another_key: ['return { mouse: 7, x: 1, name: "n" }', 'make_returned_another_key'],
  never_returns: ['return new Promise(() => {})', 'make_timed_out'],
  returns_nan: ['return { x: NaN, name: "n" }', 'make_returned_nan'],
  returns_a_lone_surrogate: ['return { x: 1, name: "\\ud800" }', 'make_returned_bad_text'],
} as const;

const tables = Object.entries(BAD_MAKES).map(
  ([name, [body]]) => `
lab.computed('${name}', {
  parents: [Mouse],
  columns: { x: t.double(), name: t.text() },
  reads: { mouse: Mouse },
  timeoutSeconds: 1,
  make: ({ mouse }) => {
    if (mouse.mouse === 2) { ${body}; }
    return { x: 1, name: mouse.note };
  },
});`,
);

const project = (store: string): Readonly<Record<string, string>> => ({
  'varve.config.ts': `
import { defineConfig } from 'varve/pipeline';
import { lab } from './pipeline/lab.ts';
export default defineConfig({ stores: { main: ${store} }, pipelines: [lab] });
`,
  'pipeline/lab.ts': `
import { pipeline, t } from 'varve/pipeline';
export const lab = pipeline('lab');
export const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { note: t.text() } });
${tables.join('\n')}
`,
});

interface Printed {
  readonly status: string;
  readonly findings: readonly { readonly code: string; readonly hint: string; readonly severity: string }[];
}

/** Runs it for people and with `--json`; both must say the same, and nothing that they must not. */
async function refusedTwice(
  given: CliProject,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly exit: number; readonly code: string | undefined }> {
  const forPeople = await given.run(argv, { env });
  const forPrograms = await given.run([...argv, '--json'], { env });
  // One object and nothing beside it: the parser refuses a second one.
  const printed = forPrograms.json() as unknown as Printed;
  expect(forPrograms.exit).toBe(forPeople.exit);
  expect(forPrograms.stderr).toBe('');
  const [first] = printed.findings.filter(({ severity }) => severity === 'error');
  expect(first?.hint).toMatch(/\w{3}/u);
  expect(forPeople.stderr).toContain(`error: ${first?.code ?? ''}`);
  for (const text of [forPeople.stdout, forPeople.stderr, forPrograms.stdout]) {
    expect(text).not.toContain(SECRET);
    expect(text).not.toMatch(/^\s+at .+:\d+:\d+/mu);
  }
  return { exit: forPeople.exit, code: first?.code };
}

describe.each(['embedded', 'PostgreSQL 18'])('bad input to a project on %s', (kind) => {
  let database: PostgresDatabase | undefined;
  let given: CliProject;

  beforeAll(async () => {
    database = kind === 'embedded' ? undefined : await postgresDatabase(18);
    given = await createCliProject(
      project(database === undefined ? `{ embedded: 'db' }` : `{ postgres: { urlFrom: 'DATABASE_URL' } }`),
      database === undefined ? {} : { DATABASE_URL: database.url },
    );
    await onStore(async (store) => {
      await deploy(store, await definitionsIn(given));
      await store.execute(sql`insert into lab.mouse select n, ${SECRET}::text from generate_series(1, 3) n`);
    });
  });
  afterAll(async () => {
    await database?.[Symbol.asyncDispose]();
    await given[Symbol.asyncDispose]();
  });

  // Opened for each use: the commands need the embedded folder for themselves.
  async function onStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
    await using store =
      database === undefined
        ? await embeddedStore({ folder: join(given.dir, 'db') })
        : await postgresStore({ url: database.url });
    return await work(store);
  }

  it.each([
    ['populate', 'lab.mause'],
    ['trace', 'lab.mause'],
    ['cascade', 'lab.mause'],
    ['jobs', 'list', 'lab.mause'],
    ['why', 'lab.mause', '--key', '{"mouse":1}'],
    ['history', 'lab.mause', '--key', '{"mouse":1}'],
    ['stale', 'lab.mause'],
    ['delete', 'lab.mause', '--where', 'mouse = 1', '--yes'],
    ['verify', 'lab.mause', '--full'],
  ])('an unknown table: %s %s', async (...argv) => {
    expect(await refusedTwice(given, argv)).toEqual({ exit: 3, code: 'unknown_table' });
  });

  it.each(
    ['cascade lab.mouse', 'populate lab.throws', 'delete lab.mouse --yes'].flatMap((command) =>
      [
        'mause = 1',
        'mouse = ',
        'true; drop table lab.mouse',
        `mouse = '${SECRET.slice(0, 3)}'`,
        'mouse',
        '',
      ].map((where) => [command, where] as const),
    ),
  )('a bad condition: %s --where "%s"', async (command, where) => {
    expect(await refusedTwice(given, [...command.split(' '), '--where', where])).toEqual({
      exit: 3,
      code: 'where_invalid',
    });
    expect(await onStore((store) => store.query(sql`select count(*)::int as n from lab.mouse`))).toEqual([
      { n: 3 },
    ]);
  });

  it.each(
    Object.entries(BAD_MAKES).map(([name, [, code]]) => [name.replaceAll('_', ' '), name, code] as const),
  )('a make that %s', async (_, name, code) => {
    const table = `lab.${name}`;
    const first = await given.run(['populate', table]);
    expect(first).toMatchObject({ exit: 4 });
    expect(first.stdout + first.stderr).not.toContain(SECRET);
    const listed = (await given.run(['jobs', 'list', table, '--json'])).json();
    expect(listed).toMatchObject({ jobs: [{ key: { mouse: 2 }, state: 'error', code }] });
    await given.run(['jobs', 'retry', table]);
    const again = (await given.run(['populate', table, '--json'])).json() as unknown as Printed;
    expect(again).toMatchObject({ status: 'failed', tables: [{ computed: 0, failed: 1, remaining: 0 }] });
    expect(again.findings[0]?.hint).toContain('varve jobs list');
    // The other keys are kept whole, each with its computation; of the failed one there is nothing.
    expect(
      await onStore((store) =>
        store.query(sql`
            select (select count(*)::int from ${sql.id('lab', name)}) as rows,
              (select count(*)::int from varve.computation c join varve.relation r on r.id = c.relation
                where r.name = ${table}::text) as computations`),
      ),
    ).toEqual([{ rows: 2, computations: 2 }]);
  });
});

describe('a database that cannot be used', () => {
  const server = project(`{ postgres: { urlFrom: 'DATABASE_URL' } }`);
  const embedded = project(`{ embedded: 'db' }`);
  const COMMANDS = ['populate', 'plan', 'apply', 'status', 'stale', 'jobs', 'recover', 'verify'];

  it('is unreachable', async () => {
    await using given = await createCliProject(server);
    const DATABASE_URL = `postgres://ada:${SECRET}@127.0.0.1:${await freePort()}/lab`;
    for (const name of COMMANDS) {
      expect([name, await refusedTwice(given, [name], { DATABASE_URL })]).toEqual([
        name,
        { exit: 3, code: 'database_unreachable' },
      ]);
    }
    expect(await refusedTwice(given, ['trace', 'lab.mouse', '--db', DATABASE_URL])).toMatchObject({
      code: 'database_unreachable',
    });
  });

  it('gives its user no rights', async () => {
    await using given = await createCliProject(server);
    await using database = await postgresDatabase(18);
    await using store = await postgresStore({ url: database.url });
    await deploy(store, await definitionsIn(given));
    const role = uniqueName('reader');
    await store.execute(sql`create role ${sql.id(role)} login password ${sql.raw(`'${SECRET}'`)}`);
    const url = new URL(database.url);
    [url.username, url.password] = [role, SECRET];
    for (const name of ['populate', 'apply', 'stale', 'jobs', 'status']) {
      expect([name, await refusedTwice(given, [name], { DATABASE_URL: url.href })]).toEqual([
        name,
        { exit: 3, code: 'permission_denied' },
      ]);
    }
    expect(await refusedTwice(given, ['trace', 'lab.mouse', '--db', url.href])).toMatchObject({
      code: 'permission_denied',
    });
    await store.execute(sql`drop role ${sql.id(role)}`);
  });

  it('is a corrupt embedded folder, and keeps every file', async () => {
    await using given = await createCliProject(embedded);
    await (await embeddedStore({ folder: join(given.dir, 'db') }))[Symbol.asyncDispose]();
    await rm(join(given.dir, 'db/global/pg_control'));
    const before = await readdir(join(given.dir, 'db'), { recursive: true });
    for (const name of COMMANDS) {
      expect([name, await refusedTwice(given, [name])]).toEqual([name, { exit: 3, code: 'store_corrupt' }]);
    }
    expect(await readdir(join(given.dir, 'db'), { recursive: true })).toEqual(expect.arrayContaining(before));
  });

  it('is a locked embedded folder', async () => {
    await using given = await createCliProject(embedded);
    await using _holder = await embeddedStore({ folder: join(given.dir, 'db') });
    for (const name of COMMANDS) {
      expect([name, await refusedTwice(given, [name])]).toEqual([name, { exit: 3, code: 'store_locked' }]);
    }
  });

  it('is an embedded folder that is not there, and is not made by a typing error', async () => {
    await using given = await createCliProject(embedded);
    expect(await refusedTwice(given, ['trace', 'lab.mouse', '--db', 'embedded:nowhere'])).toEqual({
      exit: 3,
      code: 'database_unreachable',
    });
    expect(await readdir(given.dir)).not.toContain('nowhere');
  });

  it('has a full disk: what was computed before stays, and populate goes on with room', async ({ skip }) => {
    const reason =
      process.platform !== 'linux' || process.getuid?.() !== 0 ? 'mounting a small disk needs root' : '';
    skip(reason !== '', reason);
    await using given = await createCliProject({
      ...embedded,
      'pipeline/lab.ts': FILLING_LAB,
      'varve.config.ts': (embedded['varve.config.ts'] ?? '').replace("'db'", "'disk/db'"),
    });
    const disk = join(given.dir, 'disk');
    await mkdir(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=90m', 'tmpfs', disk]);
    try {
      // Each in a process of its own: the engine keeps its files open, and an open file keeps the disk mounted.
      expect(inProcess(given.dir, 'plan')).toMatchObject({ status: 'ok' });
      expect(inProcess(given.dir, 'apply')).toMatchObject({ status: 'ok' });
      const full = inProcess(given.dir, 'populate');
      expect(full).toMatchObject({ status: 'rolled_back', findings: [{ code: 'database_full' }] });
      execFileSync('mount', ['-o', 'remount,size=1g', disk]);
      expect(inProcess(given.dir, 'populate')).toMatchObject({ status: 'ok', tables: [{ remaining: 0 }] });
      expect(inProcess(given.dir, 'verify', '--full')).toMatchObject({ status: 'ok', findings: [] });
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});

/** 24 MB of rows that do not compress. */
const FILLING_LAB = `
import { createHash } from 'node:crypto';
import { pipeline, t } from 'varve/pipeline';
export const lab = pipeline('lab');
const contents = Array.from({ length: 6000 }, (_, mouse) => ({ mouse }));
const Mouse = lab.lookup('mouse', { key: { mouse: t.integer() }, contents });
const noise = (text: string): string => createHash('sha512').update(text).digest('hex');
lab.computed('noise', {
  parents: [Mouse],
  columns: { noise: t.text() },
  reads: { mouse: Mouse },
  make: ({ mouse }) => ({ noise: Array.from({ length: 60 }, (_, n) => noise(mouse.mouse + '.' + n)).join('') }),
});
`;

function inProcess(dir: string, ...argv: readonly string[]): unknown {
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = { cwd: dir, encoding: 'utf8', stdio: 'pipe' };
    return JSON.parse(execFileSync(process.execPath, [VARVE, ...argv, '--json'], options));
  } catch (error) {
    return JSON.parse((error as { readonly stdout: string }).stdout);
  }
}

const VARVE = resolve('bin/varve.js');

describe('definitions that cannot stand', () => {
  it.each([
    [
      'a circle',
      'definition_cycle',
      `const Before = pipeline('lab').manual('b', { key: { id: t.integer() } });
       const A = lab.manual('a', { parents: [Before] });
       lab.manual('b', { parents: [A] });`,
    ],
    [
      'two of one name',
      'definition_invalid',
      `for (const n of [1, 2]) lab.manual('a', { key: { id: t.integer() } });`,
    ],
    ['a reserved column', 'definition_invalid', `lab.manual('a', { key: { parts: t.integer() } });`],
    ['a dot in a name', 'definition_invalid', `lab.manual('a.b', { key: { id: t.integer() } });`],
    ['code that throws', 'config_invalid', `throw new Error('no');`],
    ['code that does not parse', 'config_invalid', `const = 1;`],
  ])('%s', async (_, code, text) => {
    await using given = await createCliProject({
      ...project(`{ embedded: 'db' }`),
      'pipeline/lab.ts': `import { pipeline, t } from 'varve/pipeline';\nexport const lab = pipeline('lab');\n${text}`,
    });
    for (const name of ['check', 'plan', 'populate', 'stale']) {
      expect([name, await refusedTwice(given, [name])]).toEqual([name, { exit: 3, code }]);
    }
    expect(await readdir(given.dir)).toEqual(['pipeline', 'varve.config.ts']);
  });
});

describe('a migrations folder that cannot be written', () => {
  it('is a file', async () => {
    await using given = await createCliProject(project(`{ embedded: 'db' }`));
    await writeFile(join(given.dir, 'migrations'), 'mine');
    expect(await refusedTwice(given, ['plan'])).toEqual({ exit: 3, code: 'evidence_unwritable' });
    expect(await readFile(join(given.dir, 'migrations'), 'utf8')).toBe('mine');
  });
});

describe('two inits at once', () => {
  it('write one project between them, and neither is a fault', async () => {
    await using given = await createCliProject({});
    const runs = await Promise.all([1, 2, 3].map(() => given.run(['init', 'lake', '--json'])));
    const codes = runs.flatMap(({ json }) => (json() as unknown as Printed).findings.map(({ code }) => code));
    expect(codes.filter((code) => code !== 'files_exist')).toEqual([]);
    expect(runs.map(({ exit }) => exit)).toContain(0);
    expect(await readdir(join(given.dir, 'lake'))).toContain('varve.config.ts');
  });
});

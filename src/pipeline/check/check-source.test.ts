import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFixtureProject, type FixtureProject } from '../../../test/fixture/project.ts';
import type { Finding } from '../../base/index.ts';
import { checkSource } from './check-source.ts';

let project: FixtureProject;

beforeEach(() => {
  project = createFixtureProject();
  // Enough of each package for Node to import what the fixtures name; nothing of it is called.
  project.write({
    'node_modules/pg/package.json': '{ "name": "pg", "type": "module", "exports": "./index.js" }',
    'node_modules/pg/index.js': 'export class Pool {}\nexport default { Pool };',
    'node_modules/kysely/package.json': '{ "name": "kysely", "type": "module", "exports": "./index.js" }',
    'node_modules/kysely/index.js': 'export class Kysely {}\nexport const sql = () => ({});',
  });
});

afterEach(() => {
  project.remove();
});

const HEAD = `import { pipeline, t } from 'varve/pipeline';
const audit = pipeline('audit');
export const Package = audit.manual('package', { key: { name: t.text() }, columns: { license: t.text() } });
export const LicensePolicy = audit.manual('license_policy', { key: { license: t.text() }, columns: { ok: t.boolean() } });
export const Manifest = audit.manual('manifest', { parents: [Package], columns: { size: t.integer() } });
`;

/** A project whose table \`audit.verdict\` is made as given, with imports and helpers around it. */
function verdict(making: string, around = '', { tier = 'computed', strict = 'enforce' } = {}): string {
  return `${HEAD}${around}
export const Verdict = audit.${tier}('verdict', {
  parents: [Manifest], columns: { allowed: t.boolean() }, reads: { manifest: Manifest }, strict: '${strict}',
  ${making}
});
`;
}

async function findings(
  text: string,
  files: Readonly<Record<string, string>> = {},
): Promise<readonly Finding[]> {
  project.write({ ...files, 'src/audit.ts': text });
  return checkSource(await project.tables('src/audit.ts'), { projectFolder: project.folder });
}

/** Code and what was used or read, of each finding. */
async function told(text: string, files?: Readonly<Record<string, string>>): Promise<readonly string[]> {
  return (await findings(text, files)).map(
    ({ code, detail }) => `${code} ${(detail['uses'] ?? detail['reads']) as string}`,
  );
}

describe('what a make uses from outside', () => {
  test.each<readonly [string, string, string, readonly string[]]>([
    ['nothing', '', '({ allowed: true })', []],
    ['Date.now', '', '({ allowed: Date.now() > 0 })', ['undeclared_clock Date.now']],
    ['new Date', '', '({ allowed: new Date().getTime() > 0 })', ['undeclared_clock Date']],
    ['new Date of a value', '', "({ allowed: new Date('2020-01-01').getTime() > 0 })", []],
    ['performance.now', '', '({ allowed: performance.now() > 0 })', ['undeclared_clock performance.now']],
    [
      'process.hrtime',
      '',
      '({ allowed: process.hrtime.bigint() > 0n })',
      ['undeclared_clock process.hrtime.bigint'],
    ],
    ['Math.random', '', '({ allowed: Math.random() > 0 })', ['undeclared_randomness Math.random']],
    ['Math.floor', '', '({ allowed: Math.floor(1) > 0 })', []],
    ['crypto', '', "({ allowed: crypto.randomUUID() > '' })", ['undeclared_randomness crypto.randomUUID']],
    [
      'randomBytes',
      "import { randomBytes } from 'node:crypto';",
      '({ allowed: randomBytes(1).length > 0 })',
      ['undeclared_randomness node:crypto.randomBytes'],
    ],
    [
      'a hash',
      "import { createHash } from 'node:crypto';",
      "({ allowed: createHash('md5').digest('hex') > '' })",
      [],
    ],
    ['fetch', '', "({ allowed: fetch('http://x') !== undefined })", ['undeclared_network fetch']],
    [
      'globalThis.fetch',
      '',
      "({ allowed: globalThis.fetch('http://x') !== undefined })",
      ['undeclared_network globalThis.fetch'],
    ],
    [
      'node:http',
      "import * as http from 'node:http';",
      "({ allowed: http.get('x') !== undefined })",
      ['undeclared_network node:http.get'],
    ],
    [
      'files',
      "import { readFileSync as read } from 'fs';",
      "({ allowed: read('x') !== undefined })",
      ['undeclared_files node:fs.readFileSync'],
    ],
    [
      'the environment',
      '',
      "({ allowed: process.env['X'] === 'x' })",
      ['undeclared_environment process.env.X'],
    ],
    [
      'a process',
      "import { execSync } from 'node:child_process';",
      "({ allowed: execSync('x') !== undefined })",
      ['undeclared_environment node:child_process.execSync'],
    ],
    [
      'a database client',
      "import { Pool } from 'pg';\nconst pool = new Pool();",
      "({ allowed: pool.query('select 1') !== undefined })",
      ['undeclared_client pg.Pool'],
    ],
    [
      'a default import of one',
      "import pg from 'pg';\nconst pool = new pg.Pool();",
      "({ allowed: pool.query('select 1') !== undefined })",
      ['undeclared_client pg.Pool'],
    ],
    ['a dynamic import of one', '', "import('pg').then(() => ({ allowed: true }))", ['undeclared_client pg']],
    [
      'a Kysely of its own',
      "import { Kysely } from 'kysely';\nconst db = new Kysely();",
      "({ allowed: db.selectFrom('manifest') !== undefined })",
      ['undeclared_client kysely.Kysely'],
    ],
    [
      'another name for it',
      'const clock = Date;\nconst { now } = clock;',
      '({ allowed: now() > 0 })',
      ['undeclared_clock Date.now'],
    ],
    [
      'a constant of it',
      'const startedAt = Date.now();',
      '({ allowed: startedAt > 0 })',
      ['undeclared_clock Date.now'],
    ],
    ['one that is declared here', 'const Date = { now: () => 1 };', '({ allowed: Date.now() > 0 })', []],
    ['what nobody reaches', 'export function unused() { return Math.random(); }', '({ allowed: true })', []],
    [
      'the type of it',
      'type Clock = typeof Date.now;',
      '({ allowed: (undefined as unknown as Clock) === undefined })',
      [],
    ],
    ['the context', '', '({ allowed: true })', []],
  ])('%s', async (_what, around, result, expected) => {
    expect(await told(verdict(`make: () => (${result}) as never,`, around))).toEqual(expected);
  });

  test('tells the way, the place and the remedy', async () => {
    const text = verdict(
      'make: ({ manifest }) => ({ allowed: judge(manifest.size) }),',
      "import { judge } from './rules.ts';",
    );
    const rules = `import { stamp } from './stamp.ts';
export const judge = (size: number): boolean => [size].map((n) => stamp() + n).length > 0;
`;
    const stamp = 'export function stamp(): number {\n  return Date.now();\n}\n';
    expect(await findings(text, { 'src/rules.ts': rules, 'src/stamp.ts': stamp })).toEqual([
      {
        code: 'undeclared_clock',
        severity: 'error',
        subject: 'audit.verdict',
        detail: { file: 'src/stamp.ts', line: 2, column: 10, via: ['judge', 'stamp'], uses: 'Date.now' },
        hint: 'Use `now` of the context, the time of the run: `make: (reads, { now }) => ...`.',
      },
    ]);
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string, string]>([
    [
      'a renamed re-export',
      {
        'src/all.ts': "export { roll as dice } from './dice.ts';",
        'src/dice.ts': 'export const roll = () => Math.random();',
      },
      "import { dice } from './all.ts';",
      'dice()',
    ],
    [
      'a star export of a whole module',
      {
        'src/all.ts': "export * from './dice.ts';",
        'src/dice.ts': 'export const roll = () => Math.random();',
      },
      "import * as all from './all.ts';",
      'all.roll()',
    ],
    [
      'a default export',
      { 'src/dice.ts': 'export default function () { return Math.random(); }' },
      "import roll from './dice.ts';",
      'roll()',
    ],
    [
      'a method of an object',
      {},
      'const tools = { roll() { return Math.random(); }, other: () => Date.now() };',
      'tools.roll()',
    ],
    ['a shorthand member', {}, 'const roll = () => Math.random();\nconst tools = { roll };', 'tools.roll()'],
    [
      'a destructured member',
      {},
      'const tools = { roll: () => Math.random() };\nconst { roll } = tools;',
      'roll()',
    ],
    [
      'a method of a class',
      {},
      'class Dice { roll() { return Math.random(); } other() { return Date.now(); } }',
      'new Dice().roll()',
    ],
    [
      'a method of a base class',
      {},
      'class Base { roll() { return Math.random(); } }\nclass Dice extends Base {}',
      'new Dice().roll()',
    ],
    [
      'what creating an object runs',
      {},
      'class Dice { static seed = 1; n = Math.random(); roll() { return this.n; } }\nconst dice = new Dice();',
      'dice.roll()',
    ],
    [
      'what a promise holds',
      {},
      'class Dice { roll() { return Math.random(); } }\nasync function dice() { return new Dice(); }',
      '(await dice()).roll()',
    ],
    ['a callback by name', {}, 'const roll = () => Math.random();', '[1].map(roll).length'],
    [
      'a dynamic import of a project file',
      { 'src/dice.ts': 'export const roll = () => Math.random();' },
      '',
      "(await import('./dice.ts')).roll()",
    ],
    [
      'a helper of JavaScript',
      { 'src/dice.js': 'export const roll = () => Math.random();' },
      "// @ts-ignore\nimport { roll } from './dice.js';",
      'roll()',
    ],
  ])('is found by way of %s, and nothing beside', async (_what, files, around, call) => {
    expect(await told(verdict(`make: async () => ({ allowed: ${call} > 0 }),`, around), files)).toEqual([
      'undeclared_randomness Math.random',
    ]);
  });

  test('an import may read files, but no clock', async () => {
    const around = "import { readFileSync } from 'node:fs';";
    const making = "make: () => ({ allowed: readFileSync('x').length > Date.now() }),";
    expect(await told(verdict(making, around, { tier: 'imported' }))).toEqual(['undeclared_clock Date.now']);
  });

  test('an observing table is warned', async () => {
    const [finding] = await findings(
      verdict('make: () => ({ allowed: Date.now() > 0 }),', '', { strict: 'observe' }),
    );
    expect(finding?.severity).toBe('warning');
  });

  test('another table that a make names brings nothing of its own', async () => {
    const text = verdict(
      'make: () => ({ allowed: Other.spec.name > "" }),',
      `const Other = audit.computed('other', {
      parents: [Package], columns: { a: t.boolean() }, reads: {}, make: () => ({ a: Date.now() > 0 }) });`,
    );
    expect(await told(text)).toEqual([]);
  });
});

describe('tables that a make reads', () => {
  test.each<readonly [string, string, readonly string[]]>([
    ['a declared read', "await db.selectFrom('manifest').selectAll().execute()", []],
    ['another table', "await db.selectFrom('license_policy').execute()", ['audit.license_policy']],
    ['an alias', "await db.selectFrom('license_policy as p').execute()", ['audit.license_policy']],
    [
      'a list',
      "await db.selectFrom(['manifest as m', 'license_policy as p']).execute()",
      ['audit.license_policy'],
    ],
    [
      'a join',
      "await db.selectFrom('manifest').innerJoin('license_policy', 'a', 'b').execute()",
      ['audit.license_policy'],
    ],
    [
      'a sub-select',
      "await db.selectFrom('manifest').select((eb) => eb.selectFrom('license_policy').as('p')).execute()",
      ['audit.license_policy'],
    ],
    ['a constant', 'await db.selectFrom(POLICY).execute()', ['audit.license_policy']],
    [
      'a declared table by its full name',
      "await db.selectFrom('audit.manifest').execute()",
      ['audit.manifest'],
    ],
    [
      'a name that with gives',
      "await db.with('p', (c) => c.selectFrom('manifest')).selectFrom('p').execute()",
      [],
    ],
    [
      'raw SQL',
      'await sql`select * from manifest join audit.license_policy using (license)`.execute(db)',
      ['audit.license_policy'],
    ],
    [
      'raw SQL with values',
      'await sql`select * from license_policy where license = ${POLICY}`.execute(db)',
      ['audit.license_policy'],
    ],
    [
      'a fragment of SQL',
      "await db.selectFrom('manifest').where(sql`exists (select 1 from license_policy)`).execute()",
      ['audit.license_policy'],
    ],
    [
      'a table put in',
      'await sql`select * from ${sql.table("audit.license_policy")}`.execute(db)',
      ['audit.license_policy'],
    ],
    [
      'a nested fragment',
      'await sql`select * from manifest where ${sql`license in (select license from license_policy)`}`.execute(db)',
      ['audit.license_policy'],
    ],
    ['a with of raw SQL', 'await sql`with p as (select * from manifest) select * from p`.execute(db)', []],
    [
      'a statement as text',
      "await db.executeQuery('select * from license_policy')",
      ['audit.license_policy'],
    ],
    ['a joined text', "await db.executeQuery('select * from ' + 'license_policy')", ['audit.license_policy']],
    ['a table nobody knows', "await db.selectFrom('nothing').execute()", ['nothing']],
    ['prose', "console.error('select all from list')", []],
    ['Array.from', "Array.from('license_policy')", []],
    ['a helper with the handle', 'await helper(db)', ['audit.package']],
  ])('%s', async (_what, statement, expected) => {
    const around = `import { sql } from 'kysely';
const POLICY = 'license_policy';
const helper = async (handle: any) => handle.selectFrom('package').execute();`;
    const text = verdict(`makeWith: async (db: any) => { ${statement}; return { allowed: true }; },`, around);
    expect(await told(text)).toEqual(expected.map((table) => `undeclared_read ${table}`));
  });

  test.each<readonly [string, string]>([
    [
      'license_policy',
      "Add `policy: LicensePolicy` to `reads` and `references: { policy: LicensePolicy.optional().from({ license: SOURCE.column('...') }) }`, or, for the whole table, `policy: LicensePolicy.all()` to `reads`.",
    ],
    ['package', 'Add `package: Package` to `reads`.'],
    ['audit.manifest', 'Read it by its name under `reads`: `manifest`.'],
    [
      'manifst',
      'Define the table "manifst" in a pipeline, as `manual` where others fill it, and add it to `reads`. Did you mean "manifest"?',
    ],
  ])('%s has its remedy', async (table, hint) => {
    const text = verdict(
      `makeWith: async (db: any) => { await db.selectFrom('${table}').execute(); return { allowed: true }; },`,
    );
    expect((await findings(text)).map((finding) => finding.hint)).toEqual([hint]);
  });

  test('through a client of its own are told beside the client', async () => {
    const around = "import { Pool } from 'pg';\nconst pool = new Pool() as any;";
    const making =
      "make: async () => ({ allowed: (await pool.query('select 1 from license_policy')).rows.length > 0 }),";
    expect(await told(verdict(making, around))).toEqual([
      'undeclared_client pg.Pool',
      'undeclared_read audit.license_policy',
    ]);
  });

  test.each([
    ['a spread', 'audit.computed("verdict", { ...common, MAKE } as never)'],
    ['brackets', 'audit["computed"]("verdict", { ...common, MAKE })'],
    ['another name', 'define("verdict", { ...common, MAKE })'],
    ['a loop', '[1].map(() => "verdict").map((name) => audit.computed(name, { ...common, MAKE }))[0]'],
  ])('are found in a definition by way of %s', async (_what, call) => {
    const text = `${HEAD}const common = { parents: [Package], columns: { a: t.boolean() }, reads: {} } as const;
const define = audit.computed;
export const Verdict: any = ${call.replace('MAKE', 'make: () => ({ a: Date.now() > 0 })')};`;
    expect(await told(text)).toEqual(['undeclared_clock Date.now']);
  });

  test('a table whose definition cannot be found is told as unchecked', async () => {
    const text = `${HEAD}const options = { parents: [Package], columns: { a: t.boolean() }, reads: {}, make: () => ({ a: true }) } as const;
export const Verdict = audit.computed('verdict', options);`;
    expect(await findings(text)).toMatchObject([
      {
        code: 'source_unresolved',
        severity: 'info',
        subject: 'audit.verdict',
        detail: { file: 'src/audit.ts' },
      },
    ]);
  });
});

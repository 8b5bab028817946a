import * as fc from 'fast-check';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFixtureProject, type FixtureProject } from '../../test/fixture/project.ts';
import { digestCode, type CodeIdentity } from './code-digest.ts';

const AUDIT = `import { pipeline, t } from 'varve/pipeline';
import { judge } from './rules.ts';
import { clean } from 'scrub';
import { join } from 'node:path';

const audit = pipeline('audit');
const limit = 10;
const unusedLimit = Number(process.env.UNUSED);
export const Package = audit.manual('package', { key: { name: t.text() }, columns: { license: t.text() } });

/** Nobody calls it. */
function unused(text: string): string {
  return text.trim();
}

function shorten(text: string): string {
  // up to the limit
  return text.slice(0, limit);
}

export const Verdict = audit.computed('verdict', {
  parents: [Package],
  columns: { allowed: t.boolean() },
  reads: { pkg: Package },
  make: ({ pkg }) => ({ allowed: judge(shorten(clean(pkg.license ?? ''))) }),
});

export const Size = audit.computed('size', {
  parents: [Package],
  columns: { letters: t.integer() },
  reads: { pkg: Package },
  make({ pkg }) {
    return { letters: join(pkg.name, 'x').length };
  },
});
`;

const RULES = `import { allowed } from './list.ts';
export function judge(license: string): boolean {
  return allowed.includes(license);
}
export function forget(license: string): boolean {
  return license === '';
}
`;
const LIST = `export const allowed: readonly string[] = ['MIT', 'ISC'];\nexport const denied = ['BUSL'];\n`;

const LOCK = {
  lockfileVersion: 3,
  packages: {
    '': { name: 'fixture' },
    'node_modules/scrub': { version: '1.0.0', dependencies: { soap: '^2.0.0' } },
    'node_modules/soap': { version: '2.0.0' },
    'node_modules/scrub/node_modules/soap': { version: '2.5.0' },
    'node_modules/other': { version: '3.0.0' },
  },
};
type Lock = typeof LOCK;

let project: FixtureProject;

beforeEach(() => {
  project = createFixtureProject();
  project.write({
    'src/audit.ts': AUDIT,
    'src/rules.ts': RULES,
    'src/list.ts': LIST,
    'package-lock.json': JSON.stringify(LOCK),
    'node_modules/scrub/package.json': JSON.stringify({
      name: 'scrub',
      version: '1.0.0',
      type: 'module',
      exports: './index.js',
      dependencies: { soap: '^2.0.0' },
    }),
    'node_modules/scrub/index.js': 'export const clean = (text) => text;',
  });
});

afterEach(() => {
  project.remove();
});

async function digest(file = 'src/audit.ts', cacheFolder?: null): Promise<ReadonlyMap<string, CodeIdentity>> {
  return digestCode(await project.tables(file), {
    projectFolder: project.folder,
    ...(cacheFolder === undefined ? {} : { cacheFolder }),
  });
}

async function identityOf(table: string, file?: string): Promise<CodeIdentity> {
  const identity = (await digest(file)).get(table);
  expect(identity).toBeDefined();
  return identity as CodeIdentity;
}

function edit(file: string, from: string, to: string): void {
  const filePath = path.join(project.folder, file);
  const text = readFileSync(filePath, 'utf8');
  expect(text).toContain(from);
  writeFileSync(filePath, text.replace(from, to));
}

function editLock(change: (lock: Lock) => void): void {
  const lock = structuredClone(LOCK);
  change(lock);
  project.write({ 'package-lock.json': JSON.stringify(lock) });
}

/** Whether the digest of `audit.verdict` and of `audit.size` changes by an edit. */
async function changes(change: () => void): Promise<{ readonly verdict: boolean; readonly size: boolean }> {
  const before = await digest();
  change();
  const after = await digest();
  const differs = (table: string) => before.get(table)?.digest !== after.get(table)?.digest;
  return { verdict: differs('audit.verdict'), size: differs('audit.size') };
}

describe('a code digest', () => {
  test('is of what the make reaches, with the packages it uses and all that they depend on', async () => {
    const identity = await identityOf('audit.verdict');
    expect(identity.basis).toBe('bundle');
    expect(identity.packages).toEqual({ scrub: '1.0.0', soap: '2.5.0' });
    expect(identity.source).toBe(
      [
        '0 clean=scrub#clean judge=1.judge shorten=3.shorten',
        '| ({pkg})=>({allowed:judge(shorten(clean(pkg.license??"")))})',
        '1 allowed=2.allowed',
        '| function judge(license){return allowed.includes(license)}',
        '2',
        '| const allowed=["MIT","ISC"]',
        '3 limit=4.limit',
        '| function shorten(text){return text.slice(0,limit)}',
        '4',
        '| const limit=10',
      ].join('\n'),
    );
    const size = await identityOf('audit.size');
    expect(size.packages).toEqual({ 'node:path': 'none' });
    expect(size.source).toContain('make({pkg}){return{letters:join(pkg.name,"x").length}}');
  });

  test.each<readonly [string, string, string, string]>([
    ['a comment', 'src/audit.ts', '// up to the limit', '// at most the limit\n  /* ten */'],
    ['the spacing', 'src/audit.ts', 'text.slice(0, limit)', 'text.slice(\n    0,\n    limit,\n  )'],
    ['the quotes', 'src/rules.ts', "'./list.ts'", '"./list.ts"'],
    ['a type', 'src/audit.ts', 'function shorten(text: string): string', 'function shorten(text: string)'],
    ['a type that is imported', 'src/rules.ts', 'export', "import type { X } from './none.ts';\nexport"],
    ['an unused function', 'src/audit.ts', 'text.trim()', 'text.trimEnd()'],
    ['an unused constant', 'src/audit.ts', 'process.env.UNUSED', 'process.env.OTHER'],
    ['an unused function of an imported file', 'src/rules.ts', "license === ''", 'license.length === 0'],
    ['an unused constant of an imported file', 'src/list.ts', "'BUSL'", "'SSPL'"],
    ['a manual table', 'src/audit.ts', 'columns: { license', 'comment: "x", columns: { license'],
    ['the order of imports', 'src/audit.ts', "import { judge } from './rules.ts';\n", ''],
    ['a name of an unused function', 'src/rules.ts', 'function forget', 'function shorten'],
  ])('does not change with %s', async (what, file, from, to) => {
    const edited = await changes(() => {
      edit(file, from, to);
      if (what === 'the order of imports')
        edit(file, 'const audit', "import { judge } from './rules.ts';\nconst audit");
    });
    expect(edited).toEqual({ verdict: false, size: false });
  });

  test.each<readonly [string, string, string, string]>([
    ['the make', 'src/audit.ts', "pkg.license ?? ''", "pkg.license ?? 'none'"],
    ['a function it calls', 'src/audit.ts', 'text.slice(0, limit)', 'text.slice(1, limit)'],
    ['a constant it reaches', 'src/audit.ts', 'limit = 10', 'limit = Number(process.env.LIMIT)'],
    ['a function in another file', 'src/rules.ts', 'allowed.includes(license)', '!allowed.includes(license)'],
    ['a constant two files away', 'src/list.ts', "'ISC'", "'BSD'"],
    ['which function a name means', 'src/audit.ts', '{ judge }', '{ forget as judge }'],
  ])('changes with %s, and only where it is reached', async (_what, file, from, to) => {
    expect(await changes(() => edit(file, from, to))).toEqual({ verdict: true, size: false });
  });

  test('of one table does not change with the make of another', async () => {
    expect(await changes(() => edit('src/audit.ts', "'x').length", "'y').length"))).toEqual({
      verdict: false,
      size: true,
    });
  });

  test.each<readonly [string, (lock: Lock) => void, boolean]>([
    [
      'an upgrade of a package it uses',
      (lock) => (lock.packages['node_modules/scrub'].version = '1.0.1'),
      true,
    ],
    [
      'an upgrade of what that package depends on',
      (lock) => (lock.packages['node_modules/scrub/node_modules/soap'].version = '2.5.1'),
      true,
    ],
    [
      'a package of that name which Node would not find',
      (lock) => (lock.packages['node_modules/soap'].version = '2.0.1'),
      false,
    ],
    ['an unrelated package', (lock) => (lock.packages['node_modules/other'].version = '3.0.1'), false],
  ])('with %s', async (_what, change, isChange) => {
    expect(await changes(() => editLock(change))).toEqual({ verdict: isChange, size: false });
  });

  test('tells what is installed without a lock file, and where it differs from one', async () => {
    edit('node_modules/scrub/package.json', '"version":"1.0.0"', '"version":"1.1.0"');
    expect((await identityOf('audit.verdict')).packages).toMatchObject({ scrub: '1.0.0 (installed 1.1.0)' });
    rmSync(path.join(project.folder, 'package-lock.json'));
    // The repository that holds this project has a lock file too, which knows no such package.
    expect((await identityOf('audit.verdict')).packages).toEqual({ scrub: '1.1.0' });
    edit('node_modules/scrub/package.json', '"version":"1.1.0"', '"version":"1.2.0"');
    expect((await identityOf('audit.verdict')).packages).toEqual({ scrub: '1.2.0' });
  });

  test('counts the content of a linked package, which keeps its version', async () => {
    rmSync(path.join(project.folder, 'node_modules/scrub'), { recursive: true });
    project.write({
      'packages/scrub/package.json': JSON.stringify({
        name: 'scrub',
        version: '1.0.0',
        type: 'module',
        exports: './index.js',
      }),
      'packages/scrub/index.js': 'export const clean = (text) => text;',
    });
    symlinkSync('../packages/scrub', path.join(project.folder, 'node_modules/scrub'));
    expect(
      await changes(() => edit('packages/scrub/index.js', '(text) => text', '(text) => text.trim()')),
    ).toEqual({ verdict: true, size: false });
  });

  test('finds what a package depends on beside where its link leads', async () => {
    rmSync(path.join(project.folder, 'package-lock.json'));
    rmSync(path.join(project.folder, 'node_modules/scrub'), { recursive: true });
    project.write({
      'node_modules/.store/scrub/node_modules/scrub/package.json': JSON.stringify({
        name: 'scrub',
        version: '1.0.0',
        type: 'module',
        exports: './index.js',
        dependencies: { soap: '^2.0.0' },
      }),
      'node_modules/.store/scrub/node_modules/scrub/index.js': 'export const clean = (text) => text;',
      'node_modules/.store/scrub/node_modules/soap/package.json': '{ "name": "soap", "version": "2.7.0" }',
    });
    symlinkSync('.store/scrub/node_modules/scrub', path.join(project.folder, 'node_modules/scrub'));
    expect((await identityOf('audit.verdict')).packages).toEqual({ scrub: '1.0.0', soap: '2.7.0' });
  });

  test('is the same in another folder and holds no absolute path', async () => {
    const before = await digest();
    const moved = `${mkdtempSync(`${project.folder}-`)}/elsewhere`;
    cpSync(project.folder, moved, { recursive: true });
    rmSync(path.join(moved, '.varve'), { recursive: true });
    renameSync(project.folder, `${project.folder}-kept`);
    renameSync(moved, project.folder);
    const after = await digest('src/audit.ts', null);
    expect([...after]).toEqual([...before]);
    expect(JSON.stringify([...after])).not.toContain(project.folder);
    rmSync(path.dirname(moved), { recursive: true });
    rmSync(`${project.folder}-kept`, { recursive: true });
  });
});

/** A project file with one computed table `lab.grade`, whose make and surroundings are given. */
function grade(making: string, around = ''): string {
  return `import { pipeline, t } from 'varve/pipeline';
const lab = pipeline('lab');
export const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
${around}
export const Grade = lab.computed('grade', {
  parents: [Mouse], columns: { heavy: t.boolean() }, reads: { mouse: Mouse }, ${making}
});
`;
}

async function grades(text: string): Promise<CodeIdentity> {
  project.write({ 'src/lab.ts': text });
  return identityOf('lab.grade', 'src/lab.ts');
}

describe('what counts as reached', () => {
  test.each<readonly [string, string, string, string, string]>([
    [
      'a function by name',
      'make: f,',
      'function f({ mouse }) { return { heavy: mouse.weight > 3 }; }',
      '> 3',
      '> 4',
    ],
    ['a shorthand', 'make,', 'const make = ({ mouse }) => ({ heavy: mouse.weight > 3 });', '> 3', '> 4'],
    [
      'what a call returns',
      'make: over(3),',
      'const over = (n) => ({ mouse }) => ({ heavy: mouse.weight > n });',
      '> n',
      '>= n',
    ],
    [
      'an argument of such a call',
      'make: over(3),',
      'const over = (n) => ({ mouse }) => ({ heavy: mouse.weight > n });',
      'over(3)',
      'over(4)',
    ],
    [
      'a default value',
      'make: ({ mouse }, _, n = limit) => ({ heavy: mouse.weight > n }),',
      'const limit = 3;',
      '= 3',
      '= 4',
    ],
    [
      'a destructured constant',
      'make: ({ mouse }) => ({ heavy: mouse.weight > low }),',
      'const { low, high } = { low: 3, high: 5 };',
      'low: 3',
      'low: 4',
    ],
    [
      'a class and its methods',
      'make: ({ mouse }) => new Judge().judge(mouse),',
      'class Judge { judge(m) { return { heavy: m.weight > 3 }; } }',
      '> 3',
      '> 4',
    ],
    [
      'a statement that runs on import',
      'make: ({ mouse }) => ({ heavy: mouse.weight > config.low }),',
      'const config = { low: 3 };\nconfig.low = 5;',
      '= 5',
      '= 6',
    ],
    [
      'an initialiser that writes elsewhere',
      'make: ({ mouse }) => ({ heavy: list.includes(mouse.weight) }),',
      'const list = [1];\nconst count = list.push(2);',
      'push(2)',
      'push(3)',
    ],
    [
      'an asynchronous generator',
      'async *make({ mouse }) { yield { heavy: mouse.weight > limit }; },',
      'const limit = 3;',
      '= 3',
      '= 4',
    ],
    [
      'a global that a statement changes',
      'make: ({ mouse }) => ({ heavy: mouse.weight.over(3) }),',
      'Number.prototype.over = function (n) { return this > n; };',
      'this > n',
      'this >= n',
    ],
  ])('%s', async (_what, making, around, from, to) => {
    const before = await grades(grade(making, around));
    const after = await grades(grade(making, around).replace(from, to));
    expect(before.basis).toBe('bundle');
    expect(after.digest).not.toBe(before.digest);
    const other = await grades(
      `${grade(making, around)}\nconst another = 1; function more() { return another; }`,
    );
    expect(other.digest).toBe(before.digest);
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string, string]>([
    [
      'a dynamic import',
      { 'src/late.ts': 'export const low = 3;' },
      'make: async ({ mouse }) => ({ heavy: mouse.weight > (await import("./late.ts")).low }),',
      '',
    ],
    [
      'a whole module',
      { 'src/late.ts': 'export const low = 3;' },
      'make: ({ mouse }) => ({ heavy: mouse.weight > late.low }),',
      'import * as late from "./late.ts";',
    ],
    [
      'a re-export',
      { 'src/late.ts': 'export const low = 3;', 'src/all.ts': 'export * from "./late.ts";' },
      'make: ({ mouse }) => ({ heavy: mouse.weight > low }),',
      'import { low } from "./all.ts";',
    ],
    [
      'a renamed re-export',
      { 'src/late.ts': 'export const low = 3;', 'src/all.ts': 'export { low as high } from "./late.ts";' },
      'make: ({ mouse }) => ({ heavy: mouse.weight > high }),',
      'import { high } from "./all.ts";',
    ],
    [
      'a default export',
      { 'src/late.ts': 'export default { low: 3 };' },
      'make: ({ mouse }) => ({ heavy: mouse.weight > late.low }),',
      'import late from "./late.ts";',
    ],
    [
      'JSON',
      { 'src/late.json': '{ "low": 3 }' },
      'make: ({ mouse }) => ({ heavy: mouse.weight > late.low }),',
      'import late from "./late.json" with { type: "json" };',
    ],
    [
      'a file by its URL',
      { 'src/late.txt': 'low = 3' },
      'make: ({ mouse }) => ({ heavy: text.length > mouse.weight }),',
      'import { readFileSync } from "node:fs";\nconst text = readFileSync(new URL("./late.txt", import.meta.url), "utf8");',
    ],
    [
      'an import for its effect',
      { 'src/late.ts': 'Number.prototype.low = 3;' },
      'make: ({ mouse }) => ({ heavy: mouse.weight > (1).low }),',
      'import "./late.ts";',
    ],
    [
      'JavaScript',
      { 'src/late.js': 'export const low = 3;' },
      'make: ({ mouse }) => ({ heavy: mouse.weight > low }),',
      'import { low } from "./late.js";',
    ],
    [
      'CommonJS',
      { 'src/late.cjs': 'exports.low = 3;' },
      'make: ({ mouse }) => ({ heavy: mouse.weight > late.low }),',
      'import late from "./late.cjs";',
    ],
  ])('%s of another file', async (_what, files, making, around) => {
    project.write(files);
    const before = await grades(grade(making, around));
    const [file = '', text = ''] = Object.entries(files)[0] ?? [];
    project.write({ [file]: text.replace('3', '4') });
    const after = await grades(grade(making, around));
    expect(before.basis).toBe('bundle');
    expect(after.basis).toBe('bundle');
    expect(after.digest).not.toBe(before.digest);
  });

  test('files that import each other', async () => {
    const even = (n: number) => `import { odd } from './odd.ts';
export const even = (n) => n === 0 || odd(n - ${n});`;
    project.write({
      'src/even.ts': even(1),
      'src/odd.ts': "import { even } from './even.ts';\nexport const odd = (n) => n !== 0 && even(n - 1);",
    });
    const text = grade(
      'make: ({ mouse }) => ({ heavy: odd(mouse.weight) }),',
      'import { odd } from "./odd.ts";',
    );
    const before = await grades(text);
    expect(before.basis).toBe('bundle');
    project.write({ 'src/even.ts': even(3) });
    expect((await grades(text)).digest).not.toBe(before.digest);
  });

  test('only the used names of a whole module', async () => {
    project.write({ 'src/late.ts': 'export const low = 3;\nexport const high = 5;' });
    const text = grade(
      'make: ({ mouse }) => ({ heavy: mouse.weight > late.low }),',
      'import * as late from "./late.ts";',
    );
    const before = await grades(text);
    project.write({ 'src/late.ts': 'export const low = 3;\nexport const high = 6;' });
    expect((await grades(text)).digest).toBe(before.digest);
  });

  test('the order of imports that do something', async () => {
    project.write({ 'src/one.ts': 'globalThis.low = 1;', 'src/two.ts': 'globalThis.low = 2;' });
    const making = 'make: ({ mouse }) => ({ heavy: mouse.weight > globalThis.low }),';
    const before = await grades(grade(making, 'import "./one.ts";\nimport "./two.ts";'));
    const after = await grades(grade(making, 'import "./two.ts";\nimport "./one.ts";'));
    expect(after.digest).not.toBe(before.digest);
  });

  test('a function that writes while the module loads', async () => {
    const making = 'make: ({ mouse }) => ({ heavy: mouse.weight > config.low }),';
    for (const call of ['(() => { config.low = 5; })()', '[5].map((low) => { config.low = 5; })']) {
      const before = await grades(grade(making, `const config = { low: 3 };\nconst done = ${call};`));
      const after = await grades(
        grade(making, `const config = { low: 3 };\nconst done = ${call.replace('= 5', '= 6')};`),
      );
      expect(before.basis).toBe('bundle');
      expect(after.digest).not.toBe(before.digest);
    }
  });

  test('not a name that a parameter hides', async () => {
    const making = 'make: ({ mouse }) => { const limit = 3; return { heavy: mouse.weight > limit }; },';
    const before = await grades(grade(making, 'const limit = 1;'));
    expect((await grades(grade(making, 'const limit = 2;'))).digest).toBe(before.digest);
  });
});

describe('where the text does not tell', () => {
  const dynamic = (name: string, limit: number) => `import { pipeline, t } from 'varve/pipeline';
const lab = pipeline('lab');
export const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
const name = '${name}';
const limit = ${limit};
export const Grade = lab.computed(name, {
  parents: [Mouse], columns: { heavy: t.boolean() }, reads: { mouse: Mouse },
  make: ({ mouse }) => ({ heavy: mouse.weight > limit }),
});
`;

  test('a computed name takes the whole module', async () => {
    const before = await grades(dynamic('grade', 3));
    expect(before.basis).toBe('module');
    expect((await grades(dynamic('grade', 4))).digest).not.toBe(before.digest);
    expect((await grades(`${dynamic('grade', 3)}// a comment\n`)).digest).toBe(before.digest);
  });

  test('a definition by a helper in another file counts what calls the helper', async () => {
    project.write({
      'src/define.ts': `import { t } from 'varve/pipeline';
export const define = (lab, Mouse, n) => lab.computed('grade', {
  parents: [Mouse], columns: { heavy: t.boolean() }, reads: { mouse: Mouse },
  make: ({ mouse }) => ({ heavy: mouse.weight > n }),
});`,
    });
    const text = `import { pipeline, t } from 'varve/pipeline';
import { define } from './define.ts';
const lab = pipeline('lab');
export const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
export const Grade = define(lab, Mouse, 3);
`;
    const before = await grades(text);
    expect(before.basis).toBe('module');
    expect((await grades(text.replace('Mouse, 3', 'Mouse, 4'))).digest).not.toBe(before.digest);
  });

  test.each([
    'import(mouse.name)',
    'eval("1")',
    'new Function("return 1")()',
    'import.meta.dirname',
    '(await import("node:worker_threads")).threadId',
  ])('code by way of %s takes every file of the project', async (expression) => {
    const text = grade(`make: async ({ mouse }) => ({ heavy: Boolean(await ${expression}) }),`);
    const before = await grades(text);
    expect(before.basis).toBe('module');
    edit('src/list.ts', "'BUSL'", "'SSPL'");
    expect((await grades(text)).digest).not.toBe(before.digest);
  });

  test('a package that is nowhere takes every file of the project, since a loader may know it', async () => {
    project.write({
      'node_modules/late/package.json':
        '{ "name": "late", "version": "1.0.0", "type": "module", "exports": "./index.js" }',
      'node_modules/late/index.js': 'export const low = 3;',
    });
    const text = grade(
      'make: ({ mouse }) => ({ heavy: mouse.weight > low }),',
      'import { low } from "late";',
    );
    project.write({ 'src/lab.ts': text });
    const tables = await project.tables('src/lab.ts');
    const options = { projectFolder: project.folder, cacheFolder: null };
    expect((await digestCode(tables, options)).get('lab.grade')?.basis).toBe('bundle');
    rmSync(path.join(project.folder, 'node_modules/late'), { recursive: true });
    const before = (await digestCode(tables, options)).get('lab.grade');
    expect(before).toMatchObject({ basis: 'module', packages: { late: 'not installed' } });
    edit('src/list.ts', "'BUSL'", "'SSPL'");
    expect((await digestCode(tables, options)).get('lab.grade')?.digest).not.toBe(before?.digest);
  });

  test('one name in two schemas of a file is told apart by the pipeline', async () => {
    const two = (limit: number) => `${grade('make: ({ mouse }) => ({ heavy: mouse.weight > 3 }),')}
const other = pipeline('other');
export const OtherGrade = other.computed('grade', {
  parents: [Mouse], columns: { heavy: t.boolean() }, reads: { mouse: Mouse },
  make: ({ mouse }) => ({ heavy: mouse.weight > ${limit} }),
});`;
    project.write({ 'src/lab.ts': two(5) });
    const before = await digest('src/lab.ts');
    project.write({ 'src/lab.ts': two(6) });
    const after = await digest('src/lab.ts');
    expect(before.get('other.grade')?.basis).toBe('bundle');
    expect(after.get('lab.grade')).toEqual(before.get('lab.grade'));
    expect(after.get('other.grade')?.digest).not.toBe(before.get('other.grade')?.digest);
  });

  test('without a file there is the text of the function', async () => {
    const [table] = (await project.tables('src/audit.ts')).filter(
      ({ spec }) => spec.name === 'audit.verdict',
    );
    expect(table).toBeDefined();
    const lost = { ...table!, definition: { ...table!.definition, file: undefined } };
    const identity = (await digestCode([lost], { projectFolder: project.folder })).get('audit.verdict');
    expect(identity).toMatchObject({ basis: 'text', packages: {} });
    expect(identity?.source).toContain('judge(shorten(clean(');
  });

  test('a query is its statement, and parts are their master', async () => {
    project.write({
      'node_modules/varve/sql.js': readFileSync(
        path.join(project.folder, 'node_modules/varve/pipeline.js'),
        'utf8',
      )
        .split('\n')[0]!
        .replace('pipeline/pipeline.ts', 'store/sql.ts'),
      'src/sql.ts': `import { pipeline, part, t } from 'varve/pipeline';
import { sql } from '../node_modules/varve/sql.js';
const lab = pipeline('lab');
export const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
export const Grade = lab.computed('grade', {
  parents: [Mouse], columns: { heavy: t.boolean() }, reads: { mouse: Mouse },
  query: sql\`select mouse, weight > 3 as heavy from mouse\`,
});
export const Cut = lab.computed('cut', {
  parents: [Mouse], reads: { mouse: Mouse }, parts: { piece: part({ key: { piece: t.integer() } }) },
  make: () => ({ parts: { piece: [{ piece: 1 }] } }),
});
export const Piece = Cut.parts.piece;
`,
    });
    const identities = await digest('src/sql.ts');
    expect(identities.get('lab.grade')).toMatchObject({
      basis: 'sql',
      source: 'select mouse, weight > 3 as heavy from mouse',
    });
    expect(identities.get('lab.cut__piece')).toEqual(identities.get('lab.cut'));
    expect([...identities.keys()].toSorted()).toEqual(['lab.cut', 'lab.cut__piece', 'lab.grade']);
  });
});

test('a project that is reached by a symbolic link has the digests of its folder', async () => {
  const before = await digest();
  const link = `${project.folder}-link`;
  symlinkSync(project.folder, link);
  const tables = await project.tables('src/audit.ts');
  expect([...(await digestCode(tables, { projectFolder: link, cacheFolder: null }))]).toEqual([...before]);
  rmSync(link);
});

describe('the cache', () => {
  test('gives what was digested while no file that it came from has changed', async () => {
    const before = await digest();
    const file = path.join(project.folder, '.varve/cache/code-digest.json');
    const marked = readFileSync(file, 'utf8').replaceAll('"source":"', '"source":"kept ');
    writeFileSync(file, marked);
    expect((await digest()).get('audit.verdict')?.source).toMatch(/^kept /);
    edit('src/list.ts', "'ISC'", "'BSD'");
    const after = await digest();
    expect(after.get('audit.verdict')?.source).not.toMatch(/^kept /);
    expect(after.get('audit.verdict')?.digest).not.toBe(before.get('audit.verdict')?.digest);
  });

  test('that is damaged is no cache', async () => {
    const before = await digest();
    project.write({ '.varve/cache/code-digest.json': '{ "version": 1, "tab' });
    expect([...(await digest())]).toEqual([...before]);
  });
});

test('no sequence of edits that reach nothing changes a digest', async () => {
  const before = await digest('src/audit.ts', null);
  const place = fc.constantFrom('src/audit.ts', 'src/rules.ts', 'src/list.ts');
  const insertion = fc.oneof(
    fc.constantFrom('\n', '   \n', '// a comment\n', '/* two\n lines */\n', 'type Nothing = never;\n'),
    fc.nat(1000).map((n) => `function unused${n}(x: number) { return x + ${n}; }\n`),
    fc.nat(1000).map((n) => `const idle${n} = Array.from({ length: ${n} });\n`),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(place, insertion, fc.nat(20)), { maxLength: 8 }), async (edits) => {
      const files: Record<string, string> = {
        'src/audit.ts': AUDIT,
        'src/rules.ts': RULES,
        'src/list.ts': LIST,
      };
      for (const [index, [file, text, line]] of edits.entries()) {
        const statements = (files[file] ?? '').split(/\n(?=\S)(?![}\])])/);
        statements.splice(
          line % (statements.length + 1),
          0,
          text.replace(/(unused|idle)/, `$1${index}_`).trimEnd(),
        );
        files[file] = statements.join('\n');
      }
      project.write(files);
      expect([...(await digest('src/audit.ts', null))]).toEqual([...before]);
    }),
    { numRuns: 40 },
  );
});

/** Functions in three files that call each other at random, and how each file imports the others. */
interface CallGraph {
  /** For each function: those that it calls. */
  readonly calls: readonly (readonly number[])[];
  readonly style: 'named' | 'renamed' | 'namespace' | 'passed on';
}

const FILES = 3;

/** The project of a call graph; function `n` lies in file `n % 3` and holds the constant `values[n]`. */
function graphFiles({ calls, style }: CallGraph, values: readonly number[]): Record<string, string> {
  const files: Record<string, string> = { 'src/all.ts': '' };
  for (let file = 0; file < FILES; file += 1) files[`src/part${file}.ts`] = '';
  const from = (callee: number) => (style === 'passed on' ? './all.ts' : `./part${callee % FILES}.ts`);
  const nameIn = (file: number, callee: number) => {
    if (callee % FILES === file) return `f${callee}`;
    return style === 'namespace'
      ? `part${callee % FILES}.f${callee}`
      : style === 'renamed'
        ? `g${callee}`
        : `f${callee}`;
  };
  const importOf = (callee: number) => {
    if (style === 'namespace') return `import * as part${callee % FILES} from '${from(callee)}';`;
    return `import { f${callee}${style === 'renamed' ? ` as g${callee}` : ''} } from '${from(callee)}';`;
  };
  for (let file = 0; file < FILES; file += 1) {
    const here = calls.map((_, index) => index).filter((index) => index % FILES === file);
    const imported = new Set(
      here.flatMap((index) => calls[index] ?? []).filter((callee) => callee % FILES !== file),
    );
    const bodies = here.map((index) => {
      const terms = (calls[index] ?? []).map((callee) => `${nameIn(file, callee)}(x - 1)`);
      return `export function f${index}(x) { return [${[String(values[index]), ...terms].join(', ')}].length + x; }`;
    });
    files[`src/part${file}.ts`] = [...new Set([...imported].map(importOf)), ...bodies].join('\n');
    files['src/all.ts'] += `export * from './part${file}.ts';\n`;
  }
  const making = 'make: ({ mouse }) => ({ heavy: f0(mouse.weight) > 3 }),';
  return { ...files, 'src/lab.ts': grade(making, "import { f0 } from './part0.ts';") };
}

function reachable(calls: CallGraph['calls']): ReadonlySet<number> {
  const reached = new Set([0]);
  for (const index of reached) calls[index]?.forEach((callee) => reached.add(callee));
  return reached;
}

test('an edit changes the digest exactly when the make reaches what was edited', async () => {
  project.write({ 'src/lab.ts': grade('make: () => ({ heavy: true }),') });
  const tables = (await project.tables('src/lab.ts')).filter(({ spec }) => spec.name === 'lab.grade');
  const read = async (files: Record<string, string>) => {
    project.write(files);
    const identities = await digestCode(tables, { projectFolder: project.folder, cacheFolder: null });
    return identities.get('lab.grade');
  };
  const size = 7;
  const graph = fc.record({
    calls: fc.array(fc.uniqueArray(fc.nat(size - 1), { maxLength: 3 }), { minLength: size, maxLength: size }),
    style: fc.constantFrom('named' as const, 'renamed' as const, 'namespace' as const, 'passed on' as const),
  });
  await fc.assert(
    fc.asyncProperty(graph, fc.nat(size - 1), async (calls, edited) => {
      const values = Array.from({ length: size }, (_, index) => index);
      const before = await read(graphFiles(calls, values));
      const after = await read(graphFiles(calls, values.with(edited, 100)));
      expect(before?.basis).toBe('bundle');
      expect(after?.digest !== before?.digest).toBe(reachable(calls.calls).has(edited));
    }),
    { numRuns: 80 },
  );
});

import { renameSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFixtureProject, type FixtureProject } from '../../../test/fixture/project.ts';
import { digestCode, type CodeIdentity } from '../code-digest.ts';

let project: FixtureProject;

beforeEach(() => {
  project = createFixtureProject();
});

afterEach(() => {
  project.remove();
});

type Files = Readonly<Record<string, string>>;

/** A project file with one computed table `lab.grade`, and what stands around its make. */
function grade(making: string, around = '', after = ''): string {
  return `import { pipeline, t } from 'varve/pipeline';
${around}
const lab = pipeline('lab');
export const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
export const Grade = lab.computed('grade', {
  parents: [Mouse], columns: { heavy: t.boolean() }, reads: { mouse: Mouse },
  make: async ({ mouse }) => ({ heavy: mouse.weight > ${making} }),
});
${after}`;
}

async function identityOf(files: Files, lab = 'src/lab.ts'): Promise<CodeIdentity> {
  project.write(files);
  const tables = await project.tables(lab);
  const identities = await digestCode(tables, { projectFolder: project.folder, cacheFolder: null });
  const identity = identities.get('lab.grade');
  expect(identity).toBeDefined();
  return identity as CodeIdentity;
}

function edited(files: Files, [file, from, to]: Edit): Files {
  expect(files[file]).toContain(from);
  return { [file]: (files[file] ?? '').replace(from, to) };
}

type Edit = readonly [file: string, from: string, to: string];

interface Case {
  readonly what: string;
  readonly making: string;
  readonly around?: string;
  readonly after?: string;
  readonly files?: Files;
  readonly basis?: CodeIdentity['basis'];
  /** What must show. */
  readonly seen: readonly Edit[];
  /** What must not. */
  readonly unseen?: readonly Edit[];
}

const CASES: readonly Case[] = [
  {
    what: 'a re-export by two files',
    making: 'low',
    around: 'import { low } from "./a.ts";',
    files: {
      'src/a.ts': 'export { low, high } from "./b.ts";',
      'src/b.ts': 'export { bottom as low, top as high } from "./c.ts";',
      'src/c.ts': 'export const bottom = 3;\nexport const top = 9;',
    },
    seen: [
      ['src/c.ts', '= 3', '= 4'],
      ['src/b.ts', 'bottom as low, top as high', 'top as low, bottom as high'],
    ],
    unseen: [
      ['src/c.ts', '= 9', '= 8'],
      ['src/a.ts', ', high', ''],
    ],
  },
  {
    what: '`export *` of two files',
    making: 'low',
    around: 'import { low } from "./all.ts";',
    files: {
      'src/all.ts': 'export * from "./a.ts";\nexport * from "./b.ts";',
      'src/a.ts': 'export const low = 3;\nexport const x = 1;',
      'src/b.ts': 'export const high = 9;',
    },
    seen: [['src/a.ts', '= 3', '= 4']],
    unseen: [
      ['src/a.ts', '= 1', '= 2'],
      ['src/b.ts', '= 9', '= 8'],
    ],
  },
  {
    what: 'files whose `export *` form a circle',
    making: 'low',
    around: 'import { low } from "./a.ts";',
    files: {
      'src/a.ts': 'export * from "./b.ts";',
      'src/b.ts': 'export * from "./a.ts";\nexport const low = 3;\nexport const high = 9;',
    },
    seen: [['src/b.ts', '= 3', '= 4']],
    unseen: [['src/b.ts', '= 9', '= 8']],
  },
  {
    what: 'a default export of a function',
    making: 'low()',
    around: 'import low from "./a.ts";',
    files: { 'src/a.ts': 'export default function () { return 3; }\nexport const x = 1;' },
    seen: [['src/a.ts', 'return 3', 'return 4']],
    unseen: [['src/a.ts', '= 1', '= 2']],
  },
  {
    what: 'a default export under a name',
    making: 'low()',
    around: 'import { default as low } from "./a.ts";',
    files: {
      'src/a.ts': 'const base = 3;\nconst f = () => base;\nexport { f as default };\nexport const x = 1;',
    },
    seen: [['src/a.ts', '= 3', '= 4']],
    unseen: [['src/a.ts', 'x = 1', 'x = 2']],
  },
  {
    what: 'a namespace handed on whole',
    making: 'Object.values(rules).length',
    around: 'import * as rules from "./a.ts";',
    files: { 'src/a.ts': 'export const low = 3;\nconst hidden = 1;' },
    seen: [
      ['src/a.ts', '= 3', '= 4'],
      ['src/a.ts', 'const hidden', 'export const hidden'],
    ],
    unseen: [['src/a.ts', '= 1', '= 2']],
  },
  {
    what: 'a namespace that another file exports',
    making: 'rules.low',
    around: 'import { rules } from "./all.ts";',
    files: { 'src/all.ts': 'export * as rules from "./a.ts";', 'src/a.ts': 'export const low = 3;' },
    seen: [['src/a.ts', '= 3', '= 4']],
  },
  {
    what: 'JSON',
    making: 'limits.low',
    around: 'import limits from "./limits.json" with { type: "json" };',
    files: { 'src/limits.json': '{ "low": 3 }', 'src/other.json': '{ "low": 3 }' },
    seen: [['src/limits.json', '3', '4']],
    unseen: [['src/other.json', '3', '4']],
  },
  {
    what: 'a dynamic import by a constant name',
    making: '(await import("./a.ts")).low',
    files: { 'src/a.ts': 'export const low = 3;\nconst hidden = 1;', 'src/b.ts': 'export const x = 1;' },
    seen: [['src/a.ts', '= 3', '= 4']],
    unseen: [
      ['src/a.ts', '= 1', '= 2'],
      ['src/b.ts', '= 1', '= 2'],
    ],
  },
  {
    what: 'a dynamic import by a computed name',
    making: '(await import(`./${"a"}.ts`)).low',
    files: { 'src/a.ts': 'export const low = 3;' },
    basis: 'module',
    seen: [['src/a.ts', '= 3', '= 4']],
  },
  {
    what: 'an import for its effect, two files away',
    making: '(globalThis as never as { low: number }).low',
    around: 'import "./a.ts";',
    files: {
      'src/a.ts': 'import "./b.ts";',
      'src/b.ts': 'const n = 3;\n(globalThis as any).low = n;\nconst x = 1;\nexport {};',
    },
    seen: [['src/b.ts', '= 3', '= 4']],
    unseen: [['src/b.ts', 'x = 1', 'x = 2']],
  },
  {
    what: 'a getter',
    making: 'rules.low',
    around: 'let n = 3;\nconst rules = { get low() { return n; } };\nconst x = 1;',
    seen: [['src/lab.ts', 'n = 3', 'n = 4']],
    unseen: [['src/lab.ts', 'x = 1', 'x = 2']],
  },
  {
    what: 'a static member and a static block of a class',
    making: 'Rules.low + Rules.high',
    around:
      'const n = 3;\nclass Rules { static low = n; static high = 0; static { Rules.high = 9; } }\nclass X { a = 1; }',
    seen: [
      ['src/lab.ts', 'n = 3', 'n = 4'],
      ['src/lab.ts', '= 9', '= 8'],
    ],
    unseen: [['src/lab.ts', 'a = 1', 'a = 2']],
  },
  {
    what: 'a base class in another file',
    making: 'new Rules().low',
    around: 'import { Base } from "./a.ts";\nclass Rules extends Base {}',
    files: { 'src/a.ts': 'export class Base { low = 3; }\nexport class Other { x = 1; }' },
    seen: [['src/a.ts', '= 3', '= 4']],
    unseen: [['src/a.ts', '= 1', '= 2']],
  },
  {
    what: 'top-level await',
    making: 'low',
    around: 'const load = async () => 3;\nconst low = await load();\nconst x = await Promise.resolve(1);',
    seen: [['src/lab.ts', '=> 3', '=> 4']],
    unseen: [['src/lab.ts', 'resolve(1)', 'resolve(2)']],
  },
  {
    what: 'state of a module that a call advances while it loads',
    making: 'second',
    around:
      'let n = 0;\nconst next = () => { n += 1; return n; };\nconst first = next();\nconst second = next();\nconst x = 1;',
    seen: [
      ['src/lab.ts', 'const first = next();\n', ''],
      ['src/lab.ts', 'n += 1', 'n += 2'],
    ],
    unseen: [['src/lab.ts', 'x = 1', 'x = 2']],
  },
  {
    what: 'state of another module that a call advances while it loads',
    making: 'second',
    around: 'import { next } from "./a.ts";\nconst first = next();\nconst second = next();',
    files: { 'src/a.ts': 'let n = 0;\nexport function next() { return ++n; }\nconst x = 1;' },
    seen: [
      ['src/lab.ts', 'const first = next();\n', ''],
      ['src/a.ts', '++n', 'n += 2'],
    ],
    unseen: [['src/a.ts', 'x = 1', 'x = 2']],
  },
  {
    what: 'a value that keeps a state of its own',
    making: 'second',
    around:
      'const roll = (() => { let n = 0; return () => ++n; })();\nconst first = roll();\nconst second = roll();',
    seen: [['src/lab.ts', 'const first = roll();\n', '']],
  },
  {
    what: 'an object that a function fills while the module loads',
    making: 'config.low',
    around:
      'const config = { low: 3 };\nconst fill = (c: { low: number }, n: number) => { c.low = n; return c; };\nconst filled = fill(config, 5);',
    seen: [['src/lab.ts', 'config, 5', 'config, 6']],
  },
  {
    what: 'an object that is reached by another name',
    making: 'config.low',
    around:
      'const config = { low: 3 };\nconst get = () => config;\nconst done = (() => { const c = get(); c.low = 5; return c; })();',
    seen: [['src/lab.ts', 'c.low = 5', 'c.low = 6']],
  },
  {
    what: 'the place of an initialiser among effects',
    making: 'low',
    around: 'let n = 3;\nn = 5;\nconst low = n;',
    seen: [['src/lab.ts', 'n = 5;\nconst low = n;', 'const low = n;\nn = 5;']],
  },
  {
    what: 'lists that are built without touching others',
    making: 'low',
    around: `const names = ['a'];
const low = names.reduce((sum, name) => { sum.push(name); return sum; }, [] as string[]).length;
const byName = names.reduce((sum, name) => ({ ...sum, [name]: 1 }), {});
const count = names.map((name) => { const one = { name, n: 1 }; one.n = 2; return one; });`,
    seen: [['src/lab.ts', 'sum.push(name)', 'sum.push(name, name)']],
    unseen: [
      ['src/lab.ts', '[name]: 1', '[name]: 2'],
      ['src/lab.ts', 'one.n = 2', 'one.n = 3'],
    ],
  },
  {
    what: 'an object of constants',
    making: 'Grade1.low',
    around: 'const Grade1 = { low: 3, high: 5 } as const;\nconst Other = { x: 1 } as const;',
    seen: [['src/lab.ts', 'low: 3', 'low: 4']],
    unseen: [['src/lab.ts', 'x: 1', 'x: 2']],
  },
  {
    what: 'files that import each other',
    making: 'odd(3)',
    around: 'import { odd } from "./odd.ts";',
    files: {
      'src/odd.ts':
        'import { even } from "./even.ts";\nexport const odd = (n) => n !== 0 && even(n - 1);\nexport const x = 1;',
      'src/even.ts': 'import { odd } from "./odd.ts";\nexport const even = (n) => n === 0 || odd(n - 1);',
    },
    seen: [
      ['src/even.ts', 'n === 0', 'n === 1'],
      ['src/odd.ts', 'n !== 0', 'n !== 1'],
    ],
    unseen: [['src/odd.ts', 'x = 1', 'x = 2']],
  },
  {
    what: '`import.meta`',
    making: 'import.meta.filename.length',
    files: { 'src/a.ts': 'export const x = 1;' },
    basis: 'module',
    seen: [['src/a.ts', '= 1', '= 2']],
  },
  {
    what: 'a CommonJS file and what it requires',
    making: 'rules.low',
    around: 'import rules from "./rules.cjs";',
    files: {
      'src/rules.cjs': 'const { n } = require("./n.cjs");\nexports.low = n;',
      'src/n.cjs': 'exports.n = 3;',
      'src/x.cjs': 'exports.x = 1;',
    },
    seen: [['src/n.cjs', '= 3', '= 4']],
    unseen: [['src/x.cjs', '= 1', '= 2']],
  },
  {
    what: 'a CommonJS file that knows where it lies',
    making: 'rules.low',
    around: 'import rules from "./rules.cjs";',
    files: { 'src/rules.cjs': 'exports.low = __dirname.length;', 'src/a.ts': 'export const x = 1;' },
    basis: 'module',
    seen: [['src/a.ts', '= 1', '= 2']],
  },
  {
    what: 'a part of Node that is asked for by name',
    making: 'process.getBuiltinModule("node:vm").runInNewContext("1")',
    files: { 'src/a.ts': 'export const x = 1;' },
    basis: 'module',
    seen: [['src/a.ts', '= 1', '= 2']],
  },
  {
    what: 'a table defined in a loop',
    making: '3',
    after:
      'for (const n of [1, 2]) lab.computed(`more${n}`, { parents: [Mouse], columns: {}, reads: {}, make: () => ({}) });',
    basis: 'module',
    seen: [['src/lab.ts', '> 3', '> 4']],
  },
  {
    what: 'a helper that two tables share',
    making: 'shared(3)',
    around: 'const shared = (n) => n + 1;\nconst own = (n) => n + 2;',
    after:
      'export const Other = lab.computed("other", { parents: [Mouse], columns: {}, reads: {}, make: () => { shared(own(1)); return {}; } });',
    seen: [['src/lab.ts', 'n + 1', 'n + 3']],
    unseen: [['src/lab.ts', 'n + 2', 'n + 4']],
  },
];

describe('a change is seen, and an unrelated one is not', () => {
  test.each(CASES)(
    '$what',
    async ({ making, around, after, files = {}, basis = 'bundle', seen, unseen = [] }) => {
      const all = { ...files, 'src/lab.ts': grade(making, around, after) };
      const before = await identityOf(all);
      expect(before.basis).toBe(basis);
      for (const edit of seen) {
        expect((await identityOf({ ...all, ...edited(all, edit) })).digest, edit.join(' ')).not.toBe(
          before.digest,
        );
      }
      for (const edit of unseen) {
        expect((await identityOf({ ...all, ...edited(all, edit) })).digest, edit.join(' ')).toBe(
          before.digest,
        );
      }
      expect((await identityOf(all)).digest).toBe(before.digest);
    },
  );
});

const LAB = grade(
  'low(limit)',
  'import { limit } from "./limit.ts";\nfunction low(n) { return n * factor; }\nconst factor = 2;',
);
const LIMIT = 'export const limit = 3;';

describe('where code stands does not count', () => {
  const first = { 'src/lab.ts': LAB, 'src/limit.ts': LIMIT };

  test.each<readonly [string, Files, string]>([
    ['another file name', { 'src/mice.ts': LAB, 'src/limit.ts': LIMIT }, 'src/mice.ts'],
    [
      'another folder',
      { 'pipelines/deep/lab.ts': LAB, 'pipelines/deep/limit.ts': LIMIT },
      'pipelines/deep/lab.ts',
    ],
    [
      'a helper in a file of its own',
      {
        'src/lab.ts': grade(
          'low(limit)',
          'import { limit } from "./limit.ts";\nimport { low } from "./low.ts";',
        ),
        'src/low.ts': 'import { factor } from "./factor.ts";\nexport function low(n) { return n * factor; }',
        'src/factor.ts': 'export const factor = 2;',
        'src/limit.ts': LIMIT,
      },
      'src/lab.ts',
    ],
    [
      'a helper in the file of the make',
      { 'src/lab.ts': LAB.replace('import { limit } from "./limit.ts";', 'const limit = 3;') },
      'src/lab.ts',
    ],
    [
      'a way by another file',
      {
        'src/lab.ts': LAB.replace('./limit.ts', './all.ts'),
        'src/all.ts': 'export * from "./limit.ts";',
        'src/limit.ts': LIMIT,
      },
      'src/lab.ts',
    ],
    [
      'another order in the file',
      {
        'src/lab.ts': LAB.replace('\nconst factor = 2;', '').replace(
          'function low',
          'const factor = 2;\nfunction low',
        ),
        'src/limit.ts': LIMIT,
      },
      'src/lab.ts',
    ],
  ])('%s', async (_what, files, lab) => {
    const before = await identityOf(first);
    for (const file of Object.keys(first)) {
      renameSync(path.join(project.folder, file), path.join(project.folder, `${file}.kept`));
    }
    const after = await identityOf(files, lab);
    expect(after.source).toBe(before.source);
    expect(after.digest).toBe(before.digest);
  });

  test('but which of two equal texts a name means does', async () => {
    const two = (x: string, y: string) => ({
      'src/lab.ts': grade('f() - g()', `import { f } from "./${x}.ts";\nimport { g } from "./${y}.ts";`),
      'src/a.ts': 'const n = 3;\nexport const f = () => n;\nexport const g = () => n;',
      'src/b.ts': 'const n = 4;\nexport const f = () => n;\nexport const g = () => n;',
    });
    const digests = new Set<string>();
    for (const [x, y] of [
      ['a', 'a'],
      ['a', 'b'],
      ['b', 'a'],
      ['b', 'b'],
    ] as const) {
      digests.add((await identityOf(two(x, y))).digest);
    }
    expect(digests.size).toBe(4);
  });

  test('but one shared state is not two', async () => {
    const counter = 'let n = 0;\nexport const next = () => ++n;';
    const around = (file: string) =>
      `import { next as f } from "./a.ts";\nimport { next as g } from "./${file}.ts";`;
    const files = { 'src/a.ts': counter, 'src/b.ts': counter };
    const one = await identityOf({ ...files, 'src/lab.ts': grade('f() + g()', around('a')) });
    const two = await identityOf({ ...files, 'src/lab.ts': grade('f() + g()', around('b')) });
    expect(one.digest).not.toBe(two.digest);
  });

  test('and no text can pass for a line of the graph', async () => {
    const plain = await identityOf({ 'src/lab.ts': grade('low.length', 'const low = `3`;') });
    const forged = await identityOf({
      'src/lab.ts': grade('low.length', 'const low = `3`;').replace(
        'low.length',
        '`\n1\n| const low=\\`3\\``.length',
      ),
    });
    expect(forged.digest).not.toBe(plain.digest);
    expect(forged.source).toContain('\n| 1\n| | const low=');
  });
});

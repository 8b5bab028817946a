import { existsSync, globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

type Conditions = Readonly<Record<string, string>>;

const { exports, bin } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  readonly exports: Readonly<Record<string, Conditions | string>>;
  readonly bin: Readonly<Record<string, string>>;
};
const areas = Object.entries(exports).filter(
  (entry): entry is [string, Conditions] => typeof entry[1] !== 'string',
);

/** The composition roots are entered by the binary, not by an import. */
const ROOT = /^src\/(cli|server|web)\//;

test.for(areas)('the subpath %s leads to its area, in the source first', ([subpath, conditions]) => {
  const stem = subpath === '.' ? 'index' : `${subpath.slice('./'.length)}/index`;
  expect(Object.entries(conditions)).toEqual([
    ['@varve/source', `./src/${stem}.ts`],
    ['types', `./dist/${stem}.d.ts`],
    ['default', `./dist/${stem}.js`],
  ]);
  expect(existsSync(`src/${stem}.ts`)).toBe(true);
});

test('every area and every driver with an index has its subpath', () => {
  const indexes = globSync(['src/index.ts', 'src/*/index.ts', 'src/store/*/index.ts', 'src/*/edge/index.ts']);
  const wanted = indexes.filter((filePath) => !ROOT.test(filePath)).map((filePath) => `./${filePath}`);
  expect(areas.map(([, conditions]) => conditions['@varve/source'] ?? '').toSorted()).toEqual(
    wanted.toSorted(),
  );
});

test('the binary is there', () => {
  expect(Object.values(bin).filter((filePath) => !existsSync(filePath))).toEqual([]);
});

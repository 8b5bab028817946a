import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_REFERENCE, errorReference } from '../scripts/error-reference.ts';
import { ERROR_CODES } from 'varve/base';

const TABLE = 'src/base/error-code.ts';
const product = globSync('src/**/*.ts').filter((filePath) => !filePath.endsWith('.test.ts'));
const textByFile = new Map(product.map((filePath) => [filePath, readFileSync(filePath, 'utf8')]));

test('src throws no bare Error: every exception has a code and a hint', () => {
  const bare = /\bnew (Type|Range|Syntax|Reference|Eval|URI)?Error\(/;
  expect(product.filter((filePath) => bare.test(textByFile.get(filePath) ?? ''))).toEqual([]);
});

test('every code is used somewhere in src', () => {
  const used = [...textByFile].filter(([filePath]) => filePath !== TABLE).map(([, text]) => text);
  const literal = (code: string) => new RegExp(`(['"\`])${code}\\1`);
  const unused = Object.keys(ERROR_CODES).filter((code) => !used.some((text) => literal(code).test(text)));
  expect(unused).toEqual([]);
});

test('codes stand in alphabetical order, so that two people adding one rarely meet', () => {
  const codes = Object.keys(ERROR_CODES);
  expect(codes).toEqual(codes.toSorted());
});

test('the reference of codes is up to date (npm run generate)', () => {
  expect(readFileSync(ERROR_REFERENCE, 'utf8')).toBe(errorReference());
});

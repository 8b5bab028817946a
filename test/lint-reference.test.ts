import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { LINT_REFERENCE, lintReference } from '../scripts/lint-reference.ts';

test('the reference of the rules of the lint is up to date (npm run generate)', () => {
  expect(readFileSync(LINT_REFERENCE, 'utf8')).toBe(lintReference());
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CHECK_REFERENCE, checkReference } from '../scripts/check-reference.ts';

test('the reference of the rules of the check is up to date (npm run generate)', () => {
  expect(readFileSync(CHECK_REFERENCE, 'utf8')).toBe(checkReference());
});

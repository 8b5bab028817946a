import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { STEP_REFERENCE, stepReference } from '../scripts/step-reference.ts';

test('the reference of the ops of document steps is up to date (npm run generate)', () => {
  expect(readFileSync(STEP_REFERENCE, 'utf8')).toBe(stepReference());
});

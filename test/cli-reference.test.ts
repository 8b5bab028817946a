import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CLI_REFERENCE, cliReference } from '../scripts/cli-reference.ts';

test('the reference of the command line is up to date (npm run generate)', async () => {
  expect(readFileSync(CLI_REFERENCE, 'utf8')).toBe(await cliReference());
});

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CONTRACT_REFERENCE, contractReference } from '../scripts/contract-reference.ts';
import { MUSTS } from '../scripts/contract-must.ts';

it('the page of the contract is what tests and code name', () => {
  expect(readFileSync(CONTRACT_REFERENCE, 'utf8'), 'run npm run generate').toBe(contractReference());
});

it('the contract has 143 MUSTs, each said in a line', () => {
  expect(MUSTS).toHaveLength(143);
  for (const must of MUSTS) expect(must).toMatch(/^[^|\n]{10,200}$/u);
});

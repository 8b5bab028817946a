import { expect, test } from 'vitest';
import { choicesOf } from './choices.ts';

const ONE = { from: ['lab.a'] };
const TWO = { from: ['lab.a', 'lab.b'] };

test.each([
  [
    'a table that is computed',
    { form: 'make' } as const,
    ONE,
    '--attribute lab.m=recompute, lab.m=retire, or --attribute lab.m.COLUMN=EXPRESSION',
  ],
  [
    'a table without a make is never said to be computed again',
    {},
    ONE,
    '--attribute lab.m=retire or --attribute lab.m.COLUMN=EXPRESSION',
  ],
  [
    'a merge, in which no column stands for a row',
    {},
    TWO,
    '--attribute lab.m=retire or lab.m=keep where what a row lacks may be empty',
  ],
])('%s', (_, spec, operation, want) => {
  expect(choicesOf('lab.m', spec, operation)).toBe(want);
});

import { expect, it } from 'vitest';
import { formerKeyNames, underPresentNames } from './key-names.ts';

const CASES = [
  ['a key that was never renamed', ['a', 'b'], [{ a: 'a', b: 'b' }], { a: ['a'], b: ['b'] }],
  ['one column that was renamed', ['law'], [{ law: 'rule' }], { law: ['law', 'rule'] }],
  ['several at once', ['x', 'y'], [{ x: 'b', y: 'a' }], { x: ['x', 'b'], y: ['y', 'a'] }],
  ['one that was renamed twice, the latest first', ['c'], [{ c: 'b' }, { b: 'a' }], { c: ['c', 'b', 'a'] }],
  [
    'a name that went from one to another means neither',
    ['c', 'a'],
    [{ c: 'a', a: 'b' }],
    { c: ['c'], a: ['b'] },
  ],
  [
    'nor does one that both had once',
    ['x', 'y'],
    [
      { x: 'a', y: 'b' },
      { a: 'b', b: 'c' },
    ],
    { x: ['x', 'a'], y: ['y', 'c'] },
  ],
] as const;

it.each(CASES)('%s', (_, present, before, want) => {
  expect(Object.fromEntries(formerKeyNames(present, before))).toEqual(want);
});

it('a recorded key is read under the present names', () => {
  const names = formerKeyNames(['a', 'law'], [{ a: 'a', law: 'rule' }]);
  expect(underPresentNames({ rule: 4, a: 1 }, names)).toEqual({ law: 4, a: 1 });
});

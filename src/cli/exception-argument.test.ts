import { expect, it } from 'vitest';
import { addException } from './exception-argument.ts';

it.each([
  ['backfill_large:app.site:250000', { code: 'backfill_large', subject: 'app.site', ceiling: 250_000 }],
  ['policy_reduced:app.site', { code: 'policy_reduced', subject: 'app.site', ceiling: null }],
  ['position_found:notes.md:7:3', { code: 'position_found', subject: 'notes.md:7', ceiling: 3 }],
])('M26 %s is read as an exception', (text, want) => {
  const before = [{ code: 'x', subject: 'y', ceiling: null }];
  expect(addException(text, before)).toEqual([...before, want]);
});

it.each(['backfill_large', ':app.site', 'Big:app.site', 'a:', 'a:b:99999999999999999999'])(
  '%j is no exception',
  (text) => {
    expect(() => addException(text, [])).toThrow('Write code:subject');
  },
);

import { expect, it } from 'vitest';
import { widenedFindings, widenedParts, type Allowance } from './widened.ts';

const BEFORE: Allowance = {
  scope: { allowed_tables: ['site'], forbidden_tables: ['secret', 'person'] },
  limits: { max_row_backfill: 10 },
  statements: ['call'],
  phases: [{ file: 'forward.sql', mode: 'transactional' }],
};

it.each<readonly [string, Partial<Allowance>, readonly string[]]>([
  ['nothing', {}, []],
  ['less', { limits: { max_row_backfill: 9 }, statements: [] }, []],
  [
    'one more table',
    { scope: { ...BEFORE.scope, allowed_tables: ['site', 'visit'] } },
    ['scope.allowed_tables'],
  ],
  [
    'one table forbidden less',
    { scope: { ...BEFORE.scope, forbidden_tables: ['secret'] } },
    ['scope.forbidden_tables'],
  ],
  [
    'one table forbidden more',
    { scope: { ...BEFORE.scope, forbidden_tables: ['secret', 'person', 'x'] } },
    [],
  ],
  ['a forbidden list gone', { scope: { allowed_tables: ['site'] } }, ['scope.forbidden_tables']],
  ['one more row', { limits: { max_row_backfill: 11 } }, ['limits.max_row_backfill']],
  [
    'another limit',
    { limits: { max_row_backfill: 10, max_index_count_delta: 1 } },
    ['limits.max_index_count_delta'],
  ],
  ['another construct', { statements: ['call', 'do'] }, ['statements']],
  ['other phases', { phases: [] }, ['phases']],
])('M52 %s', (_what, change, parts) => {
  const now = { ...BEFORE, ...change };
  expect(widenedParts(BEFORE, now)).toEqual(parts);
  expect(
    widenedFindings('PG-MIG-2026-03-01-01', BEFORE, now).map(({ code, severity }) => [code, severity]),
  ).toEqual(parts.length === 0 ? [] : [['scope_widened', 'review']]);
});

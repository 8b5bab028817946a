import { describe, expect, it } from 'vitest';
import type { Scope } from './declaration.ts';
import { judgeLimits, levelFindings, missingScope, scopeFindings } from './judge.ts';
import type { Enforcement } from './kind.ts';

const SCOPE: Scope = {
  allowed_schemas: ['land', 'sea'],
  allowed_tables: ['land.plot', 'depth'],
  forbidden_schemas: ['vault'],
  forbidden_tables: ['owner', 'sea.secret'],
};

/** Those of the names that are out of scope. */
function outside(
  names: readonly string[],
  scope: Scope = SCOPE,
  partOf: Record<string, string> = {},
): readonly string[] {
  return scopeFindings(scope, names, partOf).map(({ subject }) => subject);
}

describe('scope', () => {
  it('M15 holds a table whose schema is allowed and that is itself allowed', () => {
    expect(outside(['land.plot'])).toEqual([]);
    expect(outside(['land.lone', 'sea.plot', 'air.plot', 'plot'])).toEqual([
      'land.lone',
      'sea.plot',
      'air.plot',
      'plot',
    ]);
  });

  it('M16 a bare name allows in allowed schemas and forbids everywhere, and forbidding wins', () => {
    expect(outside(['land.depth', 'sea.depth'])).toEqual([]);
    expect(outside(['air.depth'])).toEqual(['air.depth']);
    const all = { ...SCOPE, allowed_tables: ['owner', 'land.owner', 'sea.secret', 'land.secret'] };
    expect(outside(['land.owner', 'sea.owner', 'sea.secret', 'land.secret'], all)).toEqual([
      'land.owner',
      'sea.owner',
      'sea.secret',
    ]);
    const both = { ...SCOPE, allowed_schemas: ['vault'], allowed_tables: ['vault.plot'] };
    expect(outside(['vault.plot'], both)).toEqual(['vault.plot']);
  });

  it('M20 a partition is in scope through its table, unless its own schema or name is not', () => {
    const partOf = { 'land.plot_1': 'land.plot', 'air.plot_2': 'land.plot', 'land.owner': 'land.plot' };
    expect(outside(Object.keys(partOf), SCOPE, partOf)).toEqual(['air.plot_2', 'land.owner']);
  });

  it('M21 never holds what is varve’s own', () => {
    const scope = { ...SCOPE, allowed_schemas: ['varve'], allowed_tables: ['varve.ledger', 'ledger'] };
    expect(outside(['varve.ledger'], scope)).toEqual(['varve.ledger']);
  });

  it('M14 is complete only with every list of the kind', () => {
    const findings = missingScope(['allowed_tables', 'allowed_labels'], SCOPE);
    expect(findings).toMatchObject([{ code: 'declaration_invalid', detail: { key: 'allowed_labels' } }]);
  });
});

describe('limits', () => {
  const exactly = (value: number) => ({ value, isUpperBound: false });

  it('M22 one that is absent is 0, and each admits n and refuses n + 1', () => {
    const names = ['max_a', 'max_b'];
    const verdict = (a: number, b: number): readonly string[] =>
      judgeLimits(names, { max_a: 3 }, { max_a: exactly(a), max_b: exactly(b) }).map(({ status }) => status);
    expect(verdict(3, 0)).toEqual(['pass', 'pass']);
    expect(verdict(4, 1)).toEqual(['fail', 'fail']);
  });

  it('M23 an upper bound counts as the number, and what nobody measured exceeds every limit', () => {
    const most = { max_a: Number.MAX_SAFE_INTEGER - 1, max_b: 5 };
    expect(judgeLimits(['max_a', 'max_b'], most, { max_b: { value: 6, isUpperBound: true } })).toEqual([
      expect.objectContaining({ limit: 'max_a', status: 'fail', upper_bound: true }),
      expect.objectContaining({ limit: 'max_b', status: 'fail', observed: 6, upper_bound: true }),
    ]);
  });
});

describe('levels', () => {
  const reached: Enforcement = { level: 'guarded', layers: ['L3'], role: 'none' };

  it('M12 M74 a run that would be held less firmly than its environment asks is refused', () => {
    expect(levelFindings('PG-MIG-2026-03-01-01', reached, 'guarded')).toEqual([]);
    expect(levelFindings('PG-MIG-2026-03-01-01', reached, 'confined')).toMatchObject([
      { code: 'level_too_low', severity: 'error', detail: { level: 'guarded', least: 'confined' } },
    ]);
  });
});

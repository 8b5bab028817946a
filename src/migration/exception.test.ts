import { describe, expect, it } from 'vitest';
import { isRefused, type Finding, type Severity } from '../base/index.ts';
import type { ApprovedException } from '../evidence/index.ts';
import { exceptionFor, holdToApprovals } from './exception.ts';

const finding = (
  code: Finding['code'],
  severity: Severity,
  detail: Finding['detail'] = {},
  subject = 'app.site',
): Finding => ({ code, severity, subject, detail, hint: 'Look.' });
const approval = (...exceptions: ApprovedException[]) => ({ principal: 'user:eve', exceptions });

describe('what approvals allow', () => {
  it('M58 a finding that wants a review refuses until an approval names its code, subject and ceiling', () => {
    const large = finding('concurrent_change', 'review', { rows: 250 });
    const isHeld = (...exceptions: ApprovedException[]): boolean =>
      isRefused(holdToApprovals([large], [approval(...exceptions)]));
    expect(isRefused(holdToApprovals([large], []))).toBe(true);
    expect(isHeld({ code: 'concurrent_change', subject: 'app.site', ceiling: 250 })).toBe(false);
    expect(isHeld({ code: 'concurrent_change', subject: 'app.site', ceiling: 249 })).toBe(true);
    expect(isHeld({ code: 'concurrent_change', subject: 'app.site', ceiling: null })).toBe(true);
    expect(isHeld({ code: 'concurrent_change', subject: 'app.other', ceiling: 250 })).toBe(true);
    expect(isHeld({ code: 'out_of_order', subject: 'app.site', ceiling: 250 })).toBe(true);
  });

  it('M58 what counts nothing needs no ceiling, and who allowed it is said', () => {
    const [held] = holdToApprovals(
      [finding('out_of_order', 'review')],
      [approval({ code: 'out_of_order', subject: 'app.site', ceiling: null })],
    );
    expect(held).toMatchObject({ severity: 'warning', detail: { allowedBy: ['user:eve'] } });
  });

  it('M26 a limit may be exceeded as far as a signature says, by the name of the limit', () => {
    const over = finding('limit_exceeded', 'error', { limit: 'max_row_backfill', declared: 1, observed: 7 });
    expect(exceptionFor(over)).toEqual({ code: 'limit_exceeded', subject: 'max_row_backfill', ceiling: 7 });
    expect(isRefused(holdToApprovals([over], [approval(exceptionFor(over))]))).toBe(false);
    const less = { ...exceptionFor(over), ceiling: 6 };
    expect(isRefused(holdToApprovals([over], [approval(less)]))).toBe(true);
  });

  it.each(['scope_violation', 'secret_found', 'receipt_invalid', 'bundle_changed', 'ledger_fork'] as const)(
    'M57 no signature allows %s',
    (code) => {
      const hard = finding(code, 'error');
      expect(holdToApprovals([hard], [approval(exceptionFor(hard))])).toEqual([hard]);
    },
  );

  it('M58 the hint of what is not allowed says how it could be', () => {
    const [held] = holdToApprovals([finding('concurrent_change', 'review', { rows: 3 })], []);
    expect(held?.hint).toBe(
      'Look. Where it is meant: `varve approve --except concurrent_change:app.site:3`.',
    );
  });
});

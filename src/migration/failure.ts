import { isVarveError, refusal, VarveError, type Finding, type RandomBytes } from '../base/index.ts';
import { isStoreError } from '../store/index.ts';
import type { LimitVerdict } from '../evidence/index.ts';
import type { RunEnd } from './run.ts';
import type { Witnessed } from './evidence-body.ts';

/** Why a run was not committed, with what was found out about it until then. */
export interface Failure extends RunEnd {
  readonly witnessed: Witnessed;
  readonly verdicts: readonly LimitVerdict[];
  /** The exception behind it, for a log; never for an artifact. */
  readonly cause: unknown;
}

/** A caught value as a finding. Of a foreign exception only its name is kept: its message may quote values. */
export function errorFinding(error: unknown, subject: string): Finding {
  if (isVarveError(error)) {
    return refusal(error.code, subject, { detail: error.detail, hint: error.hint });
  }
  return refusal('step_failed', subject, {
    detail: { error: error instanceof Error ? error.name : typeof error, ...systemCode(error) },
    hint: 'Look at the exception behind this, mend it, and apply again.',
  });
}

/** Concurrent work that got in the way: the transaction may be tried again from its start (M94). */
export function isTransient(error: unknown): boolean {
  return isStoreError(error, '55P03', '40P01', '40001') || isVarveError(error, 'not_caught_up');
}

/** Milliseconds that one try waits for a lock: short, since readers queue behind a waiting writer. */
export const LOCK_TIMEOUT_MS = 100;

/** Milliseconds to wait before the next try, from 50 to 2,000: longer each time, and never two runners in step. */
export function backoffMs(attempt: number, randomBytes: RandomBytes): number {
  const [random = 0] = randomBytes(1);
  return Math.min(2_000, 100 * 2 ** Math.min(attempt - 1, 10)) * (0.5 + random / 510);
}

/** The store is gone: nothing can be decided or undone now. */
export function isUnreachable(error: unknown): boolean {
  return isVarveError(error, 'database_unreachable');
}

/** The files of the evidence could not be written. */
export function isFileFailure(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && !isVarveError(error);
}

/** Stopped on request, or because the lock is gone; what was built stays, and the run goes on when it is applied again. */
export function interrupted(runId: string): VarveError {
  return new VarveError('interrupted', {
    detail: { run: runId },
    hint: 'Apply again to go on where it stopped, or run `varve recover` to take the work back.',
  });
}

function systemCode(error: unknown): { readonly reason?: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? { reason: error.code }
    : {};
}

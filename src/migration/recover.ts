import { refusal, type Finding } from '../base/index.ts';
import { takeBackLent } from './deciding-session.ts';
import type { RunnerOptions } from './environment.ts';
import { errorFinding } from './failure.ts';
import { undoAndSettle, type RunOutcome } from './lifecycle.ts';
import { undecidedRuns, type LedgerRun } from './ledger.ts';
import { loadRun } from './run.ts';
import type { Refused } from './refused.ts';
import { findRunnable, settleDecided, unwritable, withSession, type LockedSession } from './session.ts';
import type { ReceiptRef } from './settle.ts';
import { NO_FAILURE } from './undo.ts';

/** What `recover` did. */
export type RecoverOutcome =
  | Refused
  | {
      /** `recovered` when no run is unfinished any more. */
      readonly status: 'recovered' | 'indeterminate';
      /** Receipts of runs that the database had decided, completed now. */
      readonly completed: readonly ReceiptRef[];
      /** Runs that were undone now. */
      readonly runs: readonly RunOutcome[];
      readonly findings: readonly Finding[];
    };

/**
 * Settles every unfinished run of the store, from the ledger and what is left of the intent logs, on any machine (M69):
 *
 * | the run | then |
 * |---|---|
 * | is decided in the database, and lacks work after it, its receipt, products or closing entry | these are completed |
 * | is closed, and its receipt is no longer in the evidence store | what the database holds of it is written again |
 * | was baselined, and not decided | its work is undone and the baseline proved: `rolled_back` |
 * | was only opened or announced | nothing ran: `failed_before_commit` |
 *
 * Repeating it, and killing it anywhere, is harmless. To go on with a run instead of undoing it, apply it again.
 */
export async function recoverRuns(options: RunnerOptions): Promise<RecoverOutcome> {
  try {
    return await withSession(options, (session) => recoverLocked(options, session));
  } catch (error) {
    return unwritable(error, options.root);
  }
}

async function recoverLocked(options: RunnerOptions, session: LockedSession): Promise<RecoverOutcome> {
  const { signal } = session;
  const decided = await settleDecided(options, { signal, restoreLost: true });
  const completed = [...session.settled, ...decided.settled].map(({ ref }) => ref);
  const runs: RunOutcome[] = [];
  const findings: Finding[] = [...decided.unsettled];
  for (const open of undecidedRuns(session.runs)) {
    try {
      const outcome = await recoverOne(options, open, session);
      runs.push(outcome);
      if (outcome.status === 'indeterminate' || outcome.status === 'refused')
        findings.push(...outcome.findings);
    } catch (error) {
      findings.push(errorFinding(error, open.subject.migrationId));
    }
  }
  // Of rehearsals that were killed.
  if (options.store.capabilities.disposableCopies) await options.store.dropDeadCopies();
  return { status: findings.length === 0 ? 'recovered' : 'indeterminate', completed, runs, findings };
}

async function recoverOne(
  options: RunnerOptions,
  open: LedgerRun,
  session: LockedSession,
): Promise<RunOutcome> {
  const { subject, entries } = open;
  // Before anything that could keep the run from being settled.
  await takeBackLent(options, subject);
  const runnable = await findRunnable(options, subject.migrationId, subject.direction);
  if ('status' in runnable) return runnable;
  if (runnable.bundle.digest !== subject.bundleDigest) {
    const hint = 'Take the authored files back as they were when the run began, then recover.';
    return { status: 'refused', findings: [refusal('bundle_changed', subject.migrationId, { hint })] };
  }
  const run = await loadRun(options, open, { ...runnable, signal: session.signal });
  return undoAndSettle(run, NO_FAILURE, entries.baselined === undefined ? 'opened' : 'executing');
}

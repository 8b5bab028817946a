/**
 * Retire: to let go for good of what the committed runs of a migration superseded (law 1: history is never destroyed, until
 * an approved retire). A run like any other, in the direction `retire`: planned with exact counts, approved by signature over
 * that plan's digest, decided in one transaction with its ledger row, recorded with a receipt that names the approvals.
 */
import { isRefused, refusal, type Finding } from '../base/index.ts';
import { bundleChanged } from './edited.ts';
import type { RunnerOptions } from './environment.ts';
import { findApprovals } from './find-approvals.ts';
import { unfinishedRuns, ledgerRuns, readLedger, retireRun, type LedgerRun } from './ledger.ts';
import { doneBefore, guardFiles, openAndRun, refused, resumeRun, type RunOutcome } from './lifecycle.ts';
import { makePlan } from './plan-file.ts';
import type { PlanOutcome } from './plan-migration.ts';
import { holdToPolicy } from './policy/index.ts';
import { findRunnable, withSession, type LockedSession, type Runnable } from './session.ts';

/**
 * What retiring a migration would let go; nothing is changed, and no file written.
 *
 * Errors: refuses with `not_applied` where no run of it was ever committed, `bundle_changed`, and what the kind finds.
 */
export async function planRetire(options: RunnerOptions, migrationId: string): Promise<PlanOutcome> {
  const runnable = await findRunnable(options, migrationId, 'retire');
  if ('status' in runnable) return runnable;
  const blocked = refusalOf(runnable, ledgerRuns(await readLedger(options.store)));
  if (blocked !== undefined) return refused(blocked);
  const { plan, findings } = await makePlan(options, runnable.kind, { ...runnable, ...RETIRE });
  return isRefused(findings) ? { status: 'refused', findings } : { status: 'planned', plan, findings };
}

/**
 * Lets go of what the committed runs of a migration superseded, or goes on with a retire that was killed. Repeating it
 * changes nothing.
 *
 * Errors: refuses as `planRetire`, with `run_unfinished` while any run is unfinished, and with `approval_missing`; throws
 * `interrupted` and what the store throws before a run is opened.
 */
export async function retireMigration(options: RunnerOptions, migrationId: string): Promise<RunOutcome> {
  const runnable = await findRunnable(options, migrationId, 'retire');
  if ('status' in runnable) return runnable;
  return guardFiles(options, () =>
    withSession(options, (session) => retireLocked(options, runnable, session)),
  );
}

const RETIRE = { direction: 'retire', forward: undefined } as const;

async function retireLocked(
  options: RunnerOptions,
  { bundle, kind }: Runnable,
  session: LockedSession,
): Promise<RunOutcome> {
  const open = unfinishedRuns(session.runs).at(-1);
  if (open !== undefined) return resumeRun(options, open, { bundle, kind, direction: 'retire', session });
  const blocked = refusalOf({ bundle, kind }, session.runs);
  if (blocked !== undefined) return refused(blocked);
  const { plan, findings } = await makePlan(options, kind, { bundle, ...RETIRE });
  const before = retireRun(session.runs, bundle.id);
  const isDone = findings.some(({ code }) => code === 'nothing_to_retire');
  if (isDone && before !== undefined) return doneBefore(options, before);
  if (isRefused(findings)) return { status: 'refused', findings };
  const approved = await findApprovals(options, bundle, { planDigest: plan.plan_digest, grant: 'retire' });
  if (approved.status === 'refused') return approved;
  const allowed = await holdToPolicy(options, {
    action: 'retire',
    bundle,
    level: plan.bound.enforcement?.level ?? 'none',
    grants: ['retire'],
    reviewers: approved.principals,
  });
  if (allowed.status === 'refused') return allowed;
  const { policy } = allowed;
  return openAndRun(options, { bundle, kind, session, plan, ...RETIRE, approvals: approved.digests, policy });
}

/** Why there is nothing that could be retired, from the ledger alone. */
function refusalOf({ bundle }: Runnable, runs: readonly LedgerRun[]): Finding | undefined {
  const committed = runs.filter(
    ({ subject, entries }) => subject.migrationId === bundle.id && entries.committed !== undefined,
  );
  const last = committed.at(-1);
  if (last !== undefined && last.subject.bundleDigest !== bundle.digest)
    return bundleChanged(bundle, last, 'committed');
  if (last !== undefined) return undefined;
  return refusal('not_applied', bundle.id, {
    hint: 'It left nothing: no run of it was committed here. Look at `varve status`.',
  });
}

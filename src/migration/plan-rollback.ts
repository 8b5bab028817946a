import { isRefused } from '../base/index.ts';
import type { Bundle } from './bundle.ts';
import { bundleChanged } from './edited.ts';
import type { RunnerOptions } from './environment.ts';
import { appliedRuns, ledgerRuns, readLedger } from './ledger.ts';
import { notApplied } from './lifecycle.ts';
import { makePlan, type PlanFile } from './plan-file.ts';
import type { Refused } from './refused.ts';
import { loadForward } from './run.ts';
import { findRunnable } from './session.ts';

/**
 * What taking a migration back would do; nothing is changed, and no file written. A finding that wants a review is no
 * refusal here: the plan is made to be approved.
 *
 * Errors: refuses with `not_applied` where it is not applied, `bundle_changed`, and what the kind finds.
 */
export async function planRollback(
  options: RunnerOptions,
  migrationId: string,
): Promise<{ readonly bundle: Bundle; readonly plan: PlanFile } | Refused> {
  const runnable = await findRunnable(options, migrationId);
  if ('status' in runnable) return runnable;
  const { bundle, kind } = runnable;
  const ran = appliedRuns(ledgerRuns(await readLedger(options.store))).find(
    ({ subject }) => subject.migrationId === migrationId,
  );
  if (ran === undefined) return { status: 'refused', findings: [notApplied(migrationId)] };
  if (ran.subject.bundleDigest !== bundle.digest)
    return { status: 'refused', findings: [bundleChanged(bundle, ran, 'committed')] };
  const forward = await loadForward(options, ran.subject.runId);
  const { plan, findings } = await makePlan(options, kind, { bundle, direction: 'rollback', forward });
  const faults = findings.filter(({ severity }) => severity === 'error');
  return isRefused(faults) ? { status: 'refused', findings: faults } : { bundle, plan };
}

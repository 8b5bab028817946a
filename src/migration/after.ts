/**
 * The work of a run after its decision and before its receipt: what may wait until readers and writers go on, such as
 * validating a constraint or taking triggers away. It is run by whoever settles the run, so also for one that was killed
 * behind its commit.
 *
 * | it ends with | then the run |
 * |---|---|
 * | nothing to say | goes on to its receipt, which names the step as a check that passed |
 * | a lock that is not to be had, a store that is not there, a stop on request | stays open: the next verb, or `recover`, tries again |
 * | another failure, or a finding that refuses | goes on to its receipt, which says that this check failed |
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRefused, isVarveError, VarveError, type Finding, type JsonObject } from '../base/index.ts';
import type { Check, ReceiptEnd } from '../evidence/index.ts';
import { findingJson } from './evidence-body.ts';
import { backoffMs, errorFinding, interrupted, isTransient, isUnreachable } from './failure.ts';
import type { AfterStep, Step } from './kind.ts';
import { contextOf, fenceAlone, hit, type Run } from './run.ts';

/** What the receipt says of the steps after. */
export type AfterEnd = Pick<ReceiptEnd, 'checks' | 'findings'>;

/** Milliseconds that one step is tried for while others hold its locks. */
const AFTER_DEADLINE_MS = 30_000;

/**
 * Runs the steps after. Repeating is harmless.
 *
 * Errors: throws `after_incomplete` where a step has to be tried again later, `interrupted` when the run is stopped.
 */
export async function runAfterSteps(run: Run, ended: 'committed' | 'undone'): Promise<AfterEnd> {
  const checks: Check[] = [];
  const findings: (Finding & JsonObject)[] = [];
  for (const step of stepsOf(run).filter((each) => isDue(each, ended))) {
    await run.intents.announce('after_started', { step: step.name });
    await hit(run, 'F14_after_started');
    const found = await tryStep(run, step);
    checks.push({ name: `after: ${step.name}`, status: isRefused(found) ? 'fail' : 'pass' });
    findings.push(...found.map(findingJson));
    await hit(run, 'F15_after_done');
  }
  return { checks, findings };
}

/** The steps of a run in its direction. */
export function stepsOf({ kind, subject, opened }: Run): readonly Step[] {
  const { work } = opened.plan.bound;
  return subject.direction === 'rollback' ? kind.rollback(work) : kind.apply(work);
}

function isDue(step: Step, ended: 'committed' | 'undone'): step is AfterStep {
  return step.mode === 'after' && (ended === 'committed' || step.alsoAfterUndo === true);
}

async function tryStep(run: Run, step: AfterStep): Promise<readonly Finding[]> {
  const { clock, deadlineMs = AFTER_DEADLINE_MS } = run.options;
  const endsAtMs = clock.monotonicMs() + Math.min(AFTER_DEADLINE_MS, deadlineMs);
  for (let attempt = 1; ; attempt += 1) {
    if (run.signal.aborted) throw interrupted(run.subject.runId);
    try {
      return (await step.run(contextAfter(run))).findings;
    } catch (error) {
      if (isVarveError(error, 'interrupted') || run.signal.aborted) throw interrupted(run.subject.runId);
      const isLate = clock.monotonicMs() >= endsAtMs;
      if (isUnreachable(error) || (isTransient(error) && isLate)) throw incomplete(run, step, error);
      if (!isTransient(error)) return [errorFinding(error, step.name)];
      await sleep(backoffMs(attempt, run.options.randomBytes));
    }
  }
}

/** The run is decided, so what fences it is no longer its state: two that settle it take turns. */
function contextAfter(run: Run): ReturnType<typeof contextOf> {
  return { ...contextOf(run), fence: (transaction) => fenceAlone(transaction, run.subject.runId) };
}

function incomplete(run: Run, step: AfterStep, error: unknown): VarveError {
  const { code, detail } = errorFinding(error, step.name);
  return new VarveError('after_incomplete', {
    detail: { run: run.subject.runId, step: step.name, reason: code, ...detail },
    hint: 'The run is decided and stands. Run `varve recover` once what was in the way is gone.',
    cause: error,
  });
}

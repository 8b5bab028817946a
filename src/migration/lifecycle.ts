import { isVarveError, refusal, type Finding, type VarveError } from '../base/index.ts';
import type { DiffSummary, TableCounts } from '../evidence/index.ts';
import { admitRun } from './admit.ts';
import { bundleChanged, editFindings } from './edited.ts';
import type { RunnerOptions } from './environment.ts';
import { readClosing } from './closing.ts';
import { executeRun, type Decision } from './execute.ts';
import { errorFinding, isFileFailure, isUnreachable, type Failure } from './failure.ts';
import { appliedRuns, readBody, retireRun, unfinishedRuns, type LedgerRun } from './ledger.ts';
import type { Direction, Enforcement } from './kind.ts';
import { makePlan, planMoved, readPlan, type PlanFile } from './plan-file.ts';
import {
  loadForward,
  loadRun,
  openRun,
  type DecidedBody,
  type ForwardRun,
  type NewRun,
  type Run,
} from './run.ts';
import { orderedBundle, orderFindings } from './order.ts';
import type { Refused } from './refused.ts';
import { findRunnable, unwritable, withSession, type LockedSession, type Runnable } from './session.ts';
import { openAhead, type SessionsAhead } from './sessions-ahead.ts';
import { scanBundle } from './scan-authored.ts';
import { receiptPath, settleRun, type ReceiptRef } from './settle.ts';
import { NO_FAILURE, undoRun } from './undo.ts';

/**
 * What became of a run.
 *
 * | status | exit | means |
 * |---|---|---|
 * | `applied` | 0 | committed: forward the new state is in force, on the way back the old one |
 * | `refused` | 3 | nothing was written to any table of the project |
 * | `rolled_back` | 4 | what was done is undone, and the baseline is proved |
 * | `indeterminate` | 5 | `recover` has to be run; where a receipt is given, it says what could not be proved |
 */
export type RunOutcome =
  | {
      readonly status: 'applied';
      readonly runId: string;
      readonly migrationId: string;
      readonly direction: Direction;
      /** True when an earlier run had done it, and nothing was done now. */
      readonly already: boolean;
      readonly receipt: ReceiptRef;
      readonly tables: readonly TableCounts[];
      readonly enforcement: Enforcement;
      readonly findings: readonly Finding[];
    }
  | Refused
  | {
      readonly status: 'rolled_back';
      readonly runId: string;
      readonly receipt: ReceiptRef;
      readonly findings: readonly Finding[];
      /** The exception behind it, for a log. */
      readonly cause?: unknown;
    }
  | {
      readonly status: 'indeterminate';
      readonly runId: string;
      readonly receipt?: ReceiptRef;
      readonly findings: readonly Finding[];
      readonly cause?: unknown;
    };

/**
 * Applies a planned migration, or goes on with a run of it that was killed. Applying it twice changes nothing.
 *
 * Errors: throws `interrupted` (the run stays resumable) and what the store throws before a run is opened.
 */
export async function applyMigration(options: RunnerOptions, migrationId: string): Promise<RunOutcome> {
  const runnable = await findRunnable(options, migrationId);
  if ('status' in runnable) return runnable;
  await using ahead = await aheadOf(options, runnable);
  // Awaited here: what nobody took is ended when this function returns, settled or not.
  return await guardFiles(options, () =>
    withSession(options, (session) => applyLocked(options, runnable, session, ahead)),
  );
}

/**
 * Takes an applied migration back, with a run and a receipt of its own. A forward run that never came to its commit is
 * undone instead; its status is then `rolled_back`.
 *
 * Errors: as `applyMigration`.
 */
export async function rollbackMigration(options: RunnerOptions, migrationId: string): Promise<RunOutcome> {
  const runnable = await findRunnable(options, migrationId);
  if ('status' in runnable) return runnable;
  return guardFiles(options, () =>
    withSession(options, (session) => rollbackLocked(options, runnable, session)),
  );
}

/** Undoes a run that was never committed, and settles it. */
export async function undoAndSettle(run: Run, failure: Failure, resolvedFrom?: string): Promise<RunOutcome> {
  const { runId } = run.subject;
  try {
    await undoRun(run, failure);
  } catch (error) {
    const findings = [...failure.findings, errorFinding(error, 'undo')];
    const cause = failure.cause === undefined ? error : new AggregateError([failure.cause, error]);
    return { status: 'indeterminate', runId, findings, cause };
  }
  return settle(run, failure, resolvedFrom);
}

/** The sessions that a run by the plan on file would need; whether it holds is found out later. */
async function aheadOf(options: RunnerOptions, runnable: Runnable): Promise<SessionsAhead | undefined> {
  const planned = await readPlan(runnable.bundle);
  return 'status' in planned ? undefined : openAhead(options, runnable, planned.plan.bound.work);
}

async function applyLocked(
  options: RunnerOptions,
  { bundle, kind }: Runnable,
  session: LockedSession,
  ahead: SessionsAhead | undefined,
): Promise<RunOutcome> {
  if (session.unsettled.length > 0) return { status: 'refused', findings: session.unsettled };
  const open = unfinishedRuns(session.runs).at(-1);
  if (open !== undefined) return resumeRun(options, open, { bundle, kind, direction: 'forward', session });
  // A copy takes over what the target ran; there it was asked before.
  const edited = options.isRehearsal === true ? [] : await editFindings(options, bundle, session.runs);
  if (edited.length > 0) return { status: 'refused', findings: edited };
  const applied = appliedRuns(session.runs).find(({ subject }) => subject.migrationId === bundle.id);
  if (applied !== undefined) return doneBefore(options, applied);
  const planned = await readPlan(bundle);
  if ('status' in planned) return planned;
  const now = await makePlan(options, kind, {
    bundle,
    direction: 'forward',
    forward: undefined,
    planned: planned.plan,
  });
  const authored = await scanBundle(bundle, options.settings);
  const before = appliedRuns(session.runs).map(({ subject }) => subject.migrationId);
  const admitted = await admitRun(options, {
    bundle,
    direction: 'forward',
    plan: planned.plan,
    findings: [
      ...planMoved(kind, planned.plan, now.plan),
      ...now.findings,
      ...authored,
      ...orderFindings(orderedBundle(bundle), before),
    ],
    runs: session.runs,
  });
  if (admitted.status === 'refused') return admitted;
  const { approvals, exceptions, policy } = admitted;
  return openAndRun(options, {
    bundle,
    kind,
    direction: 'forward',
    session,
    plan: planned.plan,
    forward: undefined,
    approvals,
    exceptions,
    policy,
    ahead,
  });
}

async function rollbackLocked(
  options: RunnerOptions,
  { bundle, kind }: Runnable,
  session: LockedSession,
): Promise<RunOutcome> {
  if (session.unsettled.length > 0) return { status: 'refused', findings: session.unsettled };
  const open = unfinishedRuns(session.runs).at(-1);
  if (open !== undefined) return resumeRun(options, open, { bundle, kind, direction: 'rollback', session });
  const applied = appliedRuns(session.runs);
  const ran = applied.find(({ subject }) => subject.migrationId === bundle.id);
  if (ran === undefined) return nothingToTakeBack(options, bundle.id, session.runs);
  if (ran.subject.bundleDigest !== bundle.digest) return refused(bundleChanged(bundle, ran, 'committed'));
  const letGo = retireRun(session.runs, bundle.id);
  if (letGo !== undefined && isLater(letGo, ran)) return refused(letGoBefore(bundle.id, letGo));
  const forward = await loadForward(options, ran.subject.runId);
  const blocked = await blockingRuns(options, applied, ran, forward);
  if (blocked.length > 0) return { status: 'refused', findings: blocked };
  // How it will be held is planned anew; most often it is as the run that it takes back was.
  await using ahead = openAhead(options, { bundle, kind }, forward.bound);
  const { plan, findings } = await makePlan(options, kind, { bundle, direction: 'rollback', forward });
  const asked = { bundle, direction: 'rollback', plan, findings, runs: session.runs } as const;
  const admitted = await admitRun(options, asked);
  if (admitted.status === 'refused') return admitted;
  const { approvals, exceptions, policy } = admitted;
  return await openAndRun(options, {
    bundle,
    kind,
    direction: 'rollback',
    session,
    plan,
    forward,
    approvals,
    exceptions,
    policy,
    ahead,
  });
}

/** A run that is asked for. */
export interface Wanted extends Runnable {
  readonly direction: Direction;
  readonly session: LockedSession;
}

/** Goes on with the unfinished run when it is the one that is asked for; undoes it when the way back is asked for. */
export async function resumeRun(
  options: RunnerOptions,
  open: LedgerRun,
  wanted: Wanted,
): Promise<RunOutcome> {
  const { bundle, kind, direction, session } = wanted;
  const { subject } = open;
  if (subject.migrationId !== bundle.id) return refused(unfinished(open));
  if (subject.bundleDigest !== bundle.digest) return refused(bundleChanged(bundle, open, 'run_open'));
  const isTakenBack = subject.direction === 'forward' && direction === 'rollback';
  if (subject.direction !== direction && !isTakenBack) return refused(unfinished(open));
  const run = await loadRun(options, open, { kind, bundle, signal: session.signal });
  if (subject.direction === direction) return goOn(run);
  return undoAndSettle(run, NO_FAILURE, 'executing');
}

/** Opens a run and takes it to its end. */
export async function openAndRun(
  options: RunnerOptions,
  about: Wanted & Pick<NewRun, 'plan' | 'forward' | 'approvals' | 'exceptions' | 'policy' | 'ahead'>,
): Promise<RunOutcome> {
  const { bundle, direction, session } = about;
  const before = session.runs.filter(
    ({ subject }) =>
      subject.migrationId === bundle.id &&
      subject.direction === direction &&
      subject.bundleDigest === bundle.digest,
  );
  const attemptsBefore = Math.max(0, ...before.map(({ subject }) => subject.attempt));
  return goOn(await openRun(options, { ...about, signal: session.signal, attemptsBefore }));
}

async function goOn(run: Run): Promise<RunOutcome> {
  const decision = await executeSafely(run);
  if (decision.status === 'committed') return settle(run, NO_FAILURE);
  if (decision.status === 'failed') return undoAndSettle(run, decision.failure);
  return { ...decision, status: 'indeterminate', runId: run.subject.runId };
}

/** What breaks between the states of a run, such as a full disk under the intent log, ends it like a failing step. */
async function executeSafely(run: Run): Promise<Decision> {
  try {
    return await executeRun(run);
  } catch (error) {
    if (isVarveError(error, 'interrupted')) throw error;
    const findings = [errorFinding(error, run.subject.migrationId)];
    if (isUnreachable(error)) return { status: 'unknown', findings, cause: error };
    return { status: 'failed', failure: { ...NO_FAILURE, findings, cause: error } };
  }
}

/** The end of a decided run. Evidence that cannot be written leaves the run open: exit 5, never 0 (M66). */
async function settle(run: Run, failure: Failure, resolvedFrom?: string): Promise<RunOutcome> {
  const { options, kind, bundle, subject } = run;
  try {
    const { ref, findings } = await settleRun(options, {
      runId: subject.runId,
      kind,
      bundle,
      resolvedFrom,
      signal: run.signal,
    });
    const tables = await touchedTables(options, subject.runId);
    return outcomeOf(run, { ref, tables }, [...failure.findings, ...findings], failure.cause);
  } catch (error) {
    if (isVarveError(error, 'after_incomplete')) return unsettled(run, failure, error);
    if (!isFileFailure(error) && !isUnreachable(error)) throw error;
    const finding = refusal('evidence_not_written', subject.migrationId, {
      detail: { run: subject.runId, ...errorFinding(error, options.root).detail },
      hint: 'Make room or make the folder writable, then run `varve recover`: the ledger row holds all that is missing.',
    });
    return {
      status: 'indeterminate',
      runId: subject.runId,
      findings: [...failure.findings, finding],
      cause: error,
    };
  }
}

/** The run stands as it was decided; only work after it is left, which `recover` does. */
function unsettled({ subject }: Run, failure: Failure, error: VarveError): RunOutcome {
  const finding: Finding = { ...errorFinding(error, subject.migrationId), severity: 'warning' };
  return {
    status: 'indeterminate',
    runId: subject.runId,
    findings: [...failure.findings, finding],
    cause: error,
  };
}

/** What a committed run did to each table, as its receipt has it. */
async function touchedTables(
  { store }: RunnerOptions,
  runId: string,
): Promise<readonly TableCounts[] | undefined> {
  const body = (await readBody(store, runId, 'committed')) as DecidedBody | undefined;
  const summary = body?.products['diffs/summary.json'] as DiffSummary | undefined;
  return summary?.witnessed.tables;
}

function outcomeOf(
  run: Run,
  { ref, tables }: { readonly ref: ReceiptRef; readonly tables: readonly TableCounts[] | undefined },
  findings: readonly Finding[],
  cause: unknown,
): RunOutcome {
  const { runId, migrationId, direction } = run.subject;
  const { outcome, validation } = ref.receipt;
  if (outcome === 'committed') {
    return {
      status: 'applied',
      runId,
      migrationId,
      direction,
      already: false,
      receipt: ref,
      tables: tables ?? run.opened.plan.bound.tables,
      enforcement: enforcementIn(ref.receipt),
      findings,
    };
  }
  const all = [
    ...validation.findings,
    ...findings.filter(({ code }) => !validation.findings.some((one) => one.code === code)),
  ];
  const status = outcome === 'indeterminate' ? 'indeterminate' : 'rolled_back';
  return { status, runId, receipt: ref, findings: all, ...(cause === undefined ? {} : { cause }) };
}

/** In the order in which it is told: a receipt that comes from the ledger has another one. */
function enforcementIn({ enforcement }: ReceiptRef['receipt']): Enforcement {
  const { level, layers, role, ...rest } = enforcement as Enforcement;
  return { level, layers, role, ...rest };
}

/** What an earlier run had done. */
export async function doneBefore(options: RunnerOptions, ran: LedgerRun): Promise<RunOutcome> {
  const { subject, entries } = ran;
  const closing = await readClosing(options.store, subject.runId);
  const receipt = closing?.receipt as ReceiptRef['receipt'];
  const body = (await readBody(options.store, subject.runId, 'opened')) as
    { readonly plan: PlanFile } | undefined;
  return {
    status: 'applied',
    runId: subject.runId,
    migrationId: subject.migrationId,
    direction: subject.direction,
    already: true,
    receipt: {
      path: receiptPath(options, subject.migrationId),
      digest: entries.closed?.receipt_digest ?? '',
      receipt,
    },
    tables: (await touchedTables(options, subject.runId)) ?? body?.plan.bound.tables ?? [],
    enforcement: enforcementIn(receipt),
    findings: [],
  };
}

/** Files that cannot be written before a run has touched anything are a refusal. */
export async function guardFiles(
  options: RunnerOptions,
  work: () => Promise<RunOutcome>,
): Promise<RunOutcome> {
  try {
    return await work();
  } catch (error) {
    return unwritable(error, options.root);
  }
}

/** A rollback that is asked for again, as after a kill behind its commit, changes nothing and says so. */
async function nothingToTakeBack(
  options: RunnerOptions,
  migrationId: string,
  runs: readonly LedgerRun[],
): Promise<RunOutcome> {
  const committed = runs.filter(
    ({ subject, entries }) =>
      subject.migrationId === migrationId &&
      subject.direction !== 'retire' &&
      entries.committed !== undefined,
  );
  const last = committed.at(-1);
  return last === undefined ? refused(notApplied(migrationId)) : doneBefore(options, last);
}

/** A rollback is refused while a later applied migration touches the same objects (M111). */
async function blockingRuns(
  options: RunnerOptions,
  applied: readonly LedgerRun[],
  ran: LedgerRun,
  forward: ForwardRun,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { subject } of applied.slice(applied.indexOf(ran) + 1)) {
    const body = (await readBody(options.store, subject.runId, 'committed')) as DecidedBody | undefined;
    const shared = (body?.objects ?? []).filter((object) => forward.objects.includes(object));
    if (shared.length === 0) continue;
    const hint = `Roll back ${subject.migrationId} first.`;
    findings.push(refusal('rollback_blocked', subject.migrationId, { detail: { tables: shared }, hint }));
  }
  return findings;
}

/** One finding as an outcome. */
export function refused(finding: Finding): Refused {
  return { status: 'refused', findings: [finding] };
}

function isLater(run: LedgerRun, than: LedgerRun): boolean {
  return (run.entries.committed?.seq ?? 0) > (than.entries.committed?.seq ?? 0);
}

function letGoBefore(id: string, { subject, entries }: LedgerRun): Finding {
  return refusal('structure_missing', id, {
    detail: { run: subject.runId, at: entries.committed?.at ?? null },
    hint: 'What it superseded was let go by this run, so there is nothing to go back to. Write the way back as a new migration.',
  });
}

const VERBS = { forward: 'apply', rollback: 'rollback', retire: 'retire' } as const;

function unfinished(open: LedgerRun): Finding {
  const { runId, migrationId, direction } = open.subject;
  return refusal('run_unfinished', migrationId, {
    detail: { run: runId, direction },
    hint: `Go on with it (\`varve ${VERBS[direction]} ${migrationId}\`), or take it back with \`varve recover\`.`,
  });
}

/** The refusal of a way back from what is not applied. */
export function notApplied(id: string): Finding {
  return refusal('not_applied', id, {
    hint: 'Look at `varve status` for what is applied in this environment.',
  });
}

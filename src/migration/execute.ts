import { setTimeout as sleep } from 'node:timers/promises';
import {
  isRefused,
  isVarveError,
  refusal,
  VarveError,
  type Finding,
  type JsonObject,
} from '../base/index.ts';
import type { Baseline } from '../evidence/index.ts';
import { isStoreError, sql, type Transaction } from '../store/index.ts';
import { stepsOf } from './after.ts';
import { allDone } from './all-done.ts';
import { decidingSession, type DecidingSession } from './deciding-session.ts';
import { decidedBody, NOTHING_WITNESSED, productBytes } from './evidence-body.ts';
import { storeEvidences } from './evidence-store.ts';
import {
  backoffMs,
  errorFinding,
  interrupted,
  isTransient,
  isUnreachable,
  LOCK_TIMEOUT_MS,
  type Failure,
} from './failure.ts';
import { judgeRun } from './judge-run.ts';
import type { DecideStep, NewWrites, Step } from './kind.ts';
import { appendLedger, readBody } from './ledger.ts';
import { lockUnavailable, watchLocks, type LockWait } from './lock-wait.ts';
import { baselineContextOf, contextOf, fence, hit, type DecidedBody, type Run } from './run.ts';
import { cleanBody, storeScanned } from './scan-files.ts';
import {
  abortPrepared,
  decideWitnessed,
  openWitness,
  type CountedRows,
  type Witness,
  type WitnessedDecision,
} from './witness.ts';

/** Which way a run went. `unknown`: the store does not answer, so nobody can tell or undo now. */
export type Decision =
  | { readonly status: 'committed' }
  | { readonly status: 'failed'; readonly failure: Failure }
  | { readonly status: 'unknown'; readonly findings: readonly Finding[]; readonly cause: unknown };

/**
 * Runs a run up to its decision: baseline, the steps beside, then the one transaction that changes what readers see
 * and takes the ledger row. Going on with a killed run is the same call: every part finds what is done already.
 *
 * Errors: throws `interrupted`; all other failures are decisions.
 */
export async function executeRun(run: Run): Promise<Decision> {
  const steps = stepsOf(run);
  // What steps beside write must be in the difference, so that their baseline comes before them.
  const isInside = run.kind.baselineIn === 'deciding' && steps.every(({ mode }) => mode !== 'beside');
  const pre = isInside ? undefined : await takeBaseline(run);
  if (isInside) await run.intents.announce('locked', { lock: RUN_LOCK });
  for (const step of steps) {
    const decision = step.mode === 'beside' ? await runBeside(run, step) : undefined;
    if (decision !== undefined) return decision;
  }
  return decide(run, steps, pre);
}

/** The run's baseline: measured once, kept in store and database, so that a resumed run has the same (M31). */
async function takeBaseline(run: Run): Promise<Baseline> {
  const { options, subject, kind } = run;
  const kept = await readBody(options.store, subject.runId, 'baselined');
  if (kept !== undefined) return kept['baseline'] as unknown as Baseline;
  await run.intents.announce('locked', { lock: RUN_LOCK });
  const pre = await options.store.transaction(
    { isolation: 'repeatable read', readOnly: true },
    (transaction) => kind.baseline(baselineContextOf(run, run.forward?.pre), transaction),
  );
  const digest = await storeScanned(options.root, 'baselines/pre.json', pre);
  await hit(run, 'F04_pre_stored');
  await run.intents.announce('baselined', { pre: digest });
  await options.store.transaction({}, (transaction) =>
    appendLedger(transaction, { subject, phase: 'baselined', body: { baseline: pre } }, options.clock),
  );
  await hit(run, 'F05_baselined');
  return pre;
}

/** The lock that one runner per store holds (M93). */
export const RUN_LOCK = 'migration';

/** One step beside; undefined when it is done. Since it is idempotent, it waits out what others do within the deadline. */
async function runBeside(run: Run, step: Extract<Step, { mode: 'beside' }>): Promise<Decision | undefined> {
  const patience = patienceOf(run);
  if (run.signal.aborted) throw interrupted(run.subject.runId);
  await run.intents.announce('step_started', { step: step.name });
  await hit(run, 'F06_step_started');
  for (;;) {
    try {
      const { findings } = await step.run(contextOf(run));
      if (isRefused(findings)) return failed({ findings });
      break;
    } catch (error) {
      if (!isTransient(error) || !(await patience.again())) return decisionOf(run, error, step.name);
    }
  }
  await run.intents.announce('step_done', { step: step.name });
  await hit(run, 'F07_step_done');
  return undefined;
}

/** Milliseconds over all tries of one piece of work. */
const DEFAULT_DEADLINE_MS = 300_000;

/** Waits between tries; false when there is no time for another. */
interface Patience {
  readonly again: () => Promise<boolean>;
  readonly tried: () => { readonly tries: number; readonly seconds: number };
}

function patienceOf({ options, signal, subject }: Run, most = Infinity): Patience {
  const { clock, randomBytes, deadlineMs = DEFAULT_DEADLINE_MS } = options;
  const startedAtMs = clock.monotonicMs();
  let tries = 0;
  return {
    again: async () => {
      tries += 1;
      if (signal.aborted) throw interrupted(subject.runId);
      if (tries >= most || clock.monotonicMs() - startedAtMs >= deadlineMs) return false;
      await sleep(backoffMs(tries, randomBytes));
      return true;
    },
    tried: () => ({ tries, seconds: Math.round((clock.monotonicMs() - startedAtMs) / 1000) }),
  };
}

function decisionOf(run: Run, error: unknown, subject: string): Decision {
  if (isVarveError(error, 'interrupted')) throw error;
  if (run.signal.aborted) throw interrupted(run.subject.runId);
  if (isUnreachable(error))
    return { status: 'unknown', findings: [errorFinding(error, subject)], cause: error };
  return failed({ findings: [errorFinding(error, subject)], cause: error });
}

function failed(failure: Partial<Failure>): Decision {
  const empty: Failure = {
    findings: [],
    checks: [],
    witnessed: NOTHING_WITNESSED,
    verdicts: [],
    cause: undefined,
  };
  return { status: 'failed', failure: { ...empty, ...failure } };
}

/** The deciding transaction, tried again while others hold its locks or write, within one total deadline (M94). */
async function decide(run: Run, steps: readonly Step[], pre: Baseline | undefined): Promise<Decision> {
  const patience = patienceOf(run, run.kind.patience?.tries);
  const again = steps
    .filter((step) => step.mode === 'beside')
    .filter(({ beforeEachTry }) => beforeEachTry === true);
  for (;;) {
    for (const step of again) {
      const decision = await runBeside(run, step);
      if (decision !== undefined) return decision;
    }
    const tried = await tryOnce(run, steps, pre);
    if (!('transient' in tried)) return tried;
    if (!(await patience.again())) return gaveUp(run, tried, patience.tried());
  }
}

/** A try that others were in the way of. */
interface Transient {
  readonly transient: unknown;
  readonly wait: LockWait | undefined;
}

function gaveUp(
  run: Run,
  { transient, wait }: Transient,
  tried: Parameters<typeof lockUnavailable>[2],
): Decision {
  if (!isStoreError(transient, '55P03')) return decisionOf(run, transient, run.subject.migrationId);
  const finding = lockUnavailable(run.subject.migrationId, wait, tried);
  return failed({ findings: [finding], cause: transient });
}

async function tryOnce(
  run: Run,
  steps: readonly Step[],
  pre: Baseline | undefined,
): Promise<Decision | Transient> {
  if (run.signal.aborted) throw interrupted(run.subject.runId);
  const { options, intents, kind } = run;
  const { lockTimeoutMs = kind.patience?.lockTimeoutMs ?? LOCK_TIMEOUT_MS } = options;
  const deciding = steps.filter((step) => step.mode === 'decide');
  await intents.announce('deciding');
  const watch = watchLocks(options.store);
  const seen: Seen = { failure: undefined, counted: {}, isSent: false };
  let decided: WitnessedDecision | undefined;
  try {
    await using ready = await readyToDecide(run);
    const { witness, session } = ready;
    const prepare = witness === undefined ? {} : { prepareAs: witness.prepared };
    const begin = { isolation: kind.isolation, lockTimeoutMs, ...prepare };
    await session.store.transaction(begin, async (opened) => {
      const transaction = await watch.follow(opened);
      await session.enter(transaction);
      seen.failure = await decideInside(run, transaction, { steps: deciding, before: pre, seen });
      if (seen.failure !== undefined) throw aborting(run);
      if (witness !== undefined) await intents.announce('prepared', { prepared: witness.prepared });
      seen.isSent = true;
    });
    if (witness !== undefined) decided = await decideWitnessed(run, witness, seen.counted);
  } catch (error) {
    if (seen.failure !== undefined) return { status: 'failed', failure: seen.failure };
    if (seen.isSent) return await afterSending(run, error);
    if (!isTransient(error)) return decisionOf(run, error, 'cut over');
    return { transient: error, wait: watch.seen() };
  } finally {
    watch.stop();
  }
  if (decided?.status === 'taken') return await askLedger(run, aborting(run));
  if (decided?.status === 'unknown') return { ...decided, status: 'unknown' };
  if (decided?.status === 'rolled_back') return failed({ findings: decided.findings, cause: decided.cause });
  await hit(run, 'F13_committed');
  await intents.announce('committed');
  return { status: 'committed' };
}

/** Who decides, and who looks on. */
interface Ready extends AsyncDisposable {
  readonly witness: Witness | undefined;
  readonly session: DecidingSession;
}

/** Both before BEGIN: what had begun before the log was opened cannot be read. */
async function readyToDecide(run: Run): Promise<Ready> {
  const opening = [openWitness(run), decidingSession(run)] as const;
  const end = async (): Promise<void> => {
    const opened = await Promise.allSettled(opening);
    await allDone(
      opened.map(async (each) => {
        if (each.status === 'fulfilled') await each.value?.[Symbol.asyncDispose]();
      }),
    );
  };
  try {
    const [witness, session] = await Promise.all(opening);
    return { witness, session, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** What a try of the deciding transaction came to know. */
interface Seen {
  failure: Failure | undefined;
  /** What a witness holds the log against. */
  counted: CountedRows;
  /** From then on a lost connection no longer proves that nothing was committed. */
  isSent: boolean;
}

/** What became of a COMMIT, or PREPARE, that failed: a transaction that is prepared and has no verdict is aborted (M87). */
async function afterSending(run: Run, error: unknown): Promise<Decision> {
  const { kind, opened, subject } = run;
  if (kind.isWitnessDue?.(opened.plan.bound.work) !== true) return askLedger(run, error);
  if (isStoreError(error, '0A000')) {
    const hint =
      'The script used what cannot be prepared, such as a temporary table. Leave it out, or ask for less than witnessed.';
    const finding = refusal('witness_missing', subject.migrationId, {
      detail: { reason: 'not_preparable' },
      hint,
    });
    return failed({ findings: [finding], cause: error });
  }
  const settled = await abortPrepared(run, subject.runId);
  return settled.status === 'unknown' ? { ...settled, status: 'unknown' } : askLedger(run, error);
}

/** Thrown to make the store abort the transaction; what there is to say is in the failure. */
function aborting(run: Run): VarveError {
  return new VarveError('step_failed', {
    detail: { run: run.subject.runId },
    hint: 'See the findings of the run.',
  });
}

/** Everything that happens before the commit, in this order: nothing that decides runs after it (M81). */
async function decideInside(
  run: Run,
  transaction: Transaction,
  about: {
    readonly steps: readonly DecideStep[];
    readonly before: Baseline | undefined;
    readonly seen: Seen;
  },
): Promise<Failure | undefined> {
  const { steps, before, seen } = about;
  const { options, kind, subject } = run;
  const context = contextOf(run);
  const begun = before === undefined ? await beginning(transaction) : undefined;
  await fence(transaction, subject.runId);
  await hit(run, 'F08_deciding');
  const pre = before ?? (await baselineInside(run, transaction, begun));
  const carried: NewWrites[] = [];
  for (const step of steps) {
    const result = await step.run(context, transaction);
    if (isRefused(result.findings)) return failureOf(failed({ findings: result.findings }));
    carried.push(...(result.carried ?? []));
  }
  await hit(run, 'F09_decided');
  const observation = await kind.observe(context, transaction, carried);
  await hit(run, 'F10_observed');
  seen.counted = observation.counted ?? {};
  // Of a transaction that is lost already nothing can be measured.
  if (transaction.status() === 'failed') return failureOf(failed({ findings: observation.findings }));
  const post = await kind.baseline(
    {
      ...baselineContextOf(run, run.forward?.pre ?? pre),
      ...(run.forward === undefined ? { decidingRun: subject.runId } : {}),
    },
    transaction,
  );
  const ending = judgeRun(run, pre, post, observation);
  if (isRefused(ending.findings)) return { ...ending, cause: undefined };
  const body = await cleanBody(decidedBody(run, ending));
  await storeEvidences(options.root, Object.values(body.products).map(productBytes));
  await run.intents.announce('judged', { outputs: body.receipt['outputs'] ?? [], verdict: 'pass' });
  await hit(run, 'F11_judged');
  await appendLedger(transaction, { subject, phase: 'committed', body }, options.clock);
  await hit(run, 'F12_ledger_row');
  return undefined;
}

/** Who a transaction is, by which the server can be asked what became of it. */
export interface Beginning extends JsonObject {
  /** Its id, with epoch. */
  readonly transaction: string;
  readonly backend: number;
  readonly backend_start: string;
}

/** Forces the transaction's id, right after its begin (M77). */
async function beginning(transaction: Transaction): Promise<Beginning> {
  const [row] = await transaction.query<Beginning>(sql`
    select pg_current_xact_id()::text as transaction, pg_backend_pid() as backend,
      coalesce((select backend_start::text from pg_stat_activity where pid = pg_backend_pid()), '') as backend_start`);
  if (row === undefined) throw new VarveError('internal', { hint: 'Report this: a transaction has no id.' });
  return row;
}

/**
 * The baseline as the first read of the deciding transaction, durable before any statement runs (M31, M79). Who recovers
 * the run has it from this machine's files: a row of the ledger would be part of the transaction itself.
 */
async function baselineInside(
  run: Run,
  transaction: Transaction,
  begun: Beginning | undefined,
): Promise<Baseline> {
  const pre = await run.kind.baseline(baselineContextOf(run, run.forward?.pre), transaction);
  const digest = await storeScanned(run.options.root, 'baselines/pre.json', pre);
  await hit(run, 'F04_pre_stored');
  await run.intents.announce('baselined', { pre: digest });
  await hit(run, 'F05_baselined');
  await run.intents.announce('executing', { pre: digest, ...begun });
  return pre;
}

function failureOf(decision: Decision): Failure | undefined {
  return decision.status === 'failed' ? decision.failure : undefined;
}

/** How long the store may stay silent after a lost COMMIT before the run is called indeterminate. */
const SILENCE_MS = 30_000;

/** A connection lost during COMMIT is not guessed: the ledger row says whether it was committed (M67). */
async function askLedger(run: Run, error: unknown): Promise<Decision> {
  const { store, clock, deadlineMs = SILENCE_MS } = run.options;
  const endsAtMs = clock.monotonicMs() + Math.min(SILENCE_MS, deadlineMs);
  for (;;) {
    try {
      const body = await readDecision(run);
      if (body !== undefined) return { status: 'committed' };
      return failed({ findings: [errorFinding(error, 'cut over')], cause: error });
    } catch (second) {
      if (clock.monotonicMs() < endsAtMs) await sleep(500);
      else return { status: 'unknown', findings: [errorFinding(second, store.location)], cause: error };
    }
  }
}

/** Waits for the end of any transaction that holds the ledger, the lost one included, then looks for the row. */
async function readDecision(run: Run): Promise<DecidedBody | undefined> {
  return run.options.store.transaction({ lockTimeoutMs: 5_000 }, async (transaction) => {
    await transaction.execute(sql`lock table varve.ledger in exclusive mode`);
    return (await readBody(transaction, run.subject.runId, 'committed')) as DecidedBody | undefined;
  });
}

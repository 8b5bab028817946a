import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isoTime, runId, VarveError, type Finding, type JsonObject } from '../base/index.ts';
import {
  canonicalBytes,
  sha256,
  type ApprovedException,
  type Artifact,
  type Baseline,
  type Check,
  type DecidedPolicy,
  type DiffSummary,
  type Digest,
  type ReceiptBody,
} from '../evidence/index.ts';
import { quoteLiteral, sql, type Transaction } from '../store/index.ts';
import type { Bundle } from './bundle.ts';
import { makeFolder } from './durable.ts';
import type { RunnerOptions } from './environment.ts';
import { storeEvidences } from './evidence-store.ts';
import type { FaultPoint } from './fault-point.ts';
import { openIntentLog, runFolder, type IntentLog } from './intent-log.ts';
import { ledgerFileHead } from './ledger-file.ts';
import { appendLedger, readBody, type LedgerRun, type RunSubject } from './ledger.ts';
import type {
  BaselineContext,
  CommittedRun,
  Direction,
  MigrationKind,
  NewWrites,
  RunContext,
} from './kind.ts';
import type { PlanFile } from './plan-file.ts';
import type { KeptPolicy } from './policy/index.ts';
import { rungOf } from './rehearsal.ts';
import type { SessionsAhead } from './sessions-ahead.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

/** One run under way in this process: what every state of it needs. */
export interface Run {
  readonly options: RunnerOptions;
  readonly kind: MigrationKind;
  readonly bundle: Bundle;
  readonly subject: RunSubject;
  readonly opened: OpenedBody;
  readonly forward: ForwardRun | undefined;
  readonly intents: IntentLog;
  /** Aborted on request, or when the lock's session is gone. */
  readonly signal: AbortSignal;
  /** The monotonic clock at the run's start; undefined where another process began it. */
  readonly startedMonotonicMs?: number;
  /** What was opened for it before it began. */
  readonly ahead?: SessionsAhead | undefined;
}

/** Body of the ledger entry `opened`: from it, another machine takes the run over. */
export interface OpenedBody extends JsonObject {
  readonly actor: { readonly principal: string; readonly role: string };
  readonly host: string;
  readonly process_id: number;
  readonly git_commit: string | null;
  readonly params_digest: Digest | null;
  readonly started_at: string;
  readonly plan: PlanFile;
  readonly inputs: readonly Artifact[];
  /** The run that this one takes back; null in the direction forward. */
  readonly rolls_back: string | null;
  /** Digests of the approvals' envelopes that allowed it. */
  readonly approvals: readonly Digest[];
  /** What those allow of what the run may find (M26, M58); absent where it was opened by an earlier release. */
  readonly exceptions?: readonly RunException[];
  /** How far the way back was proved before the run; absent where it was not. */
  readonly rung?: string;
  /** The decision of the policy that allowed it; absent where nobody was asked. */
  readonly policy?: DecidedPolicy;
  /** That policy and what it was asked; with every decision since these are kept. */
  readonly policy_documents?: readonly JsonObject[];
}

/** A finding that is allowed none the less, and by whom. */
export type RunException = ApprovedException & { readonly principal: string };

/** A committed forward run with what its way back is proved against. */
export interface ForwardRun extends CommittedRun {
  /** What others wrote while it was under way, after `pre` was measured. */
  readonly newWrites: readonly NewWrites[];
}

/** A product of a run: an artifact of JSON, or the text of a file. */
export type Product = JsonObject | string;

/** Everything that a decided run leaves behind; body of the entries `committed` and `undone`. */
export interface DecidedBody extends JsonObject {
  readonly receipt: JsonObject;
  /** Products by their path in the bundle. */
  readonly products: Readonly<Record<string, Product>>;
  readonly bound: JsonObject;
  readonly objects: readonly string[];
  /** Of a forward run: rows that others wrote while it was under way, where there are any. */
  readonly new_writes?: readonly NewWrites[];
}

/** What is known when a run ends one way or the other. */
export interface RunEnd {
  readonly checks: readonly Check[];
  readonly findings: readonly Finding[];
}

/** What a new run is opened with. */
export interface NewRun {
  readonly kind: MigrationKind;
  readonly bundle: Bundle;
  readonly plan: PlanFile;
  readonly direction: Direction;
  readonly forward: ForwardRun | undefined;
  /** The envelopes that allow it; in the evidence store already. */
  readonly approvals: readonly Digest[];
  readonly exceptions?: readonly RunException[];
  readonly policy?: KeptPolicy | undefined;
  /** Runs of the same bundle, environment and direction before this one. */
  readonly attemptsBefore: number;
  readonly signal: AbortSignal;
  readonly ahead?: SessionsAhead | undefined;
}

/** Opens a run: its intent on disk, its evidence stored, its room reserved, its entry in the ledger. */
export async function openRun(options: RunnerOptions, about: NewRun): Promise<Run> {
  const startedAtMs = options.clock.nowMs();
  const startedMonotonicMs = options.clock.monotonicMs();
  const subject: RunSubject = {
    runId: runId({
      startedAtMs,
      kind: 'migration',
      subject: about.bundle.id,
      randomBytes: options.randomBytes,
    }),
    migrationId: about.bundle.id,
    environment: options.environment,
    direction: about.direction,
    attempt: about.attemptsBefore + 1,
    bundleDigest: about.bundle.digest,
    planDigest: about.plan.plan_digest,
  };
  const opened = openedBody(options, { ...about, rung: await rungOf(options, about.bundle) }, startedAtMs);
  await storeInputs(options.root, about);
  const intents = await openIntentLog(options.root, subject.runId, options.clock);
  await intents.announce('opened', {
    subject: subjectJson(subject),
    body: opened,
    store: options.store.location,
  });
  await reserveRoom(options.root, subject.runId);
  const run = { options, ...about, subject, opened, intents, startedMonotonicMs };
  await hit(run, 'F02_intent_opened');
  await enterOpened(run);
  return run;
}

/** The run's first entry in the database: from here on, other machines see it. */
export async function enterOpened(run: Run): Promise<void> {
  const { options, subject, opened } = run;
  const headIfEmpty = await ledgerFileHead(options.root, options.environment);
  await options.store.transaction({}, (transaction) =>
    appendLedger(
      transaction,
      { subject, phase: 'opened', body: opened, ...(headIfEmpty === undefined ? {} : { headIfEmpty }) },
      options.clock,
    ),
  );
  await hit(run, 'F03_ledger_opened');
}

/** A run as the ledger knows it, with what the database keeps of it; `intents` is its log where that is open already. */
export async function loadRun(
  options: RunnerOptions,
  known: LedgerRun,
  about: Pick<Run, 'kind' | 'bundle' | 'signal'> & { readonly intents?: IntentLog },
): Promise<Run> {
  const { subject } = known;
  const opened = (await readBody(options.store, subject.runId, 'opened')) as OpenedBody;
  const forward = opened.rolls_back === null ? undefined : await loadForward(options, opened.rolls_back);
  const intents = about.intents ?? (await openIntentLog(options.root, subject.runId, options.clock));
  // On another machine the log begins here.
  if (intents.lines().length === 0) {
    await intents.announce('opened', {
      subject: subjectJson(subject),
      body: opened,
      store: options.store.location,
    });
  }
  return { options, ...about, subject, opened, forward, intents };
}

/** The committed run that a rollback takes back. */
export async function loadForward(options: RunnerOptions, id: string): Promise<ForwardRun> {
  const body = (await readBody(options.store, id, 'committed')) as DecidedBody | undefined;
  const pre = body?.products['baselines/pre.json'];
  const post = body?.products['baselines/post.json'];
  const summary = body?.products['diffs/summary.json'] as unknown as DiffSummary | undefined;
  if (body === undefined || pre === undefined || post === undefined || summary === undefined) {
    throw new VarveError('evidence_missing', {
      detail: { run: id },
      hint: 'The ledger does not hold this run: restore the database that it ran in.',
    });
  }
  return {
    runId: id,
    committedAt: (body.receipt as unknown as ReceiptBody).finished_at,
    bound: body.bound,
    pre: pre as unknown as Baseline,
    post: post as unknown as Baseline,
    objects: body.objects,
    written: summary.witnessed.tables.map(({ table }) => table),
    newWrites: body.new_writes ?? [],
  };
}

/** What the kind's steps get. */
export function contextOf(run: Run): RunContext {
  const { options, bundle, subject, opened, forward, signal } = run;
  return {
    store: options.store,
    bundle,
    direction: subject.direction,
    environment: subject.environment,
    runId: subject.runId,
    bound: opened.plan.bound.work,
    tables: opened.plan.bound.tables,
    settings: options.settings ?? DEFAULT_SETTINGS,
    exceptions: opened.exceptions ?? [],
    forward,
    signal,
    fence: (transaction) => fence(transaction, subject.runId),
    fault: options.fault ?? noFault,
    progress: options.progress ?? ((): void => undefined),
    ...(options.isRehearsal === true ? { isRehearsal: true } : {}),
  };
}

/**
 * What the kind measures: the objects of the forward plan, in both directions; `like` is the baseline that it will be
 * compared with, which an earlier release may have made.
 */
export function baselineContextOf(run: Run, like: Baseline | undefined): BaselineContext {
  const bound = run.forward?.bound ?? run.opened.plan.bound.work;
  const settings = run.options.settings ?? DEFAULT_SETTINGS;
  return {
    bundle: run.bundle,
    settings,
    bound,
    ...(like === undefined ? {} : { algorithm: like.algorithm }),
  };
}

/** Hits one of the lifecycle's fault points. */
export async function hit(run: { readonly options: RunnerOptions }, point: FaultPoint): Promise<void> {
  await run.options.fault?.(point);
}

/**
 * Shares the run until the transaction ends, and makes sure that nobody has settled it. Who settles it takes the same
 * lock alone, so that a runner which was thought dead writes nothing after its work was undone.
 */
export async function fence(transaction: Transaction, id: string): Promise<void> {
  // As one script, which is one round trip: each of its statements has a snapshot of its own, the second one after the wait.
  const run = quoteLiteral(id);
  const [, decided] = await transaction.script(`
    select pg_advisory_xact_lock_shared(hashtextextended(${quoteLiteral(`varve:run:${id}`)}, 0))::text;
    select 1 from varve.ledger where run_id = ${run} and phase in ('committed', 'undone') limit 1`);
  if (decided === undefined) return;
  throw new VarveError('run_fenced', {
    detail: { run: id },
    hint: 'Another process has settled this run. Look at `varve status`.',
  });
}

/** Waits for every fenced transaction of the run and keeps new ones out until the transaction ends. */
export async function fenceAlone(transaction: Transaction, id: string): Promise<void> {
  await transaction.query(sql`select pg_advisory_xact_lock(hashtextextended(${`varve:run:${id}`}, 0))::text`);
}

/**
 * The end of a run: its start plus the monotonic time that passed, whatever the wall clock was set to meanwhile (M127). Of a
 * run that another process began only the wall clock can tell; it never ends before its start.
 */
export function finishedAt({ opened, options, startedMonotonicMs }: Run): string {
  const startedAtMs = Date.parse(opened.started_at);
  if (startedMonotonicMs === undefined) return isoTime(Math.max(startedAtMs, options.clock.nowMs()));
  return isoTime(startedAtMs + Math.round(options.clock.monotonicMs() - startedMonotonicMs));
}

/** Lets go of the room that was kept for the receipt. */
export async function releaseRoom(root: string, id: string): Promise<void> {
  await rm(join(runFolder(root, id), 'reserve'), { force: true });
}

/** More than receipt, ledger lines and products take, unless a baseline names thousands of tables. */
const RESERVED_BYTES = 1024 * 1024;

/** Room for what has to be written after the commit, so that a full disk is noticed before anything runs (M66). */
async function reserveRoom(root: string, id: string): Promise<void> {
  await makeFolder(runFolder(root, id));
  const handle = await open(join(runFolder(root, id), 'reserve'), 'w');
  try {
    await handle.writeFile(new Uint8Array(RESERVED_BYTES));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Where a bundle shows the plan of its latest run, by direction. */
export const PLAN_PATHS: Readonly<Record<Direction, string>> = {
  forward: 'plan.json',
  rollback: 'rollback_plan.json',
  retire: 'retire_plan.json',
};

function openedBody(
  options: RunnerOptions,
  about: NewRun & { readonly rung: string | undefined },
  startedAtMs: number,
): OpenedBody {
  return {
    actor: { principal: options.actor.principal, role: options.actor.role },
    host: options.host,
    process_id: options.processId,
    git_commit: options.gitCommit,
    params_digest: options.paramsDigest,
    started_at: isoTime(startedAtMs),
    plan: about.plan,
    inputs: [
      ...about.bundle.files.map(({ path, digest }) => ({ path, digest })),
      { path: PLAN_PATHS[about.direction], digest: planFileDigest(about.plan) },
    ],
    rolls_back: about.forward?.runId ?? null,
    approvals: about.approvals,
    ...(about.exceptions === undefined || about.exceptions.length === 0
      ? {}
      : { exceptions: about.exceptions }),
    ...(about.rung === undefined ? {} : { rung: about.rung }),
    ...(about.policy === undefined
      ? {}
      : { policy: about.policy.decided, policy_documents: about.policy.documents }),
  };
}

function planFileDigest(plan: PlanFile): Digest {
  return sha256(canonicalBytes(plan));
}

/** Everything that the receipt will name is in the store before the run begins. */
async function storeInputs(root: string, { bundle, plan }: NewRun): Promise<void> {
  await storeEvidences(root, [...bundle.files.map(({ bytes }) => bytes), canonicalBytes(plan)]);
}

function subjectJson(subject: RunSubject): JsonObject {
  return { ...subject };
}

async function noFault(): Promise<void> {
  // Nothing to hit.
}

import { isVarveError, refusal, type Finding } from '../base/index.ts';
import { readBundle, type Bundle } from './bundle.ts';
import type { RunnerOptions } from './environment.ts';
import { readEvidence } from './evidence-store.ts';
import { errorFinding, isFileFailure } from './failure.ts';
import { RUN_LOCK } from './execute.ts';
import { openIntentLog, openRunsOnDisk } from './intent-log.ts';
import { syncLedgerFile } from './ledger-file.ts';
import {
  ledgerRuns,
  readBody,
  readLedger,
  unfinishedRuns,
  type LedgerRun,
  type RunSubject,
} from './ledger.ts';
import { kindFor, type Direction, type MigrationKind } from './kind.ts';
import type { Refused } from './refused.ts';
import { signerFindings } from './runner-key.ts';
import { enterOpened, hit, loadForward, type OpenedBody, type Run } from './run.ts';
import { settleRun, type Settled } from './settle.ts';
import { settlePrepared } from './witness.ts';

/** What holds while the lock is held. */
export interface LockedSession {
  readonly runs: readonly LedgerRun[];
  /** Aborted on request, or when the lock's session is gone. */
  readonly signal: AbortSignal;
  /** Runs that were decided and lacked something of their evidence, completed on the way in. */
  readonly settled: readonly Settled[];
  /** Of runs whose work after the decision is not done yet: nothing new begins beside them. */
  readonly unsettled: readonly Finding[];
}

/** A bundle with the kind that runs it. */
export interface Runnable {
  readonly bundle: Bundle;
  readonly kind: MigrationKind;
}

/**
 * Does work as the one runner of the store (M93). What earlier runners left decided but not closed is settled first,
 * and what they had only announced is entered or ended, so that work begins with a ledger that tells all (M68).
 */
export async function withSession<T extends { readonly findings: readonly Finding[] }>(
  options: RunnerOptions,
  work: (session: LockedSession) => Promise<T>,
): Promise<T | Refused> {
  await using lock = await options.store.tryLock(RUN_LOCK);
  if (lock === undefined) return { status: 'refused', findings: [await inProgress(options)] };
  await hit({ options }, 'F01_locked');
  const before = await readLedger(options.store);
  const stranger = before.find(({ environment }) => environment !== options.environment);
  if (stranger !== undefined)
    return { status: 'refused', findings: [otherEnvironment(options, stranger.environment)] };
  const unsigned = options.isRehearsal === true ? [] : await signerFindings(options);
  if (unsigned.length > 0) return { status: 'refused', findings: unsigned };
  const prepared = await settlePrepared(options);
  const { findings } = await syncLedgerFile(
    options,
    prepared.length === 0 ? before : await readLedger(options.store),
  );
  if (findings.some(({ severity }) => severity === 'error')) return { status: 'refused', findings };
  const signal = options.signal === undefined ? lock.lost : AbortSignal.any([options.signal, lock.lost]);
  await enterAnnounced(options, signal);
  const { settled, unsettled } = await settleDecided(options, { signal });
  // Awaited here: the lock is let go when this function returns, settled or not.
  const result = await work({
    runs: ledgerRuns(await readLedger(options.store)),
    signal,
    settled,
    unsettled,
  });
  return withWarnings(result, [...prepared, ...findings]);
}

/** What was found on the way in, such as a ledger file that was cut, unless the work says it itself. */
function withWarnings<T extends { readonly findings: readonly Finding[] }>(
  result: T,
  warnings: readonly Finding[],
): T {
  const said = new Set(result.findings.map(({ code, subject }) => `${code} ${subject}`));
  const untold = warnings.filter(({ code, subject }) => !said.has(`${code} ${subject}`));
  return untold.length === 0 ? result : { ...result, findings: [...untold, ...result.findings] };
}

/**
 * Settles every run that the database has decided and that is not closed, here or in the database; with
 * `restoreLost`, also closed ones whose receipt is no longer in the evidence store.
 */
export async function settleDecided(
  options: RunnerOptions,
  { signal, restoreLost = false }: { readonly signal: AbortSignal; readonly restoreLost?: boolean },
): Promise<Pick<LockedSession, 'settled' | 'unsettled'>> {
  const runs = ledgerRuns(await readLedger(options.store));
  const openHere = new Set((await openRunsOnDisk(options.root)).map((lines) => lines[0]?.['run_id']));
  const settled: Settled[] = [];
  const unsettled: Finding[] = [];
  for (const { subject, entries } of runs) {
    const isDecided = entries.committed !== undefined || entries.undone !== undefined;
    const digest = entries.closed?.receipt_digest ?? undefined;
    const isLost =
      restoreLost && digest !== undefined && (await readEvidence(options.root, digest)) === undefined;
    if (!isDecided || (digest !== undefined && !isLost && !openHere.has(subject.runId))) continue;
    const runnable = await findRunnable(options, subject.migrationId, subject.direction);
    const { kind, bundle } = 'bundle' in runnable ? runnable : { kind: undefined, bundle: undefined };
    const resolvedFrom = entries.committed === undefined ? 'undone' : 'committed';
    const { runId } = subject;
    try {
      settled.push(await settleRun(options, { runId, kind, bundle, resolvedFrom, signal }));
    } catch (error) {
      if (!isVarveError(error, 'after_incomplete')) throw error;
      unsettled.push(errorFinding(error, subject.migrationId));
    }
  }
  return { settled, unsettled };
}

/** A bundle as it lies on disk, with its kind as a run of this direction calls it; or why it cannot be run. */
export async function findRunnable(
  options: RunnerOptions,
  migrationId: string,
  direction: Direction = 'forward',
): Promise<Runnable | Refused> {
  const reading = await readBundle(options.root, migrationId);
  if (reading.status === 'refused') return reading;
  const named = options.kinds.find(({ name }) => name === reading.bundle.kind);
  const kind = named === undefined ? undefined : kindFor(named, direction);
  if (kind !== undefined) return { bundle: reading.bundle, kind };
  const hint =
    named === undefined
      ? `Run it with a project that brings the kind ${reading.bundle.kind}.`
      : `Migrations of the kind ${reading.bundle.kind} leave nothing that could be let go.`;
  return { status: 'refused', findings: [refusal('kind_unavailable', migrationId, { hint })] };
}

/** The finding for files of the evidence that cannot be written, before the first write to the store. */
export function unwritable(error: unknown, root: string): Refused {
  if (!isFileFailure(error)) throw error;
  const { detail } = errorFinding(error, root);
  const hint = 'Make room, or make this folder writable: no run begins whose evidence could not be kept.';
  return { status: 'refused', findings: [refusal('evidence_unwritable', root, { detail, hint })] };
}

/** Runs that were opened on this machine and killed before the database knew of them are entered there. */
async function enterAnnounced(options: RunnerOptions, signal: AbortSignal): Promise<void> {
  const known = new Set((await readLedger(options.store)).map((entry) => entry.run_id));
  for (const lines of await openRunsOnDisk(options.root)) {
    const first = lines[0];
    if (first?.['state'] !== 'opened' || first['store'] !== options.store.location) continue;
    const subject = first['subject'] as unknown as RunSubject;
    if (known.has(subject.runId) || subject.environment !== options.environment) continue;
    const run = await announcedRun(options, subject, first['body'] as unknown as OpenedBody, signal);
    if (run !== undefined) await enterOpened(run);
  }
}

async function announcedRun(
  options: RunnerOptions,
  subject: RunSubject,
  opened: OpenedBody,
  signal: AbortSignal,
): Promise<Run | undefined> {
  const runnable = await findRunnable(options, subject.migrationId, subject.direction);
  if ('status' in runnable) return undefined;
  const forward = opened.rolls_back === null ? undefined : await loadForward(options, opened.rolls_back);
  const intents = await openIntentLog(options.root, subject.runId, options.clock);
  return { options, ...runnable, subject, opened, forward, intents, signal };
}

async function inProgress(options: RunnerOptions): Promise<Finding> {
  const open = unfinishedRuns(ledgerRuns(await readLedger(options.store))).at(-1);
  const hint = 'Wait for it to end. Its lock goes with its process: nothing has to be unlocked by hand.';
  if (open === undefined) return refusal('run_in_progress', options.store.location, { hint });
  const opened = (await readBody(options.store, open.subject.runId, 'opened')) as OpenedBody;
  const ageMs = Math.max(0, options.clock.nowMs() - Date.parse(opened.started_at));
  return refusal('run_in_progress', open.subject.migrationId, {
    detail: {
      run: open.subject.runId,
      host: opened.host,
      process: opened.process_id,
      startedAt: opened.started_at,
      ageSeconds: Math.round(ageMs / 1000),
    },
    hint,
  });
}

function otherEnvironment(options: RunnerOptions, found: string): Finding {
  return refusal('ledger_fork', options.store.location, {
    detail: { environment: options.environment, found },
    hint: `This database is the environment ${found}: name it, or use another database.`,
  });
}

/**
 * The witness of a run (layer L9): a session that ran nothing of the script reads the server's own log of the prepared
 * transaction, and the run commits only when the log shows no change that was not counted.
 *
 * | step | durable before it |
 * |---|---|
 * | the log is opened, before BEGIN | - |
 * | PREPARE TRANSACTION under the id of the run | intent `prepared` |
 * | the log is read, and compared with what the counters saw (L5) | - |
 * | COMMIT PREPARED | intent `witnessed`, verdict `pass` |
 *
 * Whoever finds a prepared transaction of a killed run commits it where that verdict is on this disk, and aborts it else.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { refusal, type Finding } from '../base/index.ts';
import { sql, type LogChange, type LogReader, type Store } from '../store/index.ts';
import { loginUnusable } from './deciding-session.ts';
import type { RunnerOptions } from './environment.ts';
import { errorFinding } from './failure.ts';
import { openIntentLog } from './intent-log.ts';
import type { Run } from './run.ts';

/** Rows by table, as they were counted while the transaction ran: none has more in the log. */
export type CountedRows = Readonly<Record<string, number>>;

/** A witness that is ready. */
export interface Witness extends AsyncDisposable {
  /** Under which name the transaction is prepared. */
  readonly prepared: string;
  readonly log: LogReader;
}

/** Milliseconds for opening the log, which waits for the transactions that run. */
const OPEN_MS = 30_000;

/** Opens the log where the plan bound a witness. Errors: throws `witness_missing`, `permission_denied`. */
export async function openWitness(run: Run): Promise<Witness | undefined> {
  const { options, kind, opened, subject } = run;
  if (kind.isWitnessDue?.(opened.plan.bound.work) !== true) return undefined;
  if (options.verifyLogin === undefined) throw loginUnusable(run, 'no_verify_login');
  const store = await (run.ahead?.takeVerify() ?? options.verifyLogin.open(options.store.location));
  try {
    const deadlineMs = Math.min(OPEN_MS, options.deadlineMs ?? OPEN_MS);
    const log = await store.readLog({ name: slotName(options), deadlineMs });
    const end = async (): Promise<void> => {
      await log[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    };
    return { prepared: subject.runId, log, [Symbol.asyncDispose]: end };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

function slotName({ processId, randomBytes }: RunnerOptions): string {
  return `varve_${String(processId)}_${Buffer.from(randomBytes(6)).toString('hex')}`;
}

/** What became of the prepared transaction. */
export type WitnessedDecision =
  | { readonly status: 'committed' }
  | {
      readonly status: 'rolled_back' | 'unknown';
      readonly findings: readonly Finding[];
      readonly cause: unknown;
    }
  /** Somebody else decided it: the ledger knows how. */
  | { readonly status: 'taken' };

/** Reads the log and decides. A verdict that is not to be had aborts (M87). */
export async function decideWitnessed(
  run: Run,
  { prepared, log }: Witness,
  counted: CountedRows,
): Promise<WitnessedDecision> {
  const { migrationId } = run.subject;
  await run.options.fault?.('P05_prepared');
  let findings: readonly Finding[];
  let cause: unknown;
  try {
    findings = witnessFindings(migrationId, await log.changesOf(prepared), counted);
  } catch (error) {
    cause = error;
    findings = [errorFinding(error, migrationId)];
  }
  if (findings.length > 0) return decide(run, prepared, { status: 'rolled_back', findings, cause });
  await run.intents.announce('witnessed', { prepared, verdict: 'pass' });
  await run.options.fault?.('P06_witnessed');
  return decide(run, prepared, { status: 'committed' });
}

/** How long the store may stay silent before nobody can tell. */
const SILENCE_MS = 30_000;

async function decide(
  run: Run,
  prepared: string,
  wanted: Exclude<WitnessedDecision, { readonly status: 'taken' | 'unknown' }>,
): Promise<WitnessedDecision> {
  const { store, clock } = run.options;
  const endsAtMs = clock.monotonicMs() + SILENCE_MS;
  for (;;) {
    try {
      const isDone = await store.decidePrepared(
        prepared,
        wanted.status === 'committed' ? 'commit' : 'rollback',
      );
      return isDone ? wanted : { status: 'taken' };
    } catch (error) {
      if (clock.monotonicMs() >= endsAtMs)
        return { status: 'unknown', findings: [errorFinding(error, store.location)], cause: error };
      await sleep(500);
    }
  }
}

/** Aborts what may have been prepared when the answer to PREPARE was lost. */
export function abortPrepared(run: Run, prepared: string): Promise<WitnessedDecision> {
  return decide(run, prepared, { status: 'rolled_back', findings: [], cause: undefined });
}

/** What the log shows and the counters did not, by table. Names, never values. */
export function witnessFindings(
  subject: string,
  changes: readonly LogChange[],
  counted: CountedRows,
): readonly Finding[] {
  if (!changes.some(({ table, operation }) => table === 'varve.ledger' && operation === 'insert')) {
    return [disagreement(subject, { reason: 'ledger_row_missing' })];
  }
  const rows = new Map<string | null, number>();
  for (const { table, operation, rows: count } of changes) {
    if (table?.startsWith('varve.') === true) continue;
    rows.set(table, (rows.get(table) ?? 0) + (operation === 'truncate' ? 0 : count));
  }
  return [...rows].flatMap(([table, logged]) => {
    if (table === null) return [disagreement(subject, { reason: 'unreadable', lines: logged })];
    const seen = counted[table];
    return seen !== undefined && logged <= seen
      ? []
      : [disagreement(table, { logged, counted: seen ?? null })];
  });
}

function disagreement(subject: string, detail: Finding['detail']): Finding {
  return refusal('witness_disagrees', subject, {
    detail,
    hint: 'The log of the server shows a change that was not counted while the script ran. Nothing was changed.',
  });
}

/**
 * Decides what killed runs left prepared (M88). A transaction whose verdict is not on this disk is aborted, so another
 * machine may do this too.
 */
export async function settlePrepared(options: RunnerOptions): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const name of await preparedRuns(options.store)) {
    const decision = (await hasPassed(options, name)) ? 'commit' : 'rollback';
    if (!(await options.store.decidePrepared(name, decision))) continue;
    findings.push({
      code: 'prepared_settled',
      severity: 'info',
      subject: name,
      detail: { decision },
      hint: 'A run was killed between prepare and commit; the rest of it is settled like that of any other.',
    });
  }
  return findings;
}

/** The prepared transactions under the name of a run, in this database. */
export async function preparedRuns(store: Store): Promise<readonly string[]> {
  if (!store.capabilities.witness) return [];
  const rows = await store.query<{ name: string }>(sql`
    select gid as name from pg_prepared_xacts where database = current_database() and gid like 'varve://run/%' order by prepared`);
  return rows.map(({ name }) => name);
}

async function hasPassed({ root, clock }: RunnerOptions, runId: string): Promise<boolean> {
  const { lines } = await openIntentLog(root, runId, clock);
  return lines().some((line) => line['state'] === 'witnessed' && line['verdict'] === 'pass');
}

import { isoTime, type Clock, type JsonObject } from '../base/index.ts';
import {
  chainLine,
  digestOf,
  EMPTY_CHAIN,
  type ChainHead,
  type ChainLine,
  type Digest,
} from '../evidence/index.ts';
import { sql, type Queryable, type Transaction } from '../store/index.ts';
import type { EnvironmentName } from './settings.ts';
import type { Direction } from './kind.ts';

/** How far the database says that a run came; see `sql/0003_ledger.sql`, which only grows (M65). */
export type Phase = 'opened' | 'baselined' | 'committed' | 'undone' | 'closed';

/** What one run is about; the same in each of its entries. */
export interface RunSubject {
  readonly runId: string;
  readonly migrationId: string;
  readonly environment: EnvironmentName;
  readonly direction: Direction;
  /** Which run of this bundle, environment and direction it is, from 1. */
  readonly attempt: number;
  readonly bundleDigest: Digest;
  readonly planDigest: Digest;
}

/** One entry of the chain, as it stands in the database and in the ledger file; its body is in the database only. */
export interface LedgerEntry extends ChainLine {
  readonly ledger_version: 'v1';
  readonly run_id: string;
  readonly migration_id: string;
  readonly phase: Phase;
  readonly environment: EnvironmentName;
  readonly direction: Direction;
  readonly attempt: number;
  readonly bundle_digest: Digest;
  readonly plan_digest: Digest;
  readonly body_digest: Digest;
  readonly receipt_digest: Digest | null;
  readonly at: string;
}

/** One run with the entries it has. */
export interface LedgerRun {
  readonly subject: RunSubject;
  readonly entries: Readonly<Partial<Record<Phase, LedgerEntry>>>;
}

/** What is appended. */
export interface Appending {
  readonly subject: RunSubject;
  readonly phase: Phase;
  readonly body: JsonObject;
  readonly receiptDigest?: Digest;
  /** Where the chain goes on when the database has no entry yet: a new database continues the environment's chain. */
  readonly headIfEmpty?: ChainHead;
}

/**
 * Appends one entry inside a transaction. The table's lock is held to the transaction's end, so entries stand in commit
 * order, and who waits for that lock sees whether a commit that was under way came to be.
 */
export async function appendLedger(
  transaction: Transaction,
  appending: Appending,
  clock: Clock,
): Promise<LedgerEntry> {
  await transaction.execute(sql`lock table varve.ledger in exclusive mode`);
  const last = await readHead(transaction);
  const head = last ?? appending.headIfEmpty ?? EMPTY_CHAIN;
  // A clock that was set back must not make an entry older than the one before it: verification refuses that.
  const atMs = Math.max(clock.nowMs(), last === undefined ? 0 : Date.parse(last.at));
  const entry = entryOf(head, appending, atMs);
  await transaction.execute(
    sql.kept(sql`
    insert into varve.ledger (seq, prev, digest, run_id, migration_id, phase, environment, direction, attempt,
      bundle_digest, plan_digest, body_digest, receipt_digest, at, body)
    values (${entry.seq}, ${entry.prev}, ${entry.digest}, ${entry.run_id}, ${entry.migration_id}, ${entry.phase},
      ${entry.environment}, ${entry.direction}, ${entry.attempt}, ${entry.bundle_digest}, ${entry.plan_digest},
      ${entry.body_digest}, ${entry.receipt_digest}, ${entry.at}, ${JSON.stringify(appending.body)}::jsonb)`),
  );
  return entry;
}

/** All entries in order, without their bodies. */
export async function readLedger(queryable: Queryable): Promise<readonly LedgerEntry[]> {
  const rows = await queryable.query<Omit<LedgerEntry, 'seq' | 'ledger_version'> & { readonly seq: bigint }>(
    sql.kept(sql`
    select seq, prev, digest, run_id, migration_id, phase, environment, direction, attempt,
      bundle_digest, plan_digest, body_digest, receipt_digest, at
    from varve.ledger order by seq`),
  );
  return rows.map((row) => ({ ...row, seq: Number(row.seq), ledger_version: 'v1' }) as LedgerEntry);
}

/** The body of one entry, undefined when there is none. */
export async function readBody(
  queryable: Queryable,
  runId: string,
  phase: Phase,
): Promise<JsonObject | undefined> {
  const rows = await queryable.query<{ readonly body: JsonObject }>(
    sql.kept(sql`select body from varve.ledger where run_id = ${runId} and phase = ${phase}`),
  );
  return rows[0]?.body;
}

/** The runs of the entries, in the order in which they were opened. */
export function ledgerRuns(entries: readonly LedgerEntry[]): readonly LedgerRun[] {
  const runs = new Map<string, { subject: RunSubject; entries: Partial<Record<Phase, LedgerEntry>> }>();
  for (const entry of entries) {
    const run = runs.get(entry.run_id) ?? { subject: subjectOf(entry), entries: {} };
    run.entries[entry.phase] = entry;
    runs.set(entry.run_id, run);
  }
  return [...runs.values()];
}

/** The last committed forward run of each migration that no committed rollback has taken back, in order of commit. */
export function appliedRuns(runs: readonly LedgerRun[]): readonly LedgerRun[] {
  const applied = new Map<string, LedgerRun>();
  const committed = runs.filter(({ entries }) => entries.committed !== undefined);
  for (const run of committed.sort(
    (a, b) => (a.entries.committed?.seq ?? 0) - (b.entries.committed?.seq ?? 0),
  )) {
    if (run.subject.direction === 'retire') continue;
    applied.delete(run.subject.migrationId);
    if (run.subject.direction === 'forward') applied.set(run.subject.migrationId, run);
  }
  return [...applied.values()];
}

/** The last committed run that let go of what runs of this migration had superseded. */
export function retireRun(runs: readonly LedgerRun[], migrationId: string): LedgerRun | undefined {
  return runs.findLast(
    ({ subject, entries }) =>
      subject.migrationId === migrationId &&
      subject.direction === 'retire' &&
      entries.committed !== undefined,
  );
}

/** Runs that have no closing entry, oldest first. */
export function unfinishedRuns(runs: readonly LedgerRun[]): readonly LedgerRun[] {
  return runs.filter(({ entries }) => entries.closed === undefined);
}

/** Runs of which it is not decided which way they go, oldest first. */
export function undecidedRuns(runs: readonly LedgerRun[]): readonly LedgerRun[] {
  return unfinishedRuns(runs).filter(
    ({ entries }) => entries.committed === undefined && entries.undone === undefined,
  );
}

async function readHead(
  transaction: Transaction,
): Promise<(ChainHead & { readonly at: string }) | undefined> {
  const rows = await transaction.query<{
    readonly seq: bigint;
    readonly digest: string;
    readonly at: string;
  }>(sql`select seq, digest, at from varve.ledger order by seq desc limit 1`);
  const row = rows[0];
  return row === undefined ? undefined : { seq: Number(row.seq), digest: row.digest, at: row.at };
}

function entryOf(
  head: ChainHead,
  { subject, phase, body, receiptDigest }: Appending,
  atMs: number,
): LedgerEntry {
  return chainLine(head, {
    ledger_version: 'v1',
    run_id: subject.runId,
    migration_id: subject.migrationId,
    phase,
    environment: subject.environment,
    direction: subject.direction,
    attempt: subject.attempt,
    bundle_digest: subject.bundleDigest,
    plan_digest: subject.planDigest,
    body_digest: digestOf(body),
    receipt_digest: receiptDigest ?? null,
    at: isoTime(atMs),
  });
}

function subjectOf(entry: LedgerEntry): RunSubject {
  return {
    runId: entry.run_id,
    migrationId: entry.migration_id,
    environment: entry.environment,
    direction: entry.direction,
    attempt: entry.attempt,
    bundleDigest: entry.bundle_digest,
    planDigest: entry.plan_digest,
  };
}

import type { Finding } from '../base/index.ts';
import { isStoreError, type Store } from '../store/index.ts';
import { listBundles, readBundle } from './bundle.ts';
import type { RunnerOptions } from './environment.ts';
import {
  appliedRuns,
  ledgerRuns,
  readLedger,
  retireRun,
  unfinishedRuns,
  type LedgerEntry,
  type LedgerRun,
} from './ledger.ts';
import { compareMigrationIds } from './migration-id.ts';

/** Where each migration of an environment stands, derived from the ledger and the folders alone (M48). */
export interface MigrationStatus {
  readonly environment: string;
  readonly migrations: readonly MigrationState[];
  readonly unfinished: readonly UnfinishedRun[];
}

/** One migration. */
export interface MigrationState {
  readonly migrationId: string;
  /** `missing`: the ledger knows it and its folder is not there. `invalid`: its folder cannot be used; findings say why. */
  readonly status: 'pending' | 'applied' | 'rolled_back' | 'missing' | 'invalid';
  /** Its last run. */
  readonly runId: string | undefined;
  readonly at: string | undefined;
  /** When what it superseded was let go; undefined: it was not. */
  readonly letGoAt: string | undefined;
  /** Whether the authored files differ from those of the last run. */
  readonly drifted: boolean;
  readonly findings: readonly Finding[];
}

/** A run that needs `apply`, `rollback` or `recover`. */
export interface UnfinishedRun {
  readonly runId: string;
  readonly migrationId: string;
  readonly direction: string;
  /** The last thing that the database knows of it. */
  readonly phase: 'opened' | 'baselined' | 'committed' | 'undone';
  readonly since: string;
}

/** Reads the status; writes nothing, and needs no lock. */
export async function readStatus(
  options: Pick<RunnerOptions, 'store' | 'root' | 'environment'>,
): Promise<MigrationStatus> {
  const runs = ledgerRuns(await ledgerIfThere(options.store));
  const ids = new Set([
    ...(await listBundles(options.root)),
    ...runs.map(({ subject }) => subject.migrationId),
  ]);
  const sorted = [...ids].sort(compareMigrationIds);
  return {
    environment: options.environment,
    migrations: await Promise.all(sorted.map((id) => stateOf(options.root, id, runs))),
    unfinished: unfinishedRuns(runs).map(unfinishedRun),
  };
}

/** A database in which varve was never used has no ledger, and asking for the status does not give it one. */
async function ledgerIfThere(store: Store): Promise<readonly LedgerEntry[]> {
  try {
    return await readLedger(store);
  } catch (error) {
    if (isStoreError(error, '42P01', '3F000')) return [];
    throw error;
  }
}

async function stateOf(
  root: string,
  migrationId: string,
  runs: readonly LedgerRun[],
): Promise<MigrationState> {
  const reading = await readBundle(root, migrationId);
  const last = runs.findLast(({ subject }) => subject.migrationId === migrationId);
  const applied = appliedRuns(runs).some(({ subject }) => subject.migrationId === migrationId);
  const committed = runs.some(
    ({ subject, entries }) => subject.migrationId === migrationId && entries.committed !== undefined,
  );
  const findings = reading.status === 'refused' ? reading.findings : [];
  const isMissing = findings.some(({ code }) => code === 'bundle_missing');
  const digest = reading.status === 'ok' ? reading.bundle.digest : undefined;
  const done = applied ? 'applied' : committed ? 'rolled_back' : 'pending';
  return {
    migrationId,
    status: reading.status === 'ok' ? done : isMissing ? 'missing' : 'invalid',
    runId: last?.subject.runId,
    at: lastEntry(last)?.at,
    letGoAt: retireRun(runs, migrationId)?.entries.committed?.at,
    drifted: last !== undefined && digest !== undefined && digest !== last.subject.bundleDigest,
    findings,
  };
}

function unfinishedRun(run: LedgerRun): UnfinishedRun {
  const { subject, entries } = run;
  const phase =
    (['undone', 'committed', 'baselined'] as const).find((name) => entries[name] !== undefined) ?? 'opened';
  const { runId, migrationId, direction } = subject;
  return { runId, migrationId, direction, phase, since: entries.opened?.at ?? '' };
}

function lastEntry(run: LedgerRun | undefined): { readonly at: string } | undefined {
  return run === undefined ? undefined : Object.values(run.entries).at(-1);
}

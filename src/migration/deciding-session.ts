import { VarveError } from '../base/index.ts';
import type { Store, Transaction } from '../store/index.ts';
import type { RunnerOptions } from './environment.ts';
import { readBody, type RunSubject } from './ledger.ts';
import { allDone } from './all-done.ts';
import { parseMigrationId } from './migration-id.ts';
import { contextOf, type OpenedBody, type Run } from './run.ts';

/** Where the deciding transaction runs. */
export interface DecidingSession extends AsyncDisposable {
  readonly store: Store;
  readonly enter: (transaction: Transaction) => Promise<void>;
}

/** The store's own session, or where the plan bound it one of the runner's login with what it is lent for this try (L4). */
export async function decidingSession(run: Run): Promise<DecidingSession> {
  const { options, kind, opened } = run;
  const { confine } = kind;
  if (confine?.isDue(opened.plan.bound.work) !== true) {
    const nothing = async (): Promise<void> => undefined;
    return { store: options.store, enter: nothing, [Symbol.asyncDispose]: nothing };
  }
  if (options.runnerLogin === undefined) throw loginUnusable(run, 'no_runner_login');
  const context = contextOf(run);
  const store = await (run.ahead?.takeRunner() ?? options.runnerLogin.open(options.store.location));
  const end = async (): Promise<void> => {
    await allDone([store[Symbol.asyncDispose](), confine.release(context)]);
  };
  try {
    await confine.lend(context);
  } catch (error) {
    await end();
    throw error;
  }
  const enter = async (transaction: Transaction): Promise<void> => {
    await confine.enter(context, transaction);
    if ((await readBody(transaction, run.subject.runId, 'opened')) === undefined)
      throw loginUnusable(run, 'another_database');
  };
  return { store, enter, [Symbol.asyncDispose]: end };
}

/**
 * Takes back what a run had lent its login (M84), also where its bundle is gone or another one by now: what its plan bound says which
 * roles these are.
 */
export async function takeBackLent(
  { store, kinds }: Pick<RunnerOptions, 'store' | 'kinds'>,
  { runId, migrationId }: Pick<RunSubject, 'runId' | 'migrationId'>,
): Promise<void> {
  const kind = kinds.find(({ name }) => name === parseMigrationId(migrationId)?.kind);
  const opened = (await readBody(store, runId, 'opened')) as OpenedBody | undefined;
  const bound = opened?.plan.bound.work;
  if (bound !== undefined && kind?.confine?.isDue(bound) === true)
    await kind.confine.release({ store, bound });
}

/** A login that was bound and cannot be used. */
export function loginUnusable(
  run: Run,
  reason: 'no_runner_login' | 'no_verify_login' | 'another_database',
): VarveError {
  return new VarveError('permission_denied', {
    detail: { subject: run.subject.migrationId, reason },
    hint: 'Name the logins as when this was planned, on the same server, or plan it again.',
  });
}

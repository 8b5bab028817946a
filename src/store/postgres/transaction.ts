import { isVarveError, VarveError } from '../../base/index.ts';
import { quoteLiteral } from '../sql.ts';
import { StoreError } from '../store-error.ts';
import type { Transaction, TransactionOptions } from '../store.ts';
import { withSecondFailure } from './error.ts';
import { queryableOf, type Session } from './session.ts';

/** Runs work in a transaction of a session that nobody else uses meanwhile. */
export async function runTransaction<T>(
  session: Session,
  options: TransactionOptions,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  await session.script(beginText(options));
  const { transaction, end } = createHandle(session);
  let result: T;
  try {
    result = await work(transaction);
  } catch (error) {
    end();
    throw await abort(session, error);
  }
  end();
  if (options.prepareAs === undefined) await commit(session, 'commit');
  else await commit(session, `prepare transaction ${quoteLiteral(options.prepareAs)}`);
  return result;
}

function beginText(options: TransactionOptions): string {
  const {
    isolation = 'read committed',
    readOnly = false,
    lockTimeoutMs = 0,
    statementTimeoutMs = 0,
  } = options;
  return [
    `begin isolation level ${isolation} ${readOnly ? 'read only' : 'read write'}`,
    `set local lock_timeout = ${wholeMs(lockTimeoutMs)}`,
    `set local statement_timeout = ${wholeMs(statementTimeoutMs)}`,
  ].join(';');
}

function wholeMs(durationMs: number): number {
  return Math.max(0, Math.ceil(durationMs));
}

function createHandle(session: Session): { readonly transaction: Transaction; readonly end: () => void } {
  let ended = false;
  let savepoints = 0;

  const reach = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    if (ended) throw endedHandle();
    return await work(session);
  };

  const savepoint = async <T>(work: () => Promise<T>): Promise<T> => {
    savepoints += 1;
    const name = `varve_savepoint_${savepoints}`;
    await reach(() => session.script(`savepoint ${name}`));
    try {
      const result = await work();
      await reach(() => session.script(`release savepoint ${name}`));
      return result;
    } catch (error) {
      throw await rollBackTo(session, name, error);
    }
  };

  return {
    transaction: {
      ...queryableOf(reach),
      savepoint,
      status: () => session.status(),
      cut: () => {
        ended = true;
        session.cut();
      },
    },
    end: () => {
      ended = true;
    },
  };
}

async function rollBackTo(session: Session, name: string, error: unknown): Promise<unknown> {
  try {
    await session.script(`rollback to savepoint ${name}; release savepoint ${name}`);
    return error;
  } catch (second) {
    return withSecondFailure(error, second);
  }
}

/** Ends the transaction and returns what its caller has to throw. */
async function abort(session: Session, error: unknown): Promise<unknown> {
  // With its session the transaction is gone already; asking again would only repeat the same failure.
  if (!session.isAlive()) return error;
  try {
    await session.script('rollback');
    return error;
  } catch (second) {
    return withSecondFailure(error, second);
  }
}

async function commit(session: Session, text: string): Promise<void> {
  let command: string;
  try {
    ({ command } = await session.run(text, []));
  } catch (error) {
    if (!session.isAlive()) throw commitUnknown(error);
    throw await abort(session, error);
  }
  // A transaction in which a statement failed answers COMMIT with ROLLBACK, without an error.
  if (command === 'ROLLBACK') {
    throw new StoreError(
      'database_error',
      { sqlstate: '25P02' },
      'Let the error of a failed statement leave the transaction, or run the statement in a savepoint.',
    );
  }
}

function commitUnknown(error: unknown): VarveError {
  return new VarveError('commit_unknown', {
    detail: isVarveError(error) ? { code: error.code } : {},
    hint: 'Look whether the change is there before repeating: `varve recover` settles an unfinished run.',
    cause: error,
  });
}

function endedHandle(): VarveError {
  return new VarveError('internal', {
    detail: { used: 'a transaction after its end' },
    hint: 'Await every statement inside the work of its transaction.',
  });
}

import type { SqlBegin, SqlParameter, SqlSession, SqlStore } from '../document/edge/index.ts';
import { isStoreError, sql, type Queryable, type Sql, type Store, type Transaction } from '../store/index.ts';

/** Called first in each transaction that writes. */
export type Fence = (transaction: Transaction) => Promise<void>;

/** A store as the documents' area takes it. */
export function sqlStoreOf(store: Store, fence?: Fence): SqlStore {
  return {
    location: store.location,
    transaction: (begin, work) =>
      store.transaction(beginOf(begin), async (transaction) => {
        if (begin.isReadOnly !== true) await fence?.(transaction);
        return work(sqlSessionOf(transaction));
      }),
    tryLock: (name) => store.tryLock(name),
    isBadValue: (error) => isStoreError(error) && error.fields.sqlstate.startsWith('22'),
  };
}

/** Milliseconds that a statement waits for a lock on the table, which somebody may be changing. */
const LOCK_TIMEOUT_MS = 2_000;

function beginOf({ isReadOnly = false }: SqlBegin): Parameters<Store['transaction']>[0] {
  return isReadOnly
    ? { isolation: 'repeatable read', readOnly: true }
    : { isolation: 'read committed', lockTimeoutMs: LOCK_TIMEOUT_MS };
}

/** What runs statements, as the documents' area takes it. */
export function sqlSessionOf(queryable: Queryable): SqlSession {
  return { query: (text, values = []) => queryable.query(statementOf(text, values)) };
}

/** A text with `$1 ...` and its values as a statement. */
function statementOf(text: string, values: readonly SqlParameter[]): Sql {
  const pieces = text.split(/\$(\d+)/u);
  return sql.join(
    pieces.map((piece, at) => (at % 2 === 0 ? sql.raw(piece) : sql`${values[Number(piece) - 1] ?? null}`)),
    sql.raw(''),
  );
}

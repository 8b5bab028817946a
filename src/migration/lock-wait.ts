/**
 * Who keeps a transaction waiting for a lock. The database's error names neither the table nor the holder, and when it
 * comes the wait is over; so a second session looks while the transaction is open.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { refusal, type Finding, type JsonObject } from '../base/index.ts';
import { sql, type Queryable, type Store, type Transaction } from '../store/index.ts';

/** A wait, as it was last seen. */
export interface LockWait {
  /** `schema.table`; of a lock on something else, the kind of thing. */
  readonly wanted: string;
  /** Such as `AccessExclusiveLock`. */
  readonly mode: string;
  readonly holders: readonly LockHolder[];
}

/** A session that is in the way; nothing of what it runs. */
export interface LockHolder extends JsonObject {
  /** 0: a prepared transaction, which no session has. */
  readonly pid: number;
  /** As the session calls itself. */
  readonly application: string | null;
  /** Of its transaction; null where this user may not see it. */
  readonly ageSeconds: number | null;
}

/** Looks on, until it is stopped. */
export interface LockWatch {
  /** Looks on at the session of this open transaction, whose statements have to be sent by what it returns. */
  readonly follow: (transaction: Transaction) => Promise<Transaction>;
  readonly stop: () => void;
  readonly seen: () => LockWait | undefined;
}

/** Milliseconds between two looks: several within one try. */
const LOOK_MS = 20;
/** Milliseconds that a statement may take before anybody looks: none in a transaction that gets its locks at once. */
const PATIENCE_MS = 20;

/** Begins watching; on a store of one session there is nobody to wait for, and nothing is done. */
export function watchLocks(store: Store): LockWatch {
  let isStopped = !store.capabilities.concurrentSessions;
  let seen: LockWait | undefined;
  let sentAtMs: number | undefined;
  const isSlow = (): boolean => sentAtMs !== undefined && performance.now() - sentAtMs >= PATIENCE_MS;
  const look = async (pid: number): Promise<void> => {
    for (;;) {
      await sleep(LOOK_MS);
      if (isStopped) return;
      if (isSlow()) seen = (await readWait(store, pid)) ?? seen;
    }
  };
  const timed = async <T>(work: () => Promise<T>): Promise<T> => {
    sentAtMs = performance.now();
    try {
      return await work();
    } finally {
      sentAtMs = undefined;
    }
  };
  return {
    follow: async (transaction) => {
      if (isStopped) return transaction;
      const [row] = await transaction.query<{ pid: number }>(sql`select pg_backend_pid() as pid`);
      // Not awaited: the pool may have no other session until the transaction ends. What cannot be seen is not told.
      look(row?.pid ?? 0).catch(() => undefined);
      return {
        ...transaction,
        query: (statement) => timed(() => transaction.query(statement)),
        execute: (statement) => timed(() => transaction.execute(statement)),
        script: (text) => timed(() => transaction.script(text)),
      };
    },
    stop: () => {
      isStopped = true;
    },
    seen: () => seen,
  };
}

/** The finding for a lock that was not to be had within the deadline. */
export function lockUnavailable(
  subject: string,
  wait: LockWait | undefined,
  tried: { readonly tries: number; readonly seconds: number },
): Finding {
  const holders = wait?.holders ?? [];
  const who = holders.map(
    ({ pid, application }) => `${String(pid)}${application === null ? '' : ` (${application})`}`,
  );
  const by = who.length === 0 ? 'whoever holds it' : `process ${who.join(', ')}`;
  return refusal('lock_unavailable', wait?.wanted ?? subject, {
    detail: {
      ...(wait === undefined ? {} : { mode: wait.mode }),
      holders,
      tries: tried.tries,
      seconds: tried.seconds,
    },
    hint: `Wait for ${by} to end its transaction, or apply again with a longer deadline (--deadline).`,
  });
}

interface WaitRow extends Record<string, unknown> {
  readonly wanted: string;
  readonly mode: string;
  readonly holders: readonly LockHolder[];
}

async function readWait(store: Queryable, pid: number): Promise<LockWait | undefined> {
  const [row] = await store.query<WaitRow>(
    sql.kept(sql`
    select coalesce(n.nspname || '.' || c.relname, l.locktype) as wanted, l.mode,
      (select coalesce(json_agg(json_build_object('pid', b.pid, 'application', nullif(a.application_name, ''),
          'ageSeconds', round(extract(epoch from clock_timestamp() - a.xact_start))) order by b.pid), '[]'::json)
        from (select distinct unnest(pg_blocking_pids(l.pid)) as pid) b
        left join pg_stat_activity a on a.pid = b.pid) as holders
    from pg_locks l left join pg_class c on c.oid = l.relation left join pg_namespace n on n.oid = c.relnamespace
    where l.pid = ${pid} and not l.granted limit 1`),
  );
  return row;
}

import type { Sql } from './sql.ts';

/**
 * What a relational store can do. Code asks for a flag, never for a database's name; each flag is a promise that the
 * conformance suite holds the driver to, and an absent flag is a refusal that it holds it to as well (M95, M143).
 */
export interface Capabilities {
  /** Several transactions at the same time. Where false, `transaction` queues, and work inside one must use only its handle. */
  readonly concurrentSessions: boolean;
  /** `SET LOCAL ROLE` limits what a statement can reach, because the session's user is not all-powerful or cannot be regained by a checked statement. */
  readonly restrictedRole: boolean;
  /** Other processes may have the same store open: locks and fences must be visible to them. */
  readonly sharedByProcesses: boolean;
  /** The server can end a statement from outside (`statement_timeout`, cancel). */
  readonly cancelStatement: boolean;
  /** The whole database can be copied as it stands, to be written to and thrown away: `copy` and `dropDeadCopies`. Where false, both are refused with `capability_missing`. */
  readonly disposableCopies: boolean;
  /**
   * A transaction can be prepared and decided later, and what it wrote read from the store's own log meanwhile: `prepareAs`,
   * `decidePrepared` and `readLog`. Where false, all three are refused with `capability_missing`. Whether a server is set up for it
   * only the server can tell.
   */
  readonly witness: boolean;
}

/** One result row by column name; each value is decoded by `decode.ts` alike on every driver. */
export type Row = Readonly<Record<string, unknown>>;

/** What can run statements. */
export interface Queryable {
  /**
   * Runs one statement and returns its rows.
   *
   * Values arrive the same from every driver: boolean, number (int2, int4, oid, float4, float8), bigint (int8), string
   * (text, numeric, uuid, dates and times as ISO 8601 text in UTC with six digits of microseconds, and every other
   * type's text), Uint8Array (bytea), parsed JSON (json, jsonb), arrays of these. An array of a user's own type is text.
   *
   * Errors: throws `StoreError`; never with the database's own message or DETAIL, which quote values.
   */
  readonly query: <R extends Row = Row>(statement: Sql) => Promise<readonly R[]>;
  /** Runs one statement and returns how many rows it touched. */
  readonly execute: (statement: Sql) => Promise<number>;
  /**
   * Runs a script of several statements without parameters, such as a file of `sql/`; gives the rows of all of them, one
   * statement's after the other's. A transaction that the script opens and does not end, for it failed, is rolled back.
   */
  readonly script: (text: string) => Promise<readonly Row[]>;
}

/** An open transaction. Its handle dies with it. */
export interface Transaction extends Queryable {
  /** Runs work that can fail alone: its effects are taken back when it throws, and the transaction goes on. */
  readonly savepoint: <T>(work: () => Promise<T>) => Promise<T>;
  /**
   * What the protocol said of the transaction after the last statement: a statement that ended it, whatever its text looked
   * like, leaves `idle`.
   */
  readonly status: () => TransactionStatus;
  /** Ends the session at once: nothing more is sent on it, and a transaction that is still open dies with it. */
  readonly cut: () => void;
}

/** `idle`: there is no transaction any more; `failed`: a statement of it failed, and only its abort is left. */
export type TransactionStatus = 'idle' | 'open' | 'failed';

/** How a transaction begins. */
export interface TransactionOptions {
  /** Default `read committed`. */
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable';
  readonly readOnly?: boolean;
  /** Milliseconds a statement may wait for a lock. Default 0: without end. */
  readonly lockTimeoutMs?: number;
  /** Milliseconds a statement may run. Default 0: without end. Refused with `capability_missing` without `cancelStatement`. */
  readonly statementTimeoutMs?: number;
  /**
   * Prepares instead of committing: what was done is kept under this name, also when the server dies, and nobody sees it before
   * `decidePrepared`. Its locks stay too. Refused with `capability_missing` without `witness`.
   */
  readonly prepareAs?: string;
}

/** What a transaction did to one table, by the log. */
export interface LogChange {
  /** `schema.table`, as the table was called then; null where the log cannot be read. */
  readonly table: string | null;
  readonly operation: 'insert' | 'update' | 'delete' | 'truncate' | 'unknown';
  readonly rows: number;
}

/** Reads the store's own log in a session of its own. */
export interface LogReader extends AsyncDisposable {
  /**
   * What a prepared transaction changed, by table and operation; values do not leave the store. Tables that are unlogged or
   * temporary have no log.
   *
   * Errors: throws `witness_missing`.
   */
  readonly changesOf: (prepared: string) => Promise<readonly LogChange[]>;
}

/** How a log is read. */
export interface LogReaderOptions {
  /** Lower-case letters, digits and `_`. */
  readonly name: string;
  /** Opening waits for the transactions that run, and no longer than this. */
  readonly deadlineMs: number;
}

/** A session-level lock by name; it ends with `[Symbol.asyncDispose]` or with its session, never by a timer. */
export interface StoreLock extends AsyncDisposable {
  readonly name: string;
  /** Aborted when its session ended before it was let go: someone else may have the lock by now. */
  readonly lost: AbortSignal;
}

/**
 * A relational store: PostgreSQL behind a server, or embedded.
 *
 * Every session speaks UTC, ISO dates, shortest round-trip floats, hex bytea and standard strings, so that a value's
 * text, and with it every digest made in the database, is the same everywhere.
 */
export interface Store extends Queryable, AsyncDisposable {
  readonly capabilities: Capabilities;
  /** Where it is, without credentials: for messages and receipts. */
  readonly location: string;
  /** Runs work in one transaction: committed when it returns, aborted when it throws. */
  readonly transaction: <T>(
    options: TransactionOptions,
    work: (transaction: Transaction) => Promise<T>,
  ) => Promise<T>;
  /** Tries once for a lock that other sessions of this store see; undefined when someone else has it. */
  readonly tryLock: (name: string) => Promise<StoreLock | undefined>;
  /**
   * A copy of the whole database as it stands, rows included. Nothing that is done to it reaches this store; disposing
   * it takes it away. Needs as much room again. Nothing else may use this store until the copy is there.
   *
   * Errors: throws `copy_blocked` where others are connected and copying is impossible beside them, `permission_denied`,
   * `database_full`.
   */
  readonly copy: () => Promise<Store>;
  /** Commits or aborts a prepared transaction; false where there is none of this name. */
  readonly decidePrepared: (name: string, decision: 'commit' | 'rollback') => Promise<boolean>;
  /**
   * Begins to read the log. Only what begins after that can be read.
   *
   * Errors: throws `witness_missing`, also where a transaction is prepared already and stays so.
   */
  readonly readLog: (options: LogReaderOptions) => Promise<LogReader>;
  /** Takes away the copies of this database whose processes were killed, and says how many; copies in use stay. */
  readonly dropDeadCopies: () => Promise<number>;
}

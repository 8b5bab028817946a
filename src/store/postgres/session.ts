import { compileSql, type Sql } from '../sql.ts';
import type { Queryable, Row, TransactionStatus } from '../store.ts';
import { decodeRows, type RawRow, type ResultColumn } from './decode.ts';
import { encodeValue } from './encode.ts';

/** What one statement gave back, undecoded. */
export interface RawResult {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly RawRow[];
  /** Rows returned or touched; 0 for a statement that counts none. */
  readonly rowCount: number;
  /** First word of the command tag, such as `SELECT` or `ROLLBACK`. */
  readonly command: string;
}

/** How a statement is run. */
export interface RunOptions {
  /** The session may keep its plan; see `sql.kept`. */
  readonly isKept: boolean;
}

/** One session of a database: what the two drivers have to bring. Its errors are `StoreError`s. */
export interface Session {
  /** One statement by the extended protocol, values as text. */
  readonly run: (
    text: string,
    values: readonly (string | null)[],
    options?: RunOptions,
  ) => Promise<RawResult>;
  /** Statements without parameters by the simple protocol. */
  readonly script: (text: string) => Promise<readonly RawResult[]>;
  /** As the protocol told it after the last statement. */
  readonly status: () => TransactionStatus;
  /** Notices that came until now. */
  readonly noticeCount: () => number;
  /** Ends it at once. */
  readonly cut: () => void;
  /** False once it is lost: whatever it is asked then fails, and its transaction is over. */
  readonly isAlive: () => boolean;
}

/**
 * Settings of every session; they stand in its startup, so `RESET` and `DISCARD ALL` lead back to them.
 *
 * `jit` is off because varve runs many small statements, where compiling costs more than it gives: PostgreSQL's cost
 * estimate alone starts it, and estimates of fresh tables are wild.
 */
export const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  TimeZone: 'UTC',
  DateStyle: 'ISO,YMD',
  IntervalStyle: 'iso_8601',
  extra_float_digits: '1',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  client_encoding: 'UTF8',
  jit: 'off',
};

/** The letter of the protocol's message `ReadyForQuery`. */
export function statusOf(letter: string | null): TransactionStatus {
  return letter === 'T' ? 'open' : letter === 'E' ? 'failed' : 'idle';
}

/** The three verbs of the port over a way to reach a session. */
export function queryableOf(reach: <T>(work: (session: Session) => Promise<T>) => Promise<T>): Queryable {
  return {
    query: async <R extends Row = Row>(statement: Sql) => {
      const { columns, rows } = await reach((session) => send(session, statement));
      // The caller names the shape of its own statement's rows; nothing here could check it.
      return decodeRows(columns, rows) as unknown as readonly R[];
    },
    execute: async (statement) => (await reach((session) => send(session, statement))).rowCount,
    script: async (text) => decodeAll(await reach((session) => session.script(text))),
  };
}

/** The same for a store, where each script stands alone: the transaction of one that failed must not outlive it. */
export function standalone(reach: <T>(work: (session: Session) => Promise<T>) => Promise<T>): Queryable {
  const script = async (session: Session, text: string): Promise<readonly RawResult[]> => {
    try {
      return await session.script(text);
    } catch (error) {
      if (session.isAlive()) await session.script('rollback');
      throw error;
    }
  };
  return {
    ...queryableOf(reach),
    script: async (text) => decodeAll(await reach((session) => script(session, text))),
  };
}

function decodeAll(results: readonly RawResult[]): readonly Row[] {
  return results.flatMap(({ columns, rows }) => decodeRows(columns, rows));
}

// Async, so that a value that cannot be encoded rejects instead of throwing past the caller's `catch`.
async function send(session: Session, statement: Sql): Promise<RawResult> {
  const { text, values } = compileSql(statement);
  return await session.run(text, values.map(encodeValue), { isKept: statement.isKept === true });
}

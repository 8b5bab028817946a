/** A database as this area sees it: text with numbered parameters. Who opens the database hands it in. */

/** What a parameter may be; an array becomes an array of text. */
export type SqlParameter = string | number | bigint | boolean | null | readonly (string | null)[];

/** Runs statements of one transaction. */
export interface SqlSession {
  readonly query: <R extends Readonly<Record<string, unknown>>>(
    text: string,
    values?: readonly SqlParameter[],
  ) => Promise<readonly R[]>;
}

/** How a transaction begins. */
export interface SqlBegin {
  /** One snapshot that writes nothing. */
  readonly isReadOnly?: boolean;
}

/** A PostgreSQL database. */
export interface SqlStore {
  /** Where it is, without credentials. */
  readonly location: string;
  /** Committed when the work returns, aborted when it throws. */
  readonly transaction: <T>(begin: SqlBegin, work: (session: SqlSession) => Promise<T>) => Promise<T>;
  /** Tries once for a lock that other sessions see and that ends with its session; undefined when someone has it. */
  readonly tryLock: (name: string) => Promise<AsyncDisposable | undefined>;
  /** Whether a statement failed because a value does not fit a type or a constraint of the column. */
  readonly isBadValue: (error: unknown) => boolean;
}

/** An identifier in double quotes. */
export function quoted(...names: readonly string[]): string {
  return names.map((name) => `"${name.replaceAll('"', '""')}"`).join('.');
}

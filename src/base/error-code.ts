/** What the outside makes of a code. */
export interface ErrorCodeEntry {
  /** Exit status of the CLI: 1 internal, 2 usage, 3 refused, 4 failed and rolled back, 5 indeterminate. */
  readonly exit: 1 | 2 | 3 | 4 | 5;
  readonly http: number;
  /** One clause without values; the message is this and the fields. */
  readonly summary: string;
  /** Whether the same call may succeed when repeated unchanged. */
  readonly retryable: boolean;
}

// code: [exit status, HTTP status, summary, 'retryable' where the same call may succeed later]; in alphabetical order.
const TABLE = {
  catalog_mismatch: [3, 409, "varve's own catalog in this database does not match this release"],
  config_invalid: [3, 422, 'the project configuration is not usable'],
  config_missing: [3, 404, 'no project found here'],
  constraint_violated: [3, 409, 'the database refused a row'],
  database_error: [1, 500, 'the database reported an error'],
  database_full: [4, 507, 'the database has no disk space left'],
  database_unreachable: [3, 503, 'the database cannot be reached', 'retryable'],
  definition_cycle: [3, 422, 'tables depend on each other in a circle'],
  definition_invalid: [3, 422, 'a definition is not usable'],
  internal: [1, 500, 'a fault in varve'],
  interrupted: [3, 499, 'stopped on request', 'retryable'],
  not_canonical: [1, 500, 'a value has no canonical JSON form'],
  permission_denied: [3, 403, 'the database user lacks a right'],
  source_unresolved: [3, 422, 'the source of a make was not found, so it is not checked'],
  sql_invalid: [3, 422, 'the database does not accept this SQL'],
  store_corrupt: [3, 500, 'the embedded database folder cannot be opened'],
  store_locked: [3, 423, 'the embedded database folder is in use', 'retryable'],
  transaction_conflict: [3, 409, 'concurrent work got in the way', 'retryable'],
  undeclared_client: [3, 422, 'a make opens a database of its own'],
  undeclared_clock: [3, 422, 'a make reads the clock'],
  undeclared_environment: [3, 422, 'a make depends on its environment'],
  undeclared_files: [3, 422, 'a make reads files past its context'],
  undeclared_network: [3, 422, 'a make uses the network'],
  undeclared_randomness: [3, 422, 'a make uses random numbers of its own'],
  undeclared_read: [3, 422, 'a make reads a table that it does not declare'],
  unknown_column: [3, 404, 'no such column'],
  unknown_table: [3, 404, 'no such table'],
  usage: [2, 400, 'the call is not understood'],
} as const;

/** A stable, snake_case name of a failure or finding. */
export type ErrorCode = keyof typeof TABLE;

/**
 * Every code of varve, of exceptions and findings alike: exit status, HTTP status, summary, retryability.
 * `docs/reference/errors.md` is generated from it; a test holds that each code is used and documented.
 */
export const ERROR_CODES: Readonly<Record<ErrorCode, ErrorCodeEntry>> = Object.fromEntries(
  Object.entries(TABLE).map(([code, [exit, http, summary, retryable]]) => [
    code,
    { exit, http, summary, retryable: retryable === 'retryable' },
  ]),
) as Record<ErrorCode, ErrorCodeEntry>;

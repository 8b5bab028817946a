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
  baseline_differs: [5, 409, 'the state after the way back is not the baseline'],
  bundle_changed: [3, 409, 'the files of a migration are not those that were planned or run'],
  bundle_invalid: [3, 422, 'a migration bundle is not usable'],
  bundle_missing: [3, 404, 'no such migration'],
  capability_missing: [3, 501, 'this store cannot do that'],
  catalog_mismatch: [3, 409, "varve's own catalog in this database does not match this release"],
  catalog_missing: [3, 409, "varve's own catalog is not in this database"],
  commit_unknown: [5, 503, 'whether the run was committed is not known'],
  concurrent_change: [3, 409, 'others changed the data meanwhile'],
  config_invalid: [3, 422, 'the project configuration is not usable'],
  config_missing: [3, 404, 'no project found here'],
  constraint_violated: [3, 409, 'the database refused a row'],
  counts_differ: [4, 409, 'a run touched other rows than planned'],
  database_error: [1, 500, 'the database reported an error'],
  database_full: [4, 507, 'the database has no disk space left'],
  database_unreachable: [3, 503, 'the database cannot be reached', 'retryable'],
  declaration_invalid: [3, 422, 'a migration declaration is not usable'],
  definer_function: [3, 403, "a function that anyone may call reads with its owner's rights"],
  definition_cycle: [3, 422, 'tables depend on each other in a circle'],
  definition_invalid: [3, 422, 'a definition is not usable'],
  definitions_moved: [3, 409, 'the definitions are not those that were planned'],
  dependents_in_the_way: [3, 409, 'something hangs on a table that is to be replaced'],
  evidence_changed: [3, 409, 'a file of the evidence is not what was written'],
  evidence_missing: [3, 404, 'a file of the evidence is not there'],
  evidence_not_written: [5, 507, 'the evidence of a run could not be written'],
  evidence_unwritable: [3, 507, 'the folder of the evidence cannot be written'],
  file_outside: [3, 403, 'a make asked for a file outside the project folder'],
  file_unreadable: [3, 404, 'a file cannot be read'],
  files_exist: [3, 409, 'files are there already'],
  input_missing: [3, 409, 'a row that a declared read needs is not there'],
  input_unsettled: [3, 409, 'inputs keep changing while a key is computed', 'retryable'],
  internal: [1, 500, 'a fault in varve'],
  interrupted: [3, 499, 'stopped on request', 'retryable'],
  kept_rows_changed: [4, 500, 'rows that are kept are not as they were'],
  kind_unavailable: [3, 501, 'this kind of migration cannot be run here'],
  ledger_broken: [3, 409, 'the ledger does not hold together'],
  ledger_fork: [3, 409, 'ledger file and database tell different histories'],
  limit_exceeded: [3, 422, 'a declared limit is exceeded'],
  make_changed: [4, 409, 'a make gives other values than those that would be kept'],
  make_failed: [3, 422, 'a make threw an error'],
  make_returned_another_key: [3, 422, 'a make returned rows of another key'],
  make_returned_bad_text: [3, 422, 'a make returned text that cannot be stored: a lone surrogate or a NUL'],
  make_returned_nan: [3, 422, 'a make returned a number that is not finite'],
  make_returned_nothing: [3, 422, 'a make returned no row'],
  make_returned_null: [3, 422, 'a make left out a column that must have a value'],
  make_returned_wrong_type: [3, 422, 'a make returned a value that its column cannot hold'],
  make_timed_out: [3, 504, 'a make took longer than it may'],
  not_applied: [3, 409, 'there is no applied run to take back'],
  not_canonical: [1, 500, 'a value has no canonical JSON form'],
  not_deployed: [3, 409, 'this table is not in the database as defined'],
  not_manual: [3, 409, 'people do not fill this table'],
  object_damaged: [3, 409, 'an object is not what its reference says'],
  object_missing: [3, 404, 'an object that is named is not there'],
  objects_denied: [3, 403, 'the object store lets this user not in'],
  objects_full: [3, 507, 'the object store has no space left'],
  objects_shared: [3, 409, 'these objects belong to another database'],
  objects_unavailable: [3, 501, 'there is no store for objects'],
  objects_unreachable: [3, 503, 'the object store cannot be reached', 'retryable'],
  operation_unavailable: [3, 501, 'no operation carries out this change of a definition'],
  part_without_master: [3, 409, 'rows of a part would go and their master stay'],
  permission_denied: [3, 403, 'the database user lacks a right'],
  plan_changed: [3, 409, 'the plan no longer fits'],
  plan_missing: [3, 404, 'this migration has no plan'],
  readable_by_public: [3, 403, 'anyone may read this relation'],
  receipt_invalid: [3, 422, 'a receipt does not hold'],
  relation_retired: [3, 409, 'the structure of a table was replaced'],
  role_unavailable: [3, 403, 'there is no role to limit what a make reads'],
  rollback_blocked: [3, 409, 'a later migration stands on this one'],
  row_in_use: [3, 409, 'rows below refer to a row that would go'],
  row_missing: [3, 404, 'no such row'],
  rows_ambiguous: [3, 409, 'what becomes of some rows is not decided'],
  run_fenced: [4, 409, 'the run was settled by another process'],
  run_in_progress: [3, 423, 'another migration is running on this store', 'retryable'],
  run_unfinished: [3, 409, 'an earlier run is unfinished'],
  scope_violation: [3, 422, 'an object outside the declared scope is touched'],
  source_unresolved: [3, 422, 'the source of a make was not found, so it is not checked'],
  sql_invalid: [3, 422, 'the database does not accept this SQL'],
  statement_cancelled: [4, 504, 'the database stopped a statement', 'retryable'],
  statement_refused: [3, 422, 'a make ran a statement that does more than read'],
  step_failed: [4, 500, 'a step of a migration failed'],
  store_corrupt: [3, 500, 'the embedded database folder cannot be opened'],
  store_locked: [3, 423, 'the embedded database folder is in use', 'retryable'],
  structure_missing: [3, 404, 'the old structure is no longer there'],
  table_exists: [3, 409, 'a table of this name is there already'],
  transaction_conflict: [3, 409, 'concurrent work got in the way', 'retryable'],
  undeclared_client: [3, 422, 'a make opens a database of its own'],
  undeclared_clock: [3, 422, 'a make reads the clock'],
  undeclared_environment: [3, 422, 'a make depends on its environment'],
  undeclared_files: [3, 422, 'a make reads files past its context'],
  undeclared_network: [3, 422, 'a make uses the network'],
  undeclared_randomness: [3, 422, 'a make uses random numbers of its own'],
  undeclared_read: [3, 422, 'a make read what it does not declare'],
  unknown_column: [3, 404, 'no such column'],
  unknown_run: [3, 404, 'no such run, or no time'],
  unknown_table: [3, 404, 'no such table'],
  unrelated_table: [3, 422, 'no edge leads to this table'],
  usage: [2, 400, 'the call is not understood'],
  value_invalid: [3, 422, 'a value that its column cannot hold'],
  verify_differs: [3, 409, 'populating from nothing gives other rows'],
  where_invalid: [3, 422, 'this is not a condition on the table'],
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

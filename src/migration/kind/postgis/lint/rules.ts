import type { LintRule } from './lint-rule.ts';
import { charType } from './rule/char-type.ts';
import { checkValidated } from './rule/check-validated.ts';
import { columnAddedWithRewrite } from './rule/column-added-with-rewrite.ts';
import { columnDropped } from './rule/column-dropped.ts';
import { columnRenamed } from './rule/column-renamed.ts';
import { columnRequired } from './rule/column-required.ts';
import { columnTypeChanged } from './rule/column-type-changed.ts';
import { concurrentInTransaction } from './rule/concurrent-in-transaction.ts';
import { databaseDropped } from './rule/database-dropped.ts';
import { detachNotConcurrent } from './rule/detach-not-concurrent.ts';
import { domainConstrained } from './rule/domain-constrained.ts';
import { domainConstraintAdded } from './rule/domain-constraint-added.ts';
import { dropCascades } from './rule/drop-cascades.ts';
import { duplicateColumn } from './rule/duplicate-column.ts';
import { enumValueAtEnd } from './rule/enum-value-at-end.ts';
import { enumValueUsed } from './rule/enum-value-used.ts';
import { exclusionBuilt } from './rule/exclusion-built.ts';
import { foreignKeyValidated } from './rule/foreign-key-validated.ts';
import { identifierTooLong } from './rule/identifier-too-long.ts';
import { indexDropNotConcurrent } from './rule/index-drop-not-concurrent.ts';
import { indexMayBeInvalid } from './rule/index-may-be-invalid.ts';
import { indexNotConcurrent } from './rule/index-not-concurrent.ts';
import { keyTooSmall } from './rule/key-too-small.ts';
import { lockHeld } from './rule/lock-held.ts';
import { lockTimeoutMissing } from './rule/lock-timeout-missing.ts';
import { newerServer } from './rule/newer-server.ts';
import { notNullDropped } from './rule/not-null-dropped.ts';
import { notNullScanned } from './rule/not-null-scanned.ts';
import { notRepeatable } from './rule/not-repeatable.ts';
import { partitionScanned } from './rule/partition-scanned.ts';
import { primaryKeyBuilt } from './rule/primary-key-built.ts';
import { psqlCommand } from './rule/psql-command.ts';
import { refreshNotConcurrent } from './rule/refresh-not-concurrent.ts';
import { reindexNotConcurrent } from './rule/reindex-not-concurrent.ts';
import { rowsWithoutWhere } from './rule/rows-without-where.ts';
import { schemaDropped } from './rule/schema-dropped.ts';
import { schemaMissing } from './rule/schema-missing.ts';
import { serialType } from './rule/serial-type.ts';
import { statementTimeoutMissing } from './rule/statement-timeout-missing.ts';
import { tableDropped } from './rule/table-dropped.ts';
import { tableRenamed } from './rule/table-renamed.ts';
import { tableRepacked } from './rule/table-repacked.ts';
import { tableRewritten } from './rule/table-rewritten.ts';
import { tableTruncated } from './rule/table-truncated.ts';
import { timestampWithoutZone } from './rule/timestamp-without-zone.ts';
import { transactionControl } from './rule/transaction-control.ts';
import { transactionOpen } from './rule/transaction-open.ts';
import { truncateCascades } from './rule/truncate-cascades.ts';
import { uniqueBuilt } from './rule/unique-built.ts';
import { validatedInSameTransaction } from './rule/validated-in-same-transaction.ts';
import { varcharLength } from './rule/varchar-length.ts';
import { viewDropped } from './rule/view-dropped.ts';

/** The rules, in the order of the reference page: what rewrites, what validates, what could be concurrent, locks, what is lost, scripts, types. */
export const LINT_RULES: readonly LintRule[] = [
  columnAddedWithRewrite,
  columnRequired,
  columnTypeChanged,
  tableRewritten,
  tableRepacked,
  checkValidated,
  foreignKeyValidated,
  notNullScanned,
  validatedInSameTransaction,
  primaryKeyBuilt,
  uniqueBuilt,
  exclusionBuilt,
  domainConstraintAdded,
  domainConstrained,
  indexNotConcurrent,
  indexDropNotConcurrent,
  indexMayBeInvalid,
  reindexNotConcurrent,
  detachNotConcurrent,
  partitionScanned,
  refreshNotConcurrent,
  concurrentInTransaction,
  lockTimeoutMissing,
  statementTimeoutMissing,
  lockHeld,
  rowsWithoutWhere,
  tableRenamed,
  columnRenamed,
  tableDropped,
  viewDropped,
  columnDropped,
  schemaDropped,
  databaseDropped,
  dropCascades,
  tableTruncated,
  truncateCascades,
  notNullDropped,
  transactionControl,
  transactionOpen,
  notRepeatable,
  enumValueAtEnd,
  enumValueUsed,
  newerServer,
  charType,
  varcharLength,
  timestampWithoutZone,
  serialType,
  keyTooSmall,
  duplicateColumn,
  identifierTooLong,
  schemaMissing,
  psqlCommand,
];

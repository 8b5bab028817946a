export { adopted, isMakeUnknown, makeUnknown, type AdoptedMake } from './adopted-make.ts';
export { checkRecordedReads } from './check/recorded-reads.ts';
export { CHECK_RULES, type CheckRule } from './check/rule.ts';
export { checkSource, type CheckSourceOptions } from './check/check-source.ts';
export { digestCode, type CodeDigestOptions, type CodeIdentity } from './code-digest.ts';
export { t, type Column, type ColumnBuilder, type Columns, type RowOf, type ValueKind } from './column.ts';
export {
  command,
  commandOf,
  type CommandMake,
  type CommandMode,
  type CommandOptions,
} from './command/command.ts';
export { createIndexes, createTable, columnDdl, names, referencesDdl } from './ddl.ts';
export {
  compareText,
  definitionsOf,
  digestOfSet,
  sortTables,
  type Definitions,
  type DefinitionSet,
  type DefinitionsResult,
} from './definition-set.ts';
export { createTables } from './deploy.ts';
export {
  ensureCode,
  insertComputationSpec,
  type ComputationSpec,
  type EnforcementLevel,
} from './computation-spec.ts';
export {
  clearJobs,
  listJobs,
  orderJobs,
  retryJobs,
  type Job,
  type JobFilter,
  type JobOrder,
  type JobScope,
} from './job.ts';
export { jobCounts, keysInHand, type JobCounts, type KeysInHand } from './job-counts.ts';
export type { RetryPolicy } from './retry-policy.ts';
export { MIN_LEASE_SECONDS } from './share/reservation.ts';
export {
  keySource,
  readsText,
  staleKeys,
  type Key,
  type KeyRestriction,
  type StaleKey,
  type StaleReason,
} from './key-source.ts';
export type { Hints, TableHint } from './hint.ts';
export type { ContextFiles, ListedFile, MakeContext } from './make-context.ts';
export {
  collectGarbage,
  listObjects,
  planGarbage,
  type ClassifiedObject,
  type CollectGarbageResult,
  type GarbageOptions,
  type GarbagePlan,
  type GarbagePlanResult,
  type ObjectState,
  type ObjectTally,
} from './object/collect.ts';
export { adoptObjects, objectSpace } from './object/space.ts';
export {
  verifyObjects,
  type VerifyObjectsOptions,
  type VerifyObjectsResult,
} from './object/verify-objects.ts';
export { part, pipeline, type Pipeline } from './pipeline.ts';
export { populate } from './populate.ts';
export { COUNTED_KEYS } from './populate/options.ts';
export type {
  PopulatedTable,
  PopulateOptions,
  PopulateProgress,
  PopulateResult,
} from './populate/options.ts';
export type { MigrationsConfig } from './migrations-config.ts';
export { defineConfig, type ObjectsConfig, type ProjectConfig, type StoreConfig } from './project.ts';
export {
  digestOfValues,
  keyHash,
  NOTHING,
  readPlan,
  rowDigest,
  rowsDigest,
  type ReadPlan,
} from './read-plan.ts';
export {
  defaultPlacement,
  deployedSet,
  insertRelation,
  loadGenerations,
  loadKnownRelations,
  loadRelations,
  mismatches,
  recordDeployment,
  relationOf,
  tableId,
  type LetGo,
  type Placement,
  type Relation,
  type Relations,
} from './relation.ts';
export { loadFormerKeyNames, type FormerKeyNames } from './key-names.ts';
export {
  hadName,
  loadNamePeriods,
  loadRecordingTimes,
  namesOf,
  presentName,
  type NamePeriod,
} from './table-names.ts';
export { inThreadRunner } from './run-make/in-thread-runner.ts';
export { isolatedRunner, type IsolatedRunner } from './run-make/isolated-runner.ts';
export type { NetworkWall } from './run-make/network-wall.ts';
export { openMakeRunner } from './run-make/open-make-runner.ts';
export { workerRunner, type HostRunnerOptions } from './run-make/worker-runner.ts';
export type { FileAccess, MakeInput, MakeResult, MakeRunner, RunCall } from './run-make/make-runner.ts';
export type { MadeRows, MadeValues, MakeFailure, MakeOutcome } from './run-make/make-outcome.ts';
export { readExactRow } from './exact-json.ts';
export { sameJson } from './same-json.ts';
export {
  dependenciesOf,
  splitName,
  type ColumnSpec,
  type ForeignKeySpec,
  type MakeForm,
  type Origin,
  type ReadSpec,
  type Strictness,
  type TableSpec,
  type Tier,
} from './spec.ts';
export type { AnyTable, Reference, Table } from './table.ts';
export { unknownTable } from './unknown-table.ts';
export { archive, outputOf } from './write-rows.ts';
export { READ_SCHEMA_PREFIX } from './strict/read-view.ts';
export {
  contentsDifference,
  syncContents,
  type ContentsDifference,
  type SyncContentsResult,
} from './contents.ts';
export {
  deleteRows,
  planDelete,
  type DeletePlan,
  type DeleteRowsOptions,
  type DeleteRowsResult,
  type PlanDeleteOptions,
  type PlanDeleteResult,
} from './delete-rows.ts';
export {
  codeAsOf,
  graphAsOf,
  type CodeOptions,
  type CodeResult,
  type PastGraph,
  type PastGraphResult,
  type TableCode,
} from './past-graph.ts';
export { walkAsOf, type PastWalk, type PastWalkOutcome } from './past-rows.ts';
export { graphOf, type GraphOptions } from './graph.ts';
export { history, readHistory, type HistoryOptions, type HistoryResult } from './history.ts';
export { formatOfName, placeOf, readRows, type RowFormat } from './input/read-rows.ts';
export type { InsertMode } from './ingest.ts';
export {
  insertNumberedRows,
  insertRows,
  type InsertRowsOptions,
  type InsertRowsResult,
  type NumberedRow,
} from './insert-rows.ts';
export { restoreRows, type RestoreRowsOptions, type RestoreRowsResult } from './restore-rows.ts';
export { stale, type MovedPackage, type StaleResult, type StaleTable, type WhyStale } from './stale.ts';
export { rememberVersions, type LetGoUnits, type RowVersion } from './versions.ts';
export type { Brought, IngestionOrigin } from './ingestion.ts';
export type { ComputationOrigin, InputOrigin, RecordedOrigin, RowOrigin, RunOrigin } from './origin.ts';
export { why, type WhyOptions, type WhyResult } from './why.ts';

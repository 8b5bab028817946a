export { checkRecordedReads } from './check/recorded-reads.ts';
export { checkSource, type CheckSourceOptions } from './check/check-source.ts';
export { digestCode, type CodeDigestOptions, type CodeIdentity } from './code-digest.ts';
export { t, type Column, type ColumnBuilder, type Columns, type RowOf } from './column.ts';
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
export { clearJobs, ignoreJobs, listJobs, retryJobs, type Job, type JobFilter } from './job.ts';
export {
  keySource,
  readsText,
  staleKeys,
  type Key,
  type KeyRestriction,
  type StaleKey,
  type StaleReason,
} from './key-source.ts';
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
export {
  populate,
  type PopulatedTable,
  type PopulateOptions,
  type PopulateProgress,
  type PopulateResult,
} from './populate.ts';
export { defineConfig, type ObjectsConfig, type ProjectConfig, type StoreConfig } from './project.ts';
export { keyHash, readPlan, rowDigest, rowsDigest, type ReadPlan } from './read-plan.ts';
export {
  defaultPlacement,
  deployedSet,
  insertRelation,
  loadKnownRelations,
  loadRelations,
  mismatches,
  recordDeployment,
  relationOf,
  tableId,
  type Placement,
  type Relation,
  type Relations,
} from './relation.ts';
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
export { graphOf, type GraphOptions } from './graph.ts';
export { history, type HistoryOptions, type HistoryResult } from './history.ts';
export { insertRows, type InsertRowsOptions, type InsertRowsResult } from './insert-rows.ts';
export { stale, type MovedPackage, type StaleResult, type StaleTable, type WhyStale } from './stale.ts';
export type { RowVersion } from './versions.ts';
export {
  why,
  type ComputationOrigin,
  type IngestionOrigin,
  type InputOrigin,
  type RecordedOrigin,
  type RowOrigin,
  type RunOrigin,
  type WhyOptions,
  type WhyResult,
} from './why.ts';

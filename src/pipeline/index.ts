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
export { insertComputationSpec, type ComputationSpec, type EnforcementLevel } from './computation-spec.ts';
export { clearJobs, ignoreJobs, listJobs, retryJobs, type Job } from './job.ts';
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
export { part, pipeline, type Pipeline } from './pipeline.ts';
export { populate, type PopulatedTable, type PopulateOptions, type PopulateProgress, type PopulateResult } from './populate.ts';
export { defineConfig, type ProjectConfig, type StoreConfig } from './project.ts';
export { keyHash, readPlan, rowDigest, rowsDigest, type ReadPlan } from './read-plan.ts';
export {
  defaultPlacement,
  deployedSet,
  insertRelation,
  loadRelations,
  mismatches,
  recordDeployment,
  relationOf,
  tableId,
  type Placement,
  type Relation,
  type Relations,
} from './relation.ts';
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
export { outputOf } from './write-rows.ts';

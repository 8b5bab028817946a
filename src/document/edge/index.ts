export type { MigrateFileOptions, WorkerOptions } from './file-run.ts';
export { migrateFile, type MigrateFileResult } from './migrate-file.ts';
export { readCorpus } from './read-corpus.ts';
export {
  migrateTable,
  postgresTable,
  readTable,
  readTableLazily,
  sqliteTable,
  tableWork,
  type BuiltCounts,
  type ColumnPlace,
  type DocumentTable,
  type GovernedTable,
  type MigrateTableOptions,
  type MigrateTableResult,
  type SqlBegin,
  type SqlitePlace,
  type SqliteTable,
  type SqlParameter,
  type SqlSession,
  type SqlStore,
  type StoredDocument,
  type TableLimits,
  type TableWork,
  type WorkState,
} from './table/index.ts';

export { contentDigest, type ContentDigest } from './file-digest.ts';
export type { MigrateFileOptions, WorkerOptions } from './file-run.ts';
export { fileWork, type FilePlace, type FileWork } from './file-work.ts';
export { migrateFile, type MigrateFileResult } from './migrate-file.ts';
export { readCorpus } from './read-corpus.ts';
export {
  migrateTable,
  copySqlite,
  postgresTable,
  readTable,
  readTableLazily,
  sqliteTable,
  tableWork,
  type ColumnPlace,
  type DocumentTable,
  type GovernedTable,
  type MigrateTableOptions,
  type MigrateTableResult,
  type PostgresTable,
  type SqlBegin,
  type SqlitePlace,
  type SqliteTable,
  type SqlParameter,
  type SqlSession,
  type SqlStore,
  type StateSum,
  type StoredDocument,
  type TableLimits,
  type TableWork,
  type WorkState,
} from './table/index.ts';

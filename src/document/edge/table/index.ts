export type { DocumentTable, GovernedTable, StoredDocument, WorkState } from './document-table.ts';
export { readTableLazily } from './lazy-table.ts';
export {
  migrateTable,
  type MigrateTableOptions,
  type MigrateTableResult,
  type TableLimits,
} from './migrate-table.ts';
export type { ColumnPlace } from './postgres-part.ts';
export { postgresTable, type PostgresTable } from './postgres-table.ts';
export { readTable } from './read-table.ts';
export type { SqlBegin, SqlParameter, SqlSession, SqlStore } from './sql-session.ts';
export { copySqlite } from './sqlite-connection.ts';
export type { StateSum } from './sqlite-history.ts';
export { sqliteTable, type SqlitePlace, type SqliteTable } from './sqlite-table.ts';
export { tableWork, type TableWork } from './table-work.ts';

export { postgresDatabase, uniqueName, type PostgresDatabase } from './postgres-database.ts';
export {
  freePort,
  startPostgres,
  type PostgresServer,
  type PostgresServerOptions,
  type PostgresVersion,
} from './postgres-server.ts';
export {
  withEmbedded,
  withPostgres,
  withStores,
  type StoreName,
  type StoreUnderTest,
} from './with-stores.ts';

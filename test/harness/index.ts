export { postgresDatabase, uniqueName, type PostgresDatabase } from './postgres-database.ts';
export { freePort, startPostgres } from './postgres-server.ts';
export { withEmbedded, withPostgres, withStores, type StoreUnderTest } from './with-stores.ts';

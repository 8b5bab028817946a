export { whyNoPostgis } from './postgis-server.ts';
export { postgresDatabase, uniqueName, type PostgresDatabase } from './postgres-database.ts';
export { freePort, startPostgres } from './postgres-server.ts';
export { withEmbedded, withPostgis, withPostgres, withStores, type StoreUnderTest } from './with-stores.ts';

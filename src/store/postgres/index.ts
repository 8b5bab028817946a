export { embeddedStore, type EmbeddedOptions } from './embedded.ts';
export { postgresStore, type PostgresOptions } from './server.ts';

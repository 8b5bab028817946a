export { embeddedStore, type EmbeddedOptions } from './embedded.ts';
export { postgresStore, type PostgresOptions } from './server.ts';
export {
  installCatalog,
  pendingCatalogFiles,
  readCatalogFiles,
  type CatalogFile,
  type CatalogInstallation,
} from './catalog.ts';

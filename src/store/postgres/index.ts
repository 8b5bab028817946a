export { embeddedStore, type EmbeddedOptions } from './embedded.ts';
export { postgresLogin, type PostgresLogin } from './login.ts';
export { postgresStore, type PostgresOptions } from './server.ts';
export {
  installCatalog,
  pendingCatalogFiles,
  readCatalogFiles,
  type CatalogFile,
  type CatalogInstallation,
} from './catalog.ts';

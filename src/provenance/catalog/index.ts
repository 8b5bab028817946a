export {
  CATALOG_ALGORITHM,
  fingerprint,
  type Fingerprint,
  type FingerprintOptions,
  type SchemaFingerprint,
} from './fingerprint.ts';
export { listObjects, type CatalogObject } from './listing.ts';
export type { CatalogScope } from './statement.ts';
export { surveyCatalog, type Survey, type SurveyOptions } from './survey.ts';

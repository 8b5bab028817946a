export { catalogDelta, readCatalogKeys, type CatalogKeys, type CatalogWrite } from './delta.ts';
export { measureBaseline, type BaselineOutcome, type BaselineSubject } from './measure.ts';

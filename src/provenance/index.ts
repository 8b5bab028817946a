export { cascade, type CascadeOptions, type PartPolicy } from './cascade.ts';
export { catalogGraph, type CatalogGraphOptions } from './catalog-graph.ts';
export { componentsOf } from './component.ts';
export { conditionFault, readCondition } from './condition.ts';
export {
  createGraph,
  findTable,
  tableName,
  unquotedName,
  withEdges,
  type EdgeKind,
  type GraphEdge,
  type GraphTable,
  type TableGraph,
  type Tier,
} from './graph.ts';
export { restrict, type Restriction } from './restrict.ts';
export type { Start, Via, WalkedTable, WalkOptions, WalkOutcome } from './row-set.ts';
export { trace, type TraceOptions } from './trace.ts';
export {
  CATALOG_ALGORITHM,
  fingerprint,
  listObjects,
  surveyCatalog,
  type CatalogObject,
  type CatalogScope,
  type Fingerprint,
  type FingerprintOptions,
  type SchemaFingerprint,
  type Survey,
  type SurveyOptions,
} from './catalog/index.ts';

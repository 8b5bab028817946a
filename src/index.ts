/**
 * What most programs need, from one place. Each area has its own entry (`varve/base`, `varve/store`, ...) with all it
 * offers; this one is picked by hand and grows with care.
 */
export { ERROR_CODES, isVarveError, VarveError } from './base/index.ts';
export type { ErrorCode, ErrorCodeEntry, Finding, Severity } from './base/index.ts';
export { sql } from './store/index.ts';
export type { Queryable, Row, Sql, Store, Transaction } from './store/index.ts';
export { defineConfig, part, pipeline, t } from './pipeline/index.ts';
export type { Pipeline, ProjectConfig, Table } from './pipeline/index.ts';

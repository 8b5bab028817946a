export type { MatrixRow, SchemaDifference } from './compat/change.ts';
export type {
  CompatDirection,
  CompatMode,
  CompatOptions,
  CompatReport,
  CompatVerdict,
} from './compat/compat.ts';
export type { Witness } from './compat/witness.ts';
export type { Corpus, CorpusDocument, CoverageOptions, CoverageResult } from './coverage.ts';
export type { CoverageFailure, CoverageReport, Thresholds } from './coverage-report.ts';
export type { Assumed } from './assumed.ts';
export {
  compareSchemas,
  defineDocument,
  type DocumentOptions,
  type DocumentType,
  type VersionNote,
} from './define.ts';
export type { DocumentStore, LazyOptions, LazyRead } from './lazy.ts';
export { lockFindings, lockOf, type DocumentLock } from './lock.ts';
export type { CallOptions } from './migrate.ts';
export type { Alias, EquivalentPaths, Model, Plan, Policy } from './model.ts';
export type { Loss } from './op/loss.ts';
export { op } from './op/op.ts';
export type { Branch, Conversion, JsonType, OnExisting, Op, ScalarType, Test } from './op/op.ts';
export type { Migrated, Outcome } from './outcome.ts';
export type { PathOptions, PathRef } from './path.ts';
export type { Pointer } from './pointer.ts';
export type { HistoryEntry, Provenance } from './provenance.ts';
export type { Residue, ResidueRow } from './residue-row.ts';
export type { Refused, Result } from './result.ts';
export { isJsonSchema } from './schema.ts';
export type { JsonSchema, Output, Schema, Snapshot, StandardSchemaV1 } from './schema.ts';
export { code, step } from './step.ts';
export type { CodeStep, DeclaredStep, Step, StepContext, StepFunction, StepRef } from './step.ts';
export type { Detector, Version, VersionOrder, VersionRule } from './version.ts';
export type { TextOptions } from './text.ts';

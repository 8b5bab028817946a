export {
  explainEvolution,
  type AppliedRow,
  type ExplainedInput,
  type ExplainedRow,
  type ExplainOutcome,
  type ExplainQuestion,
  type ListedRow,
  type RecordedInput,
} from './explain.ts';
export type { Cost, TableCost } from './cost.ts';
export type { AmbiguousRow, FunctionRule, RowAnswer, RowRule } from './rule/decide.ts';
export { attestationsIn, type Attestation } from './attestation.ts';
export { adoptDefinitions, type AdoptedTable, type AdoptOptions, type AdoptResult } from './adopt/adopt.ts';
export {
  observeAdopted,
  type ObservedTable,
  type ObserveOptions,
  type ObserveResult,
} from './adopt/observe.ts';
export { findOperations } from './find-operations.ts';
export { pipelineKind } from './kind.ts';
export { supersededStructures, type SupersededStructure } from './let-go.ts';
export type { Attribution } from './attribution.ts';
export type { EvolutionWorld, Operation } from './operation/operation.ts';
export { planEvolution, type EvolutionPlan, type PlanChoices } from './plan-evolution.ts';
export { verifyFull, type VerifiedTable, type VerifyResult } from './verify.ts';
export {
  DEFAULT_SAMPLE,
  verifySample,
  type SampledCode,
  type SampledTable,
  type SampleOptions,
  type SampleResult,
} from './verify-sample.ts';
export type { VerifyOptions } from './verify-scope.ts';

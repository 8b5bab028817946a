export { adoptDefinitions, type AdoptedTable, type AdoptOptions, type AdoptResult } from './adopt/adopt.ts';
export {
  observeAdopted,
  type ObservedTable,
  type ObserveOptions,
  type ObserveResult,
} from './adopt/observe.ts';
export { findOperations } from './find-operations.ts';
export { pipelineKind } from './kind.ts';
export type { Attribution } from './attribution.ts';
export type { EvolutionWorld, Operation } from './operation/operation.ts';
export { planEvolution, type EvolutionPlan } from './plan-evolution.ts';
export { verifyFull, type VerifiedTable, type VerifyOptions, type VerifyResult } from './verify.ts';

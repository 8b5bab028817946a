export type { AuthoredFile, Bundle } from './bundle.ts';
export type { Declaration, Scope } from './declaration.ts';
export { FAULT_POINTS, type FaultHook, type FaultPoint } from './fault-point.ts';
export type {
  BaselineContext,
  BesideStep,
  CommittedRun,
  DecideStep,
  Direction,
  Enforcement,
  KindName,
  KindPlan,
  MigrationKind,
  NewWrites,
  Observation,
  PlanContext,
  RunContext,
  Step,
  StepProgress,
  StepResult,
} from './kind.ts';

export { freeMigrationId, listBundles, readBundle, writeBundle } from './bundle.ts';
export type { AuthoredFile, Bundle, BundleDraft, BundleReading } from './bundle.ts';
export { checkBundles, findingInProject, type BundleCheck, type CheckedBundle } from './check-bundles.ts';
export { ANY_APPROVER } from './declaration.ts';
export type { ChangeClass, Declaration, Invariant, Phase, Scope } from './declaration.ts';
export { readGitCommit, readParamsDigest, type Login, type RunnerOptions } from './environment.ts';
export { FAULT_POINTS, type FaultHook, type FaultPoint } from './fault-point.ts';
export {
  GATES,
  isBlocked,
  runGates,
  type GatedBundle,
  type GateName,
  type GateReport,
  type GateResult,
} from './gate/gate.ts';
export { folderReader } from './file-reader.ts';
export { approveMigration, type ApproveOptions, type ApproveOutcome } from './approve.ts';
export {
  adoptedFindings,
  adoptedMigrations,
  adoptHistory,
  findAdoptions,
  readAdopted,
  type AdoptedMigration,
  type Adoption,
  type AdoptHistoryOptions,
  type AdoptHistoryResult,
  type ImportedItem,
  type ImportTool,
} from './import/index.ts';
export { createKeyPair, readPublicKey, readSigner, readSignerReference, type KeyPair } from './ed25519.ts';
export { KEY_REGISTER, readKeyRegister, registerKey, type NewKey } from './key-register.ts';
export { hasSql, lintBundle } from './lint-bundle.ts';
export {
  LINT_RULES,
  lintMigration,
  type LintOptions,
  type LintRule,
  type LintScript,
} from './kind/postgis/lint/index.ts';
export { planRetire, retireMigration } from './retire.ts';
export type {
  AfterStep,
  BaselineContext,
  BesideStep,
  CommittedRun,
  DecideStep,
  Direction,
  Enforcement,
  Measure,
  Touched,
  KindPlan,
  MigrationKind,
  NewWrites,
  Observation,
  PlanContext,
  RetireVerbs,
  RunContext,
  Step,
  StepProgress,
  StepResult,
} from './kind.ts';
export { NOTHING_ENFORCED } from './kind.ts';
export { exactMeasures, measuresOfCounts } from './judge.ts';
export type { KindName } from './migration-id.ts';
export { parseMigrationId, type MigrationId } from './migration-id.ts';
export { applyMigration, rollbackMigration, type RunOutcome } from './lifecycle.ts';
export { makePlan, type PlanBound, type PlanFile, type PlanResult } from './plan-file.ts';
export { newBundle, type NewBundleOptions } from './new-bundle.ts';
export { newPolicy } from './policy/index.ts';
export { planMigration, type PlanOutcome } from './plan-migration.ts';
export { rehearseMigration, type RehearsalOutcome } from './rehearse.ts';
export { listReceipts, showReceipt, verifyReceipts, type ReceiptLine } from './receipts.ts';
export { scanBundle } from './scan-authored.ts';
export { freezeBundles, registerAll } from './register.ts';
export { readRegistry, registerBundle, REGISTRY, type Registry, type RegistryEntry } from './registry.ts';
export { readEnvironmentStatuses, type EnvironmentStatus } from './registry-status.ts';
export { unwritable } from './session.ts';
export { removeEvidence } from './retention.ts';
export { readDossier, type Dossier } from './dossier.ts';
export { recoverRuns, type RecoverOutcome } from './recover.ts';
export {
  DEFAULT_SETTINGS,
  ENFORCEMENT_LEVELS,
  minimumLevel,
  reachesLevel,
  type EnforcementLevel,
  type EnvironmentName,
  type MigrationSettings,
} from './settings.ts';
export type { ReceiptRef } from './settle.ts';
export { readStatus, type MigrationState, type MigrationStatus, type UnfinishedRun } from './status.ts';
export { ownCatalogRows } from './kind/postgis/catalog-rows.ts';
export { armCapture, disarmCapture } from './kind/postgis/capture.ts';
export { loadRelations } from './kind/postgis/relation.ts';
export { capturedTables, type CapturedTable } from './kind/postgis/let-go.ts';

/** What a rehearsal showed, kept: in the evidence store first, then in the bundle, signed where there is a key. */
import { join } from 'node:path';
import { isoTime, runId, type Finding } from '../base/index.ts';
import {
  canonicalBytes,
  redactJson,
  REHEARSAL_ENVELOPE_PATH,
  REHEARSAL_PATH,
  type Baseline,
  type Check,
  type DecidedPolicy,
  type Digest,
  type RehearsalReceipt,
} from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import type { RunnerOptions } from './environment.ts';
import { findingJson } from './evidence-body.ts';
import { storeEvidence } from './evidence-store.ts';
import type { Enforcement } from './kind.ts';
import type { PlanFile } from './plan-file.ts';
import type { Probe } from './probe-way-back.ts';
import { signRehearsal } from './rehearsal.ts';
import { storeScanned } from './scan-files.ts';
import { bundlePath, keptProduct, retentionUntil, showProduct } from './settle.ts';

/** What one copy showed. */
export interface Shown {
  readonly checks: readonly Check[];
  readonly findings: readonly Finding[];
  /** What was measured, by the path that the receipt names it with. */
  readonly measured: Readonly<Record<string, Baseline>>;
  readonly enforcement: Enforcement;
  /** What was written after the way forward, and what the way back made of it. */
  readonly probe?: Probe;
}

/** All that was shown. */
export interface Rehearsed extends Shown {
  readonly forwardTwice: RehearsalReceipt['forward_twice'];
  readonly startedAtMs: number;
  readonly elapsedMs: number;
  /** The decision that allowed it; undefined where nobody was asked. */
  readonly policy: DecidedPolicy | undefined;
}

/** What a rehearsal showed. `failed`: a check did not hold, on the copy; the target is as it was in any case. */
export interface RehearsalRecord {
  readonly status: 'rehearsed' | 'failed';
  readonly runId: string;
  readonly receipt: {
    /** Relative to the folder `migrations`. */
    readonly path: string;
    readonly digest: Digest;
    readonly receipt: RehearsalReceipt;
  };
  readonly findings: readonly Finding[];
}

/** Keeps it. */
export async function recordRehearsal(
  options: RunnerOptions,
  bundle: Bundle,
  plan: PlanFile,
  seen: Rehearsed,
): Promise<RehearsalRecord> {
  const { root, environment, actor, signer, gitCommit, paramsDigest, host } = options;
  const passes = seen.checks.every(({ status, required }) => status === 'pass' || required === false);
  const isBackProved = passes && bundle.declaration.requires_rollback;
  const outputs = [];
  for (const [path, baseline] of Object.entries(seen.measured))
    outputs.push({ path, digest: await storeScanned(root, path, baseline) });
  for (const { bytes } of bundle.files) await storeEvidence(root, bytes);
  const receipt: RehearsalReceipt = {
    run_receipt_version: 'v1',
    run_id: runId({
      startedAtMs: seen.startedAtMs,
      kind: 'rehearsal',
      subject: bundle.id,
      randomBytes: options.randomBytes,
    }),
    run_type: 'migration',
    direction: 'rehearsal',
    migration_id: bundle.id,
    actor: { principal: actor.principal, role: actor.role },
    started_at: isoTime(seen.startedAtMs),
    finished_at: isoTime(seen.startedAtMs + seen.elapsedMs),
    environment: { name: environment, git_commit: gitCommit, params_digest: paramsDigest, host },
    inputs: [
      ...bundle.files.map(({ path, digest }) => ({ path, digest })),
      { path: 'plan.json', digest: await storeEvidence(root, canonicalBytes(plan)) },
    ],
    outputs,
    bundle_digest: bundle.digest,
    plan_digest: plan.plan_digest,
    enforcement: seen.enforcement,
    validation: {
      status: passes ? 'pass' : 'fail',
      checks: seen.checks,
      findings: await redactJson(seen.findings.map(findingJson)),
    },
    rollback: { class: plan.bound.rollback_class, rung: isBackProved ? rungOfChecks(seen.checks) : null },
    forward_twice: seen.forwardTwice,
    ...(seen.probe === undefined ? {} : { probe: seen.probe }),
    ...(seen.policy === undefined ? {} : { policy: seen.policy }),
    signed_by: signer?.keyId ?? null,
    retention_until: retentionUntil(options, isoTime(seen.startedAtMs + seen.elapsedMs)),
  };
  const kept = await show(options, bundle.id, receipt);
  return {
    status: passes ? 'rehearsed' : 'failed',
    runId: receipt.run_id,
    receipt: {
      path: `${bundlePath(bundle.id)}/${REHEARSAL_PATH}`,
      digest: await storeEvidence(root, canonicalBytes(receipt)),
      receipt,
    },
    findings: [...seen.findings, ...kept],
  };
}

/** R4 where rows were written between the way forward and the way back, and their class held (M105, M108). */
function rungOfChecks(checks: readonly Check[]): 'R3' | 'R4' {
  return checks.some(({ name, status }) => name === 'new_writes' && status === 'pass') ? 'R4' : 'R3';
}

async function show(
  { root, signer }: RunnerOptions,
  id: string,
  receipt: RehearsalReceipt,
): Promise<readonly Finding[]> {
  const envelope = signer === undefined ? undefined : await signRehearsal(receipt, signer);
  const files = { [REHEARSAL_PATH]: receipt, [REHEARSAL_ENVELOPE_PATH]: envelope };
  const findings: Finding[] = [];
  for (const [path, file] of Object.entries(files)) {
    const bytes = file === undefined ? undefined : canonicalBytes(file);
    if (bytes !== undefined) await storeEvidence(root, bytes);
    if (!(await showProduct(root, join(root, bundlePath(id), path), bytes)))
      findings.push(keptProduct({ migrationId: id, runId: receipt.run_id }, path));
  }
  return findings;
}

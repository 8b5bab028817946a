/**
 * Approving: an approval lies beside the bundle as `approvals/<grant>-<digest>.dsse.json`, and in
 * the evidence store first, so that a receipt can name it.
 */
import { join } from 'node:path';
import { isoTime, refusal, type Finding } from '../base/index.ts';
import {
  APPROVAL_TYPE,
  canonicalBytes,
  isKeyValid,
  sealEnvelope,
  type Approval,
  type ApprovedException,
  type Digest,
  type Grant,
  type KeyRegister,
  type Signer,
} from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { writeDurable } from './durable.ts';
import type { RunnerOptions } from './environment.ts';
import { storeEvidence } from './evidence-store.ts';
import { KEY_REGISTER, readKeyRegister } from './key-register.ts';
import { readPlan, type PlanFile } from './plan-file.ts';
import { holdToPolicy } from './policy/index.ts';
import type { Refused } from './refused.ts';
import { planRollback } from './plan-rollback.ts';
import { planRetire } from './retire.ts';
import { findRunnable } from './session.ts';

/** What somebody approves. */
export interface ApproveOptions {
  readonly principal: string;
  readonly grant: Grant;
  readonly signer: Signer;
  /** Findings that are allowed none the less (M26, M58). */
  readonly exceptions?: readonly ApprovedException[];
  /** Whether the signature says that there is no way back (M47). */
  readonly isIrreversible?: boolean;
  /** Milliseconds until the approval expires. Default seven days. */
  readonly validForMs?: number;
}

/** A signed approval, with the plan that was approved. */
export type ApproveOutcome =
  | Refused
  | {
      readonly status: 'approved';
      readonly approval: Approval;
      /** Relative to the folder `migrations`. */
      readonly path: string;
      readonly digest: Digest;
      readonly plan: PlanFile;
    };

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Signs a migration's bundle and plan: that of `plan.json` to apply it, a plan made now to retire it. Changes nothing in the store.
 *
 * Errors: refuses with what planning refuses with, and with `key_invalid` where the key is not one of this principal's, in
 * this environment, now.
 */
export async function approveMigration(
  options: RunnerOptions,
  migrationId: string,
  { principal, grant, signer, exceptions = [], isIrreversible = false, validForMs = WEEK_MS }: ApproveOptions,
): Promise<ApproveOutcome> {
  const reading = await readKeyRegister(options.root);
  if (reading.status === 'refused') return reading;
  const { register } = reading;
  const nowMs = options.clock.nowMs();
  const strange = strangeKey(register, signer.keyId, { principal, environment: options.environment, nowMs });
  if (strange !== undefined) return refused(strange);
  const planned = await plannedFor(options, migrationId, grant);
  if ('status' in planned) return planned;
  const { bundle, plan } = planned;
  const grants: readonly Grant[] = isIrreversible ? [grant, 'irreversible'] : [grant];
  const allowed = await holdToPolicy(options, {
    action: 'approve',
    bundle,
    principal: { principal, role: 'approver' },
    level: plan.bound.enforcement?.level ?? 'none',
    grants,
  });
  if (allowed.status === 'refused') return allowed;
  const approval: Approval = {
    approval_version: 'v1',
    migration_id: bundle.id,
    bundle_digest: bundle.digest,
    plan_digest: plan.plan_digest,
    environment: options.environment,
    principal,
    grants,
    exceptions: [...exceptions],
    issued_at: isoTime(nowMs),
    expires_at: isoTime(nowMs + validForMs),
  };
  const bytes = canonicalBytes(await sealEnvelope(APPROVAL_TYPE, approval, signer));
  const digest = await storeEvidence(options.root, bytes);
  const name = `approvals/${grant}-${digest.slice('sha256:'.length).slice(0, 16)}.dsse.json`;
  await writeDurable(join(bundle.folder, name), bytes);
  return { status: 'approved', approval, path: `${bundle.kind}/${bundle.id}/${name}`, digest, plan };
}

async function plannedFor(
  options: RunnerOptions,
  migrationId: string,
  grant: Grant,
): Promise<{ readonly bundle: Bundle; readonly plan: PlanFile } | Refused> {
  const runnable = await findRunnable(options, migrationId, grant === 'retire' ? 'retire' : 'forward');
  if ('status' in runnable) return runnable;
  const { bundle } = runnable;
  if (grant === 'apply') {
    const planned = await readPlan(bundle);
    return 'status' in planned ? planned : { bundle, plan: planned.plan };
  }
  if (grant === 'rollback') return planRollback(options, migrationId);
  const planned = await planRetire(options, migrationId);
  return planned.status === 'refused' ? planned : { bundle, plan: planned.plan };
}

function strangeKey(
  { keys }: KeyRegister,
  keyId: Digest,
  wanted: { readonly principal: string; readonly environment: string; readonly nowMs: number },
): Finding | undefined {
  const key = keys.find(({ key_id: id }) => id === keyId);
  const { principal, environment, nowMs } = wanted;
  if (key === undefined) return wrongKey(principal, 'unknown', keyId);
  if (key.principal !== principal) return wrongKey(principal, 'of another principal', keyId);
  if (key.role !== 'approver') return wrongKey(principal, `of the role ${key.role}`, keyId);
  if (!key.environments.includes(environment)) return wrongKey(principal, `not for ${environment}`, keyId);
  return isKeyValid(key, nowMs) ? undefined : wrongKey(principal, 'not valid now', keyId);
}

function wrongKey(principal: string, reason: string, keyId: Digest): Finding {
  return refusal('key_invalid', principal, {
    detail: { reason, key: keyId },
    hint: `Sign with a key that ${KEY_REGISTER} names for you; \`varve keys add\` registers one.`,
  });
}

function refused(finding: Finding): Refused {
  return { status: 'refused', findings: [finding] };
}

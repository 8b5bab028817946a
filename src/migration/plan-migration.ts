import { join } from 'node:path';
import { refusal, type Finding } from '../base/index.ts';
import { sha256 } from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import type { RunnerOptions } from './environment.ts';
import { readEvidence, readIfThere } from './evidence-store.ts';
import { makePlan, writePlan, type PlanFile } from './plan-file.ts';
import { holdToPolicy } from './policy/index.ts';
import type { Refused } from './refused.ts';
import { scanBundle } from './scan-authored.ts';
import { dirtyPlan, scanProduct } from './scan-files.ts';
import { findRunnable } from './session.ts';

/** A plan that was written to its bundle; findings of severity `error` or `review` will refuse apply. */
export type PlanOutcome =
  Refused | { readonly status: 'planned'; readonly plan: PlanFile; readonly findings: readonly Finding[] };

/** Plans a bundle and writes its `plan.json`. Changes nothing in the store. */
export async function planMigration(options: RunnerOptions, migrationId: string): Promise<PlanOutcome> {
  const runnable = await findRunnable(options, migrationId);
  if ('status' in runnable) return runnable;
  const { bundle, kind } = runnable;
  const allowed = await holdToPolicy(options, { action: 'plan', bundle });
  if (allowed.status === 'refused') return allowed;
  const authored = await scanBundle(bundle, options.settings);
  const { plan, findings } = await makePlan(options, kind, {
    bundle,
    direction: 'forward',
    forward: undefined,
  });
  const dirty = await scanProduct('plan.json', plan);
  if (dirty.length > 0) return { status: 'refused', findings: [dirtyPlan(bundle.id, dirty), ...authored] };
  const foreign = await foreignPlan(options.root, bundle);
  if (foreign !== undefined) return { status: 'refused', findings: [foreign] };
  await writePlan(options.root, bundle, plan);
  return { status: 'planned', plan, findings: [...authored, ...findings] };
}

/** A plan that somebody edited is no product of ours any more, and is never overwritten (M7). */
async function foreignPlan(root: string, bundle: Bundle): Promise<Finding | undefined> {
  const there = await readIfThere(join(bundle.folder, 'plan.json'));
  if (there === undefined || (await readEvidence(root, sha256(there))) !== undefined) return undefined;
  return refusal('evidence_changed', `${bundle.kind}/${bundle.id}/plan.json`, {
    detail: { reason: 'not_in_store' },
    hint: 'This plan is none that varve wrote: move it away or delete it, then plan again.',
  });
}

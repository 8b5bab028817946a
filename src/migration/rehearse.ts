/**
 * Rehearsal on disposable copies of the target: forward, the way back, equality with what was before, forward again,
 * equality with the first end (R3), and on a second copy forward twice in a row (M131). The target itself is only read
 * (M107), and its ledger has no entry of it: a rehearsal never counts as an execution (M38).
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isoTime, isRefused, isVarveError, refusal, runId, type Finding } from '../base/index.ts';
import {
  canonicalBytes,
  isComparable,
  proveEqual,
  redactJson,
  type Baseline,
  type Check,
  type Digest,
  type RehearsalReceipt,
} from '../evidence/index.ts';
import type { Store } from '../store/index.ts';
import type { RunnerOptions } from './environment.ts';
import { findingJson, productBytes } from './evidence-body.ts';
import { storeEvidence } from './evidence-store.ts';
import { withoutReview } from './exception.ts';
import { errorFinding } from './failure.ts';
import { NOTHING_ENFORCED, type Enforcement } from './kind.ts';
import { appliedRuns, ledgerRuns, readBody, readLedger, unfinishedRuns } from './ledger.ts';
import { applyMigration, openAndRun, rollbackMigration, type RunOutcome } from './lifecycle.ts';
import { makePlan, readPlan, type PlanFile } from './plan-file.ts';
import { planMigration } from './plan-migration.ts';
import type { Refused } from './refused.ts';
import { REHEARSAL_ENVELOPE_PATH, REHEARSAL_PATH, secondChange, signRehearsal } from './rehearsal.ts';
import type { DecidedBody } from './run.ts';
import { storeScanned } from './scan-files.ts';
import { findRunnable, withSession, type Runnable } from './session.ts';
import { DEFAULT_SETTINGS } from './settings.ts';
import { bundlePath, keptProduct, showProduct } from './settle.ts';

/** What a rehearsal showed. `failed`: a check did not hold, on the copy; the target is as it was in any case. */
export type RehearsalOutcome =
  | Refused
  | {
      readonly status: 'rehearsed' | 'failed';
      readonly runId: string;
      readonly receipt: {
        /** Relative to the folder `migrations`. */
        readonly path: string;
        readonly digest: Digest;
        readonly receipt: RehearsalReceipt;
      };
      readonly findings: readonly Finding[];
    };

/**
 * Rehearses a planned migration that is not applied.
 *
 * Errors: refuses with `rehearsal_impossible`, `plan_missing`, `bundle_changed`, `copy_blocked`; throws `interrupted`, and
 * what a store throws that cannot be reached.
 */
export async function rehearseMigration(
  options: RunnerOptions,
  migrationId: string,
): Promise<RehearsalOutcome> {
  const runnable = await findRunnable(options, migrationId);
  if ('status' in runnable) return runnable;
  const planned = await readPlan(runnable.bundle);
  if ('status' in planned) return planned;
  const hindrance = await findHindrance(options, migrationId);
  if (hindrance !== undefined) return { status: 'refused', findings: [hindrance] };
  const startedAtMs = options.clock.nowMs();
  const startedMonotonicMs = options.clock.monotonicMs();
  await options.store.dropDeadCopies();
  const there = await onCopy(options, runnable, (on) => thereAndBack(options, on, runnable, planned.plan));
  if ('status' in there) return there;
  const twice = await rehearseTwice(options, runnable, there);
  if ('status' in twice) return twice;
  const seen = { ...there, ...twice, checks: [...there.checks, ...twice.checks] };
  const elapsedMs = Math.round(options.clock.monotonicMs() - startedMonotonicMs);
  return record(options, runnable, planned.plan, {
    ...seen,
    findings: [...there.findings, ...twice.findings],
    startedAtMs,
    elapsedMs,
  });
}

/** What one copy showed. */
interface Shown {
  readonly checks: readonly Check[];
  readonly findings: readonly Finding[];
  /** What was measured, by the path that the receipt names it with. */
  readonly measured: Readonly<Record<string, Baseline>>;
  readonly enforcement: Enforcement;
}

async function findHindrance(options: RunnerOptions, id: string): Promise<Finding | undefined> {
  if (!options.store.capabilities.disposableCopies) {
    const hint = 'Rehearse on a store that can be copied.';
    return refusal('capability_missing', id, { detail: { capability: 'disposableCopies' }, hint });
  }
  const runs = ledgerRuns(await readLedger(options.store));
  const open = unfinishedRuns(runs).at(-1);
  if (open !== undefined) {
    return refusal('rehearsal_impossible', id, {
      detail: { reason: 'unfinished_run', run: open.subject.runId },
      hint: 'Run `varve recover` first: a copy would hold what this run left half-way.',
    });
  }
  const applied = appliedRuns(runs).find(({ subject }) => subject.migrationId === id);
  if (applied === undefined) return undefined;
  return refusal('rehearsal_impossible', id, {
    detail: { reason: 'applied', run: applied.subject.runId },
    hint: 'It is applied here already: what is left to prove is the way back itself, `varve rollback`.',
  });
}

/** Does work on a copy of the target, with a folder of migrations that is thrown away with it. */
async function onCopy<T>(
  options: RunnerOptions,
  { bundle }: Runnable,
  work: (on: RunnerOptions) => Promise<T>,
): Promise<T | Refused> {
  const copied = await copyStore(options, bundle.id);
  if ('status' in copied) return copied;
  await using copy = copied;
  const root = await mkdtemp(join(tmpdir(), 'varve-rehearsal-'));
  try {
    await cp(bundle.folder, join(root, bundlePath(bundle.id)), { recursive: true });
    // A runner's key signs what happened to the target, and so nothing of this.
    const { signer: _, ...unsigned } = options;
    return await work({ ...unsigned, store: copy, root, isRehearsal: true });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function copyStore({ store }: RunnerOptions, id: string): Promise<Store | Refused> {
  try {
    return await store.copy();
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return { status: 'refused', findings: [errorFinding(error, id)] };
  }
}

/** Forward, back, forward again (R3). What comes after a step that failed is not run. */
async function thereAndBack(
  target: RunnerOptions,
  on: RunnerOptions,
  runnable: Runnable,
  plan: PlanFile,
): Promise<Shown> {
  const { id } = runnable.bundle;
  const steps = new Map<string, Check['status']>();
  const findings: Finding[] = [];
  const measured: Record<string, Baseline> = {};
  let enforcement = NOTHING_ENFORCED;
  const shown = (): Shown => ({
    checks: checksOf(steps, runnable.bundle.declaration.requires_rollback),
    findings,
    measured,
    enforcement,
  });
  const pass = (name: string, isGood: boolean): boolean => {
    steps.set(name, isGood ? 'pass' : 'fail');
    return isGood;
  };
  const ran = async (name: string, outcome: RunOutcome, file: string): Promise<Baseline | undefined> => {
    findings.push(...outcome.findings);
    if (!pass(name, outcome.status === 'applied') || outcome.status !== 'applied') return undefined;
    const products = await productsOf(on, outcome.runId);
    measured[`rehearsal/${file}`] = products.post;
    return products.post;
  };

  const [original, pre] = [await measure(target, runnable, plan), await measure(on, runnable, plan)];
  measured['rehearsal/pre.json'] = pre;
  const differing = copyDiffers(id, original, pre);
  findings.push(...differing);
  if (!pass('fingerprint_equals_target', !isRefused(differing))) return shown();

  const there = await applyMigration(on, id);
  if (there.status === 'applied') ({ enforcement } = there);
  const post = await ran('forward', there, 'post.json');
  if (post === undefined || !runnable.bundle.declaration.requires_rollback) return shown();

  const wayBack = await rollbackMigration(on, id);
  const back = await ran('rollback', wayBack, 'after_rollback.json');
  if (back === undefined) {
    if (wayBack.findings.some(({ code }) => code === 'baseline_differs')) pass('equal_to_pre', false);
    return shown();
  }
  if (!pass('equal_to_pre', isEqual(pre, back))) {
    findings.push(notEqual(id, 'equal_to_pre', 'The way back gives another state than there was before.'));
    return shown();
  }

  // The way back may leave what a plan binds and no equality asks for, such as an order of columns.
  const planned = await planMigration(on, id);
  if (planned.status === 'refused') findings.push(...planned.findings);
  const again = await ran('second_forward', await applyMigration(on, id), 'second_post.json');
  if (again === undefined) return shown();
  if (!pass('equal_to_first_post', isEqual(post, again)))
    findings.push(
      notEqual(id, 'equal_to_first_post', 'The way back left something that the second way forward met.'),
    );
  return shown();
}

const STEPS = [
  'fingerprint_equals_target',
  'forward',
  'rollback',
  'equal_to_pre',
  'second_forward',
  'equal_to_first_post',
] as const;

/** Without a way back only the way forward can be rehearsed; the rest is then not asked for. */
function checksOf(steps: ReadonlyMap<string, Check['status']>, hasWayBack: boolean): readonly Check[] {
  return STEPS.map((name, at) => {
    const status = steps.get(name) ?? 'not_run';
    return hasWayBack || at < 2 ? { name, status } : { name, status, required: false };
  });
}

/** Of the objects that the plan binds, in one snapshot. */
async function measure(
  { store, settings = DEFAULT_SETTINGS }: RunnerOptions,
  { bundle, kind }: Runnable,
  plan: PlanFile,
): Promise<Baseline> {
  return store.transaction({ isolation: 'repeatable read', readOnly: true }, (transaction) =>
    kind.baseline({ bundle, settings, bound: plan.bound.work }, transaction),
  );
}

/** The copy must have the target's shape (M107); rows that others wrote since it was made are told. */
function copyDiffers(id: string, original: Baseline, copy: Baseline): readonly Finding[] {
  const isSame =
    isComparable(original, copy) && original.schema_fingerprint.logical === copy.schema_fingerprint.logical;
  if (!isSame) {
    const hint = 'Others changed the target while it was copied: rehearse again.';
    return [refusal('rehearsal_failed', id, { detail: { check: 'fingerprint_equals_target' }, hint })];
  }
  const digests = new Map(original.tables.map(({ table, digest }) => [table, digest]));
  return copy.tables
    .filter(({ table, digest }) => digests.get(table) !== digest)
    .map(({ table }): Finding => ({
      code: 'concurrent_change',
      severity: 'info',
      subject: table,
      detail: {},
      hint: 'Others wrote to this table since the copy was made; nothing has to be done.',
    }));
}

/** The logical catalog and the rows of every table that is measured (M106). */
function isEqual(expected: Baseline, found: Baseline): boolean {
  return proveEqual(expected, found, []).status === 'equal';
}

function notEqual(id: string, check: string, what: string): Finding {
  return refusal('rehearsal_failed', id, {
    detail: { check },
    hint: `${what} Compare the files that the receipt names.`,
  });
}

async function productsOf(
  { store }: RunnerOptions,
  run: string,
): Promise<{ readonly pre: Baseline; readonly post: Baseline }> {
  const { products } = (await readBody(store, run, 'committed')) as DecidedBody;
  return {
    pre: products['baselines/pre.json'] as unknown as Baseline,
    post: products['baselines/post.json'] as unknown as Baseline,
  };
}

interface Twice {
  readonly checks: readonly Check[];
  readonly findings: readonly Finding[];
  readonly forwardTwice: RehearsalReceipt['forward_twice'];
}

const NOT_TWICE: Twice = {
  checks: [{ name: 'forward_twice', status: 'not_run', required: false }],
  findings: [],
  forwardTwice: 'not_run',
};

/** Only scripts can be run twice in a row: a plan that names every row it touches is another one the second time. */
async function rehearseTwice(
  options: RunnerOptions,
  runnable: Runnable,
  there: Shown,
): Promise<Twice | Refused> {
  const failed = there.checks.some(({ status, required }) => status !== 'pass' && required !== false);
  if (failed || runnable.kind.foreseesRows) return NOT_TWICE;
  return onCopy(options, runnable, (on) => forwardTwice(on, runnable));
}

/** Forward, and forward once more without a way back in between (M131). */
async function forwardTwice(on: RunnerOptions, { kind, bundle }: Runnable): Promise<Twice> {
  const once = await applyMigration(on, bundle.id);
  if (once.status !== 'applied') return NOT_TWICE;
  const again = await withSession(on, async (session): Promise<RunOutcome> => {
    const about = { bundle, direction: 'forward', forward: undefined } as const;
    const { plan, findings } = await makePlan(on, kind, about);
    const hard = withoutReview(findings);
    if (isRefused(hard)) return { status: 'refused', findings: hard };
    return openAndRun(on, { ...about, kind, session, plan, approvals: [] });
  });
  if (again.status === 'indeterminate')
    return {
      checks: [{ name: 'forward_twice', status: 'error' }],
      findings: again.findings,
      forwardTwice: 'error',
    };
  const passed: Check = { name: 'forward_twice', status: 'pass', required: false };
  if (again.status !== 'applied') return { checks: [passed], findings: [], forwardTwice: 'error' };
  const { pre, post } = await productsOf(on, again.runId);
  const isStrict = pre.schema_fingerprint.strict === post.schema_fingerprint.strict;
  if (isStrict && isEqual(pre, post)) return { checks: [passed], findings: [], forwardTwice: 'no_op' };
  return {
    checks: [{ ...passed, status: 'fail' }],
    findings: [secondChange(bundle.id)],
    forwardTwice: 'second_change',
  };
}

interface Rehearsed extends Omit<Shown, 'checks' | 'findings'>, Twice {
  readonly startedAtMs: number;
  readonly elapsedMs: number;
}

/** Keeps what was shown: in the evidence store first, then in the bundle, signed where there is a key. */
async function record(
  options: RunnerOptions,
  { bundle }: Runnable,
  plan: PlanFile,
  seen: Rehearsed,
): Promise<RehearsalOutcome> {
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
    rollback: { class: plan.bound.rollback_class, rung: isBackProved ? 'R3' : null },
    forward_twice: seen.forwardTwice,
    signed_by: signer?.keyId ?? null,
  };
  const kept = await show(options, bundle.id, receipt);
  return {
    status: passes ? 'rehearsed' : 'failed',
    runId: receipt.run_id,
    receipt: {
      path: `${bundlePath(bundle.id)}/${REHEARSAL_PATH}`,
      digest: await storeEvidence(root, productBytes(receipt)),
      receipt,
    },
    findings: [...seen.findings, ...kept],
  };
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

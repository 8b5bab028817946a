/**
 * Rehearsal on disposable copies of the target: forward, the way back, equality with what was before, forward again,
 * equality with the first end (R3), the way back once more with rows that were written since (R4), and on a second copy forward twice in a row (M131). The target itself is only read
 * (M107), and its ledger has no entry of it: a rehearsal never counts as an execution (M38).
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRefused, isVarveError, refusal, type Finding } from '../base/index.ts';
import {
  isComparable,
  proveEqual,
  type Baseline,
  type Check,
  type RehearsalReceipt,
} from '../evidence/index.ts';
import type { Store } from '../store/index.ts';
import type { Bundle } from './bundle.ts';
import { editFindings } from './edited.ts';
import type { RunnerOptions } from './environment.ts';
import { withoutReview } from './exception.ts';
import { errorFinding } from './failure.ts';
import { readApprovals } from './find-approvals.ts';
import { NOTHING_ENFORCED, type MigrationKind } from './kind.ts';
import { appliedRuns, ledgerRuns, readBody, readLedger, unfinishedRuns } from './ledger.ts';
import { applyMigration, openAndRun, rollbackMigration, type RunOutcome } from './lifecycle.ts';
import { makePlan, readPlan, type PlanFile } from './plan-file.ts';
import { planMigration } from './plan-migration.ts';
import { probeWayBack, type Probed } from './probe-way-back.ts';
import { holdToPolicy } from './policy/index.ts';
import type { Refused } from './refused.ts';
import { recordRehearsal, type RehearsalRecord, type Shown } from './rehearsal-record.ts';
import { secondChange } from './rehearsal.ts';
import type { DecidedBody, RunException } from './run.ts';
import { scanBundle } from './scan-authored.ts';
import { findRunnable, withSession, type Runnable } from './session.ts';
import { DEFAULT_SETTINGS } from './settings.ts';
import { bundlePath } from './settle.ts';

/** What came of a rehearsal. */
export type RehearsalOutcome = Refused | RehearsalRecord;

/**
 * Rehearses a planned migration that is not applied.
 *
 * Errors: refuses with `rehearsal_impossible`, `plan_missing`, `bundle_changed`, `secret_found`, `copy_blocked`; throws `interrupted`, and
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
  const allowed = await holdToPolicy(options, {
    action: 'rehearse',
    bundle: runnable.bundle,
    level: planned.plan.bound.enforcement?.level ?? 'none',
  });
  if (allowed.status === 'refused') return allowed;
  const hindrance = await findHindrance(options, runnable.bundle);
  if (hindrance !== undefined) return { status: 'refused', findings: [hindrance] };
  // Whatever comes of it, its receipt names the authored files, and the evidence store keeps them.
  const authored = await scanBundle(runnable.bundle, options.settings);
  const unclean = authored.filter(({ severity }) => severity === 'error');
  if (unclean.length > 0) return { status: 'refused', findings: unclean };
  const startedAtMs = options.clock.nowMs();
  const startedMonotonicMs = options.clock.monotonicMs();
  await options.store.dropDeadCopies();
  const excepted = { ...options, rehearsedExceptions: await exceptionsOf(options, runnable, planned.plan) };
  const there = await onCopy(excepted, runnable, (copy) =>
    thereAndBack({ on: options, runnable }, copy, planned.plan),
  );
  if ('status' in there) return there;
  const twice = await rehearseTwice(excepted, runnable, there);
  if ('status' in twice) return twice;
  const elapsedMs = Math.round(options.clock.monotonicMs() - startedMonotonicMs);
  return recordRehearsal(options, runnable.bundle, planned.plan, {
    ...there,
    ...twice,
    checks: [...there.checks, ...twice.checks],
    findings: [...there.findings, ...twice.findings],
    startedAtMs,
    elapsedMs,
    policy: allowed.policy?.decided,
  });
}

/** What signatures over this plan allow here (M26), on the copy for the way back as well; where there are none, nothing. */
async function exceptionsOf(
  options: RunnerOptions,
  { bundle }: Runnable,
  { plan_digest: planDigest }: PlanFile,
): Promise<readonly RunException[]> {
  const reading = await readApprovals(options, bundle, { planDigest, grant: 'apply' });
  if (reading.status === 'refused') return [];
  return reading.approvals.flatMap(({ principal, exceptions }) =>
    exceptions.map((exception) => ({ ...exception, principal })),
  );
}

async function findHindrance(options: RunnerOptions, bundle: Bundle): Promise<Finding | undefined> {
  const { id } = bundle;
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
  if (applied === undefined) return (await editFindings(options, bundle, runs))[0];
  return refusal('rehearsal_impossible', id, {
    detail: { reason: 'applied', run: applied.subject.runId },
    hint: 'It is applied here already: what is left to prove is the way back itself, `varve rollback`.',
  });
}

/** Where something is run, with its kind there. */
interface Place {
  readonly on: RunnerOptions;
  readonly runnable: Runnable;
}

/** Does work on a copy of the target, with a folder of migrations that is thrown away with it. */
async function onCopy<T>(
  options: RunnerOptions,
  runnable: Runnable,
  work: (copy: Place) => Promise<T>,
): Promise<T | Refused> {
  const { bundle } = runnable;
  const copied = await copyStore(options, bundle.id);
  if ('status' in copied) return copied;
  await using copy = copied;
  const root = await mkdtemp(join(tmpdir(), 'varve-rehearsal-'));
  try {
    await cp(bundle.folder, join(root, bundlePath(bundle.id)), { recursive: true });
    // A runner's key signs what happened to the target, and so nothing of this.
    const { signer: _, ...unsigned } = options;
    const kindOf = (kind: MigrationKind): MigrationKind => kind.onCopy?.(root) ?? kind;
    return await work({
      on: { ...unsigned, kinds: options.kinds.map(kindOf), store: copy, root, isRehearsal: true },
      runnable: { ...runnable, kind: kindOf(runnable.kind) },
    });
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
async function thereAndBack(target: Place, { on, runnable }: Place, plan: PlanFile): Promise<Shown> {
  const { id } = runnable.bundle;
  const steps = new Map<string, Check['status']>();
  const findings: Finding[] = [];
  const measured: Record<string, Baseline> = {};
  let enforcement = NOTHING_ENFORCED;
  const shown = (probed?: Probed): Shown => ({
    checks: [
      ...checksOf(steps, runnable.bundle.declaration.requires_rollback),
      ...(probed === undefined ? [] : [probed.check]),
    ],
    // What fails there fails a rehearsal here, whatever it would be to a run.
    findings: [...failuresOf(id, steps), ...findings, ...(probed?.findings ?? [])],
    measured,
    enforcement,
    ...(probed?.probe === undefined ? {} : { probe: probed.probe }),
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

  const [original, pre] = [await measure(target, plan), await measure({ on, runnable }, plan)];
  measured['rehearsal/pre.json'] = pre;
  const written = compareCopy(original, pre);
  if (!pass('fingerprint_equals_target', written !== undefined)) return shown();
  findings.push(...(written ?? []));

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
  if (!pass('equal_to_pre', isEqual(pre, back))) return shown();

  // The way back may leave what a plan binds and no equality asks for, such as an order of columns.
  const planned = await planMigration(on, id);
  if (planned.status === 'refused') findings.push(...planned.findings);
  const second = await applyMigration(on, id);
  const again = await ran('second_forward', second, 'second_post.json');
  if (again === undefined || second.status !== 'applied') return shown();
  if (!pass('equal_to_first_post', isEqual(post, again))) return shown();
  const { rollback_class: rollbackClass } = plan.bound;
  return shown(await probeWayBack(on, runnable, { forwardRun: second.runId, rollbackClass }));
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
async function measure({ on, runnable }: Place, plan: PlanFile): Promise<Baseline> {
  const { store, settings = DEFAULT_SETTINGS } = on;
  const { bundle, kind } = runnable;
  return store.transaction({ isolation: 'repeatable read', readOnly: true }, (transaction) =>
    kind.baseline({ bundle, settings, bound: plan.bound.work }, transaction),
  );
}

/** The copy must have the target's shape (M107), else undefined; rows that others wrote since it was made are told. */
function compareCopy(original: Baseline, copy: Baseline): readonly Finding[] | undefined {
  const isSame =
    isComparable(original, copy) && original.schema_fingerprint.logical === copy.schema_fingerprint.logical;
  if (!isSame) return undefined;
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

const HINTS: Readonly<Record<(typeof STEPS)[number], string>> = {
  fingerprint_equals_target: 'Others changed the target while it was copied: rehearse again.',
  forward: 'See what follows: the way forward did not come to its end on the copy.',
  rollback: 'See what follows: the way back did not come to its end on the copy.',
  equal_to_pre: 'The way back gives another state than there was before; let it give back shape and rows.',
  second_forward: 'See what follows: the way back left something that the second way forward met.',
  equal_to_first_post:
    'The second way forward ends in another state than the first: the way back left something.',
};

/** The last check that failed says most: it is why one before it did. */
function failuresOf(id: string, steps: ReadonlyMap<string, Check['status']>): readonly Finding[] {
  const failed = STEPS.findLast((name) => steps.get(name) === 'fail');
  return failed === undefined
    ? []
    : [refusal('rehearsal_failed', id, { detail: { check: failed }, hint: HINTS[failed] })];
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
  return onCopy(options, runnable, forwardTwice);
}

/** Forward, and forward once more without a way back in between (M131). */
async function forwardTwice({ on, runnable }: Place): Promise<Twice> {
  const { kind, bundle } = runnable;
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

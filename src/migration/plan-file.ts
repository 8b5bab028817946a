import { join } from 'node:path';
import { refusal, type Finding, type Json, type JsonObject } from '../base/index.ts';
import {
  canonicalBytes,
  digestOf,
  validateSchema,
  type Digest,
  type TableCounts,
} from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { writeDurable } from './durable.ts';
import type { RunnerOptions } from './environment.ts';
import { readIfThere, storeEvidence } from './evidence-store.ts';
import {
  ambiguityFindings,
  levelFindings,
  limitFindings,
  measuresOfCounts,
  missingScope,
  plannedVerdicts,
  scopeFindings,
  unknownLimits,
} from './judge.ts';
import type { CommittedRun, Direction, Enforcement, KindPlan, MigrationKind } from './kind.ts';
import type { Refused } from './refused.ts';
import { DEFAULT_SETTINGS, minimumLevel } from './settings.ts';
import { parseStrictJson } from './strict-json.ts';

/** `plan.json`: `bound` is digested and held to, `shown` is told (M70). */
export interface PlanFile extends JsonObject {
  readonly plan_version: 'v1';
  readonly migration_id: string;
  readonly bundle_digest: Digest;
  /** Digest of `bound`. */
  readonly plan_digest: Digest;
  readonly bound: PlanBound;
  readonly shown: JsonObject;
}

/** What apply may do and nothing else. */
export interface PlanBound extends JsonObject {
  readonly kind: string;
  readonly direction: Direction;
  readonly migration_id: string;
  readonly bundle_digest: Digest;
  readonly scope: JsonObject;
  readonly limits: JsonObject;
  readonly rollback_class: KindPlan['rollbackClass'];
  readonly tables: readonly TableCounts[];
  readonly objects: readonly string[];
  /** What a run would reach; absent in a plan of an earlier release. */
  readonly enforcement?: Enforcement;
  /** The kind's own part. */
  readonly work: JsonObject;
}

/** A plan with what was found on the way; it may be written and shown even where the findings refuse. */
export interface PlanResult {
  readonly plan: PlanFile;
  readonly findings: readonly Finding[];
}

/** Asks the kind what a run would do, in a read-only transaction that sees one snapshot (M71). Writes nothing. */
export async function makePlan(
  options: RunnerOptions,
  kind: MigrationKind,
  about: {
    readonly bundle: Bundle;
    readonly direction: Direction;
    readonly forward: CommittedRun | undefined;
    /** The plan that is to be run: of a kind that carries later writes, limits are judged on what it counted. */
    readonly planned?: PlanFile;
  },
): Promise<PlanResult> {
  const { bundle, direction, forward } = about;
  const { environment, store, settings = DEFAULT_SETTINGS } = options;
  const { capabilities } = store;
  const logins = { runner: options.runnerLogin !== undefined, verify: options.verifyLogin !== undefined };
  const held = kind.carriesLaterWrites === true ? about.planned : undefined;
  const planned = await store.transaction({ isolation: 'repeatable read', readOnly: true }, (transaction) =>
    kind.plan({
      bundle,
      direction,
      environment,
      transaction,
      capabilities,
      logins,
      settings,
      forward,
      ...(held === undefined ? {} : { planned: { tables: held.bound.tables, shown: held.shown } }),
    }),
  );
  const { scope, limits } = bundle.declaration;
  const bound: PlanBound = {
    kind: kind.name,
    direction,
    migration_id: bundle.id,
    bundle_digest: bundle.digest,
    scope,
    limits,
    rollback_class: planned.rollbackClass,
    tables: [...planned.tables].sort((a, b) => (a.table < b.table ? -1 : 1)),
    objects: [...planned.objects].sort(),
    enforcement: planned.enforcement,
    work: planned.bound,
  };
  const measures =
    held === undefined
      ? planned.measures
      : { ...planned.measures, ...measuresOfCounts(held.bound.tables, planned.objects) };
  const least = minimumLevel(settings, kind.name, environment, direction);
  const findings = [
    ...planFindings(kind, bundle, direction, { ...planned, measures }),
    ...levelFindings(bundle.id, planned.enforcement, least),
  ];
  return { plan: planFile(bound, planned.shown), findings };
}

/** Stores a plan and writes it to its bundle. */
export async function writePlan(root: string, bundle: Bundle, plan: PlanFile): Promise<void> {
  const bytes = canonicalBytes(plan);
  await storeEvidence(root, bytes);
  await writeDurable(join(bundle.folder, 'plan.json'), bytes);
}

/** The plan of a bundle, held to its own digest and to the bundle's; or why there is none to apply. */
export async function readPlan(bundle: Bundle): Promise<{ readonly plan: PlanFile } | Refused> {
  const bytes = await readIfThere(join(bundle.folder, 'plan.json'));
  if (bytes === undefined) {
    const hint = `Run \`varve plan ${bundle.id}\` and look at what it says.`;
    return refused(refusal('plan_missing', bundle.id, { hint }));
  }
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  const faults = 'reason' in parsed ? 1 : (await validateSchema('plan.v1', parsed.value)).length;
  if ('reason' in parsed || faults > 0) return refused(planChanged(bundle.id, { reason: 'not_a_plan' }));
  const plan = parsed.value as unknown as PlanFile;
  if (digestOf(plan.bound) !== plan.plan_digest) return refused(planChanged(bundle.id, { reason: 'edited' }));
  if (plan.migration_id !== bundle.id)
    return refused(planChanged(bundle.id, { reason: 'of_another_migration' }));
  if (plan.bundle_digest === bundle.digest && plan.bound.bundle_digest === bundle.digest) return { plan };
  const detail = { planned: plan.bundle_digest, found: bundle.digest };
  const hint = 'An authored file changed after the plan: take it back, or plan again.';
  return refused(refusal('bundle_changed', bundle.id, { detail, hint }));
}

/** The plan that lies in a bundle, also one of other files than are there now; undefined where there is none to be read. */
export async function readPlanFile(bundle: Bundle): Promise<PlanFile | undefined> {
  const bytes = await readIfThere(join(bundle.folder, 'plan.json'));
  if (bytes === undefined) return undefined;
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  if ('reason' in parsed || (await validateSchema('plan.v1', parsed.value)).length > 0) return undefined;
  return parsed.value as unknown as PlanFile;
}

/** What moved between a plan and the same plan made now; none when both bind the same, rows written since left out where the kind takes them along. */
export function planMoved(kind: MigrationKind, planned: PlanFile, now: PlanFile): readonly Finding[] {
  if (planned.plan_digest === now.plan_digest) return [];
  const heldTo = kind.carriesLaterWrites === true ? withoutCounts : (bound: PlanBound): JsonObject => bound;
  const parts = differingParts('', heldTo(planned.bound), heldTo(now.bound));
  if (parts.length === 0) return [];
  return [
    planChanged(planned.migration_id, {
      reason: 'moved',
      parts: parts.slice(0, 20),
      partCount: parts.length,
    }),
  ];
}

function withoutCounts(bound: PlanBound): JsonObject {
  return { ...bound, tables: bound.tables.map(({ table }) => table) };
}

function refused(finding: Finding): Refused {
  return { status: 'refused', findings: [finding] };
}

function planFile(bound: PlanBound, shown: JsonObject): PlanFile {
  return {
    plan_version: 'v1',
    migration_id: bound.migration_id,
    bundle_digest: bound.bundle_digest,
    plan_digest: digestOf(bound),
    bound,
    shown,
  };
}

function planFindings(
  kind: MigrationKind,
  bundle: Bundle,
  direction: Direction,
  planned: KindPlan,
): readonly Finding[] {
  const { scope, limits } = bundle.declaration;
  return [
    ...(direction === 'retire' ? [] : unknownLimits(kind.limits, limits)),
    ...missingScope(kind.scopeKeys, scope),
    ...planned.findings,
    ...ambiguityFindings(planned.tables, planned.ambiguousKeys),
    ...scopeFindings(scope, planned.objects, planned.partOf),
    ...limitFindings(bundle.id, plannedVerdicts(kind.limits, limits, planned.measures)),
  ];
}

/** A plan that varve did not write is never written over (M7), so it has to go before another one is made. */
function planChanged(id: string, detail: JsonObject & { readonly reason: string }): Finding {
  const away = detail.reason === 'moved' ? '' : 'Take plan.json back from version control, or delete it. ';
  return refusal('plan_changed', id, {
    detail,
    hint: `${away}Run \`varve plan ${id}\` again, look at it, and apply that.`,
  });
}

/** Pointers of what differs, numbers and digests left to the reader of both files. */
function differingParts(pointer: string, left: Json | undefined, right: Json | undefined): readonly string[] {
  if (isBranch(left) && isBranch(right) && Array.isArray(left) === Array.isArray(right)) {
    const [a, b] = [new Map(Object.entries(left)), new Map(Object.entries(right))];
    const names = [...new Set([...a.keys(), ...b.keys()])].sort();
    return names.flatMap((name) => differingParts(`${pointer}/${name}`, a.get(name), b.get(name)));
  }
  return left === right ? [] : [pointer];
}

function isBranch(value: Json | undefined): value is JsonObject | readonly Json[] {
  return typeof value === 'object' && value !== null;
}

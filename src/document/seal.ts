/**
 * What is wrong with a document type, before it reads its first document. Each check is a function of one signature.
 */
import { refusal, type Finding } from '../base/index.ts';
import { contradictions } from './contradiction.ts';
import { findPath } from './path.ts';
import { declaredPlaces, validatorOf, type Model } from './model.ts';
import type { Op } from './op/op.ts';
import { isPlaceAllowed } from './place.ts';
import { isPointer, type Pointer } from './pointer.ts';
import type { Step } from './step.ts';
import { compareVersions, isWellFormedVersion, versionPlaces } from './version.ts';

type Check = (model: Model, steps: readonly Step[]) => readonly Finding[];

const CHECKS: readonly Check[] = [
  checkVersions,
  checkSteps,
  checkOps,
  brokenSnapshots,
  checkReachable,
  checkPlaces,
  contradictions,
];

/** All that refuses a type. A later check may rest on an earlier one, so the first that finds something ends it. */
export function sealFindings(model: Model, steps: readonly Step[]): readonly Finding[] {
  for (const check of CHECKS) {
    const findings = check(model, steps);
    if (findings.length > 0) return findings;
  }
  return [];
}

function checkVersions({ name, rule, current, versions }: Model): readonly Finding[] {
  const { order } = rule;
  const named = [...versions.keys()];
  const malformed = named.filter(
    (version) =>
      !isWellFormedVersion(order, version) || (typeof order !== 'string' && !order.includes(version)),
  );
  const missing = [current, rule.missing].filter((version) => !versions.has(version));
  return [...malformed, ...missing].map((version) =>
    refusal('unknown_version', `${name} ${version}`, {
      detail: { known: named },
      hint: 'List the version under `versions`, in the form that the declared order has.',
    }),
  );
}

function checkSteps({ name, rule, versions }: Model, steps: readonly Step[]): readonly Finding[] {
  return steps.flatMap((step, at) => {
    const { from, to } = step;
    const unknown = [from, to].find((version) => !versions.has(version));
    const isSecond = steps.findIndex((other) => other.from === from && other.to === to) < at;
    if (unknown !== undefined) return [invalidStep(name, step, `version ${unknown} is unknown`)];
    if (from === to) return [invalidStep(name, step, 'it leads onto itself')];
    if (isSecond) return [invalidStep(name, step, 'it is registered twice')];
    if (leadsBack(step, steps)) return [invalidStep(name, step, 'steps go round in a circle')];
    return compareVersions(rule.order, from, to) < 0
      ? []
      : [invalidStep(name, step, 'it leads to an older version')];
  });
}

function invalidStep(name: string, { from, to }: Step, reason: string): Finding {
  return refusal('step_invalid', `${name} ${from} -> ${to}`, {
    detail: { reason },
    hint: 'Describe each step once, from the older to the newer version; the way back is its inverse.',
  });
}

function leadsBack({ from, to }: Step, steps: readonly Step[]): boolean {
  const reached = [to];
  for (const version of reached) {
    for (const next of steps) {
      if (next.from === version && !reached.includes(next.to)) reached.push(next.to);
    }
  }
  return reached.includes(from);
}

function checkOps({ name, rule }: Model, steps: readonly Step[]): readonly Finding[] {
  const versionFields = new Set(versionPlaces(rule));
  return steps.flatMap((step) => {
    const pointers = step.kind === 'ops' ? step.ops.flatMap(pointersOf) : [];
    const bad = pointers.find((pointer) => !isPointer(pointer));
    if (bad !== undefined) return [invalidStep(name, step, `${bad} is no pointer`)];
    const topmost = step.kind === 'ops' ? step.ops.flatMap(writtenBy) : [];
    const isVersion = topmost.some((pointer) => versionFields.has(pointer));
    return isVersion ? [invalidStep(name, step, 'it writes the version, which the engine does')] : [];
  });
}

function pointersOf(op: Op): readonly Pointer[] {
  switch (op.kind) {
    case 'move':
    case 'copy':
      return [op.from, op.to];
    case 'nest':
      return [];
    case 'split':
      return [op.at, ...op.into];
    case 'combine':
      return [...op.from, op.into];
    case 'when':
      return [op.test.at, ...op.ops.flatMap(pointersOf), ...op.otherwise.flatMap(pointersOf)];
    case 'inside':
    case 'map':
    case 'mapValues':
      return [op.at, ...op.ops.flatMap(pointersOf)];
    case 'tree':
      return [op.at, ...op.branches.map(({ at }) => at), ...op.ops.flatMap(pointersOf)];
    case 'add':
    case 'remove':
    case 'introduce':
    case 'constant':
    case 'rename':
    case 'hoist':
    case 'wrap':
    case 'head':
    case 'convert':
    case 'coerce':
      return [op.at];
  }
}

/** Places of the whole document; those within another op's place are its own. */
function writtenBy(op: Op): readonly Pointer[] {
  if (op.kind === 'when') return [...op.ops, ...op.otherwise].flatMap(writtenBy);
  if ('ops' in op) return [op.at];
  return op.kind === 'nest'
    ? op.names.map((name) => `/${name}`)
    : pointersOf(op).slice(0, 'into' in op ? 9 : 2);
}

/** Schemas that no validator takes. */
export function brokenSnapshots(model: Model): readonly Finding[] {
  return [...model.versions.keys()].flatMap((version) => {
    try {
      validatorOf(model, version);
      return [];
    } catch (error) {
      return [
        refusal('snapshot_invalid', `${model.name} ${version}`, {
          detail: { reason: error instanceof Error ? error.message : typeof error },
          hint: 'Correct the schema: draft 2020-12, or draft-07 or draft-04 where `$schema` says so.',
        }),
      ];
    }
  });
}

function checkReachable({ current, versions, graph }: Model): readonly Finding[] {
  return [...versions.keys()].flatMap((version) => {
    const path = findPath(graph, version, current, { allowLossy: true });
    return path.status === 'refused' ? path.findings : [];
  });
}

/** A declared place must be open in the current schema; the default one gives way by itself. */
function checkPlaces({ name, policy, current, versions }: Model): readonly Finding[] {
  const { provenance, residue } = declaredPlaces(policy);
  const json = versions.get(current)?.snapshot?.json;
  if (json === undefined) return [];
  const isForbidden = {
    provenance:
      policy.provenance !== undefined &&
      provenance !== undefined &&
      !isPlaceAllowed(json, json, [...provenance, 'migration_history'], 'array'),
    residue:
      policy.residue !== undefined &&
      residue !== undefined &&
      !isPlaceAllowed(json, json, [...residue.at, `${residue.prefix}x`], undefined),
  };
  return (['provenance', 'residue'] as const)
    .filter((what) => isForbidden[what])
    .map((what) =>
      refusal('place_forbidden', `${name} ${current}`, {
        detail: { what },
        hint: 'Name a place that the schema leaves open, or keep it beside the document.',
      }),
    );
}

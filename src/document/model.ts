/**
 * A document type as it was declared and registered, sealed: what all verbs read and none changes.
 */
import { VarveError, type Clock } from '../base/index.ts';
import type { Digest } from '../evidence/index.ts';
import type { Thresholds } from './coverage-report.ts';
import { worstLoss, type Loss } from './op/loss.ts';
import { findPath, type Graph, type PathOptions, type PathRef } from './path.ts';
import { pointerToSegments, type Pointer, type Segments } from './pointer.ts';
import { ok, type Result } from './result.ts';
import type { Snapshot } from './schema.ts';
import { stepRef, type Edge, type StepRef } from './step.ts';
import { compileSchema, type Validate } from './validate.ts';
import { valueDigest } from './value.ts';
import type { Version, VersionField, VersionRule } from './version.ts';

/** A second name of a field, which readers take until a version. */
export interface Alias {
  readonly at: Pointer;
  /** The other name, beside the field. */
  readonly alias: string;
  /** The last version whose readers take it. */
  readonly until: Version;
}

/** What happens where a document leaves a choice. The first of each union is the default. */
export interface Policy {
  /** Whether reading migrates by itself. Default true. */
  readonly auto?: boolean;
  /** A document newer than `current`: refused, handed on unchanged, or brought down by a registered way. */
  readonly newer?: 'refuse' | 'pass' | 'downgrade';
  readonly unknownFields?: 'keep' | 'report' | 'refuse';
  /** Default `/context/metadata`; beside the document where the schema or the document has no room there. */
  readonly provenance?: `/${string}` | 'beside';
  /** Default `{ at: '/context/metadata', prefix: 'legacy_' }`. */
  readonly residue?: { readonly at: `/${string}`; readonly prefix: string } | 'beside';
  /** Default 64 MiB and 1,000 levels. */
  readonly limits?: { readonly sizeBytes: number; readonly depth: number };
  readonly thresholds?: Thresholds;
}

/** What is known of a version. */
export interface VersionEntry {
  readonly snapshot: Snapshot | undefined;
  readonly adds: string | undefined;
}

/** A way with all that follows from it. */
export interface Plan {
  readonly from: Version;
  readonly to: Version;
  readonly path: readonly StepRef[];
  readonly loss: Loss;
  readonly digest: Digest;
}

/** A plan with its steps. */
export interface CompiledPlan {
  readonly plan: Plan;
  readonly edges: readonly Edge[];
}

/** Places within documents, parsed once; undefined is beside them. */
export interface Places {
  readonly provenance: Segments | undefined;
  readonly residue: { readonly at: Segments; readonly prefix: string } | undefined;
}

/** Plans by where they lead to, and there by where they begin. */
type PlansByVersion = Map<Version, Map<Version, Result<CompiledPlan>>>;

/** A sealed document type. */
export interface Model {
  readonly name: string;
  readonly rule: VersionRule;
  readonly field: VersionField;
  readonly current: Version;
  /** Registered versions beyond the current one. */
  readonly beyond: ReadonlySet<Version>;
  readonly versions: ReadonlyMap<Version, VersionEntry>;
  readonly graph: Graph;
  readonly aliases: readonly Alias[];
  readonly policy: Policy;
  readonly clock: Clock;
  readonly limits: { readonly sizeBytes: number; readonly depth: number };
  readonly validators: Map<Version, Validate | undefined>;
  /** By the version that a way leads to, those from each; the second map has those that may lose something. */
  readonly plans: readonly [PlansByVersion, PlansByVersion];
  readonly placesByVersion: Map<Version, Places>;
}

/** What a document may be at most, where nothing else is said. */
export const DEFAULT_LIMITS: Model['limits'] = { sizeBytes: 64 * 1024 * 1024, depth: 1000 };
/** Where provenance and residue stand, where nothing else is said. */
export const DEFAULT_PLACE = '/context/metadata';
/** What names of residue begin with, where nothing else is said. */
export const DEFAULT_PREFIX = 'legacy_';

/** Two declared ways that do the same, as `defineDocument` takes them. */
export type EquivalentPaths = readonly (readonly [PathRef, PathRef])[];

/** The plan between two versions, made once. */
export function planBetween(
  model: Model,
  from: Version,
  to: Version,
  options: PathOptions = {},
): Result<CompiledPlan> {
  const plansByTarget = model.plans[options.allowLossy === true ? 1 : 0];
  const known = plansByTarget.get(to)?.get(from);
  if (known !== undefined) return known;
  const path = findPath(model.graph, from, to, options);
  const plan = path.status === 'refused' ? path : ok(compilePlan(from, to, path.value));
  plansByTarget.set(to, (plansByTarget.get(to) ?? new Map<Version, Result<CompiledPlan>>()).set(from, plan));
  return plan;
}

function compilePlan(from: Version, to: Version, edges: readonly Edge[]): CompiledPlan {
  const path = edges.map(stepRef);
  const loss = worstLoss(edges.map(({ step }) => step.loss));
  const digest = valueDigest({ from, to, path: path.map((ref) => ({ ...ref })) });
  return { plan: { from, to, path, loss, digest }, edges };
}

/** The validator of a version, or undefined where it has no snapshot. */
export function validatorOf(model: Model, version: Version): Validate | undefined {
  if (model.validators.has(version)) return model.validators.get(version);
  const schema = model.versions.get(version)?.snapshot?.schema;
  const validate = schema === undefined ? undefined : compileSchema(schema);
  model.validators.set(version, validate);
  return validate;
}

/** The declared places, parsed. */
export function declaredPlaces(policy: Policy): Places {
  const provenance = policy.provenance ?? DEFAULT_PLACE;
  const residue = policy.residue ?? { at: DEFAULT_PLACE, prefix: DEFAULT_PREFIX };
  return {
    provenance: provenance === 'beside' ? undefined : pointerToSegments(provenance),
    residue: residue === 'beside' ? undefined : { at: pointerToSegments(residue.at), prefix: residue.prefix },
  };
}

/** A verb was called on a type that is sealed, or whose schema went missing since: a bug of the caller. */
export function sealedError(name: string): VarveError {
  return new VarveError('document_sealed', {
    detail: { document: name },
    hint: 'Register all steps and snapshots before the first document is read.',
  });
}

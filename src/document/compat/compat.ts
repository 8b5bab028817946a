/**
 * Whether readers of one version can read what writers of another write, before either is released.
 *
 * `no` has a witness, `yes` a proof, the rest is `unknown`: fifty thousand documents that pass prove nothing, so they
 * only make an unknown less worrying. The version field is left aside, since a reader that minds it can read no other
 * version at all.
 */
import { refusal, type JsonObject } from '../../base/index.ts';
import { planBetween, type Model } from '../model.ts';
import { composeMoves, fieldMoves, type FieldMove } from '../op/op-schema.ts';
import { pointerToSegments } from '../pointer.ts';
import { ok, refused, type Result } from '../result.ts';
import { propertiesOf, requiredOf } from '../schema-part.ts';
import type { JsonSchema } from '../schema.ts';
import { compileSchema } from '../validate.ts';
import { withoutMember } from '../value.ts';
import { compareVersions, versionPlaces, type Version } from '../version.ts';
import { schemaDifferences, type SchemaDifference } from './change.ts';
import { isSubsumed } from './subsume.ts';
import { findWitness, type Direction, type Witness } from './witness.ts';

/** Who must read whom: the new the old, the old the new, both; TRANSITIVE over all versions between. */
export type CompatMode =
  'BACKWARD' | 'FORWARD' | 'FULL' | 'BACKWARD_TRANSITIVE' | 'FORWARD_TRANSITIVE' | 'FULL_TRANSITIVE' | 'NONE';

/** Proved, refuted by a document, or neither. */
export type CompatVerdict = 'yes' | 'no' | 'unknown';

/** What a comparison may assume. */
export interface CompatOptions {
  /** Drops the assumption that writers write only fields that their schema names. */
  readonly strict?: boolean;
}

/** One reader and one writer. */
export type CompatDirection = {
  readonly direction: 'BACKWARD' | 'FORWARD';
  readonly writer: Version;
  readonly reader: Version;
  readonly verdict: CompatVerdict;
  readonly witness?: Witness;
  /** Why it is unknown. */
  readonly because?: string;
};

/** What can be said of two versions. */
export type CompatReport = {
  readonly older: Version;
  readonly newer: Version;
  readonly mode: CompatMode;
  readonly verdict: CompatVerdict;
  readonly assumption: string;
  readonly directions: readonly CompatDirection[];
  readonly differences: readonly SchemaDifference[];
};

/** Compares two versions of a document type. */
export function checkCompat(
  model: Model,
  older: Version,
  newer: Version,
  mode: CompatMode,
  options: CompatOptions = {},
): Result<CompatReport> {
  const missing = [older, newer].find((version) => !model.versions.has(version));
  if (missing !== undefined) return refused(unknown(model, missing));
  const isStrict = options.strict === true;
  const directions = pairsOf(model, older, newer, mode).map((pair) => judge(model, pair, isStrict));
  const [from, to] = [bareSchema(model, older), bareSchema(model, newer)];
  const moves = movesBetween(model, { writer: older, reader: newer });
  const differences =
    from === undefined || to === undefined
      ? []
      : schemaDifferences({ writer: from, reader: to, isStrict }, moves);
  return ok({
    older,
    newer,
    mode,
    verdict: worst(directions.map(({ verdict }) => verdict)),
    assumption: isStrict
      ? 'none: writers may write fields that their schema does not name'
      : 'writers write only fields that their schema names',
    directions,
    differences,
  });
}

function unknown(model: Model, version: Version) {
  return refusal('unknown_version', `${model.name} ${version}`, {
    detail: { known: [...model.versions.keys()] },
    hint: 'Name two versions of this document type.',
  });
}

function worst(verdicts: readonly CompatVerdict[]): CompatVerdict {
  if (verdicts.includes('no')) return 'no';
  return verdicts.includes('unknown') ? 'unknown' : 'yes';
}

interface Pair {
  readonly direction: 'BACKWARD' | 'FORWARD';
  readonly writer: Version;
  readonly reader: Version;
}

function pairsOf(model: Model, older: Version, newer: Version, mode: CompatMode): readonly Pair[] {
  if (mode === 'NONE') return [];
  const { order } = model.rule;
  const between = [...model.versions.keys()]
    .filter(
      (version) => compareVersions(order, older, version) < 0 && compareVersions(order, version, newer) < 0,
    )
    .toSorted((left, right) => compareVersions(order, left, right));
  const isTransitive = mode.endsWith('_TRANSITIVE');
  const olds = isTransitive ? [older, ...between] : [older];
  const backward = olds.map((writer): Pair => ({ direction: 'BACKWARD', writer, reader: newer }));
  const forward = olds.map((reader): Pair => ({ direction: 'FORWARD', writer: newer, reader }));
  return [...(mode.startsWith('FORWARD') ? [] : backward), ...(mode.startsWith('BACKWARD') ? [] : forward)];
}

function judge(model: Model, pair: Pair, isStrict: boolean): CompatDirection {
  const [writerSchema, readerSchema] = [bareSchema(model, pair.writer), bareSchema(model, pair.reader)];
  if (writerSchema === undefined || readerSchema === undefined) {
    return { ...pair, verdict: 'unknown', because: 'a version has no JSON Schema to compare' };
  }
  const direction: Direction = {
    ...pair,
    writerSchema,
    readerSchema,
    writes: compileSchema(writerSchema),
    reads: compileSchema(readerSchema),
    moves: movesBetween(model, pair),
    isStrict,
  };
  const witness = findWitness(model, direction);
  if (witness !== undefined) return { ...pair, verdict: 'no', witness };
  const isProved = isSubsumed({ writer: writerSchema, reader: readerSchema, isStrict });
  if (!isProved)
    return { ...pair, verdict: 'unknown', because: 'neither a proof nor a counterexample was found' };
  return hasOpaqueStep(model, pair)
    ? { ...pair, verdict: 'unknown', because: 'a code step may change what values mean' }
    : { ...pair, verdict: 'yes' };
}

/** The schema of a version without its version field. */
function bareSchema(model: Model, version: Version): JsonSchema | undefined {
  const json = model.versions.get(version)?.snapshot?.json;
  if (json === undefined) return undefined;
  const key = `${model.name}\n${version}`;
  const known = bareByModel.get(model)?.get(key);
  if (known !== undefined) return known;
  const bare = versionPlaces(model.rule).reduce<JsonObject>((schema, at) => {
    const [name, ...below] = pointerToSegments(at);
    if (name === undefined || below.length > 0) return schema;
    const required = requiredOf(schema).filter((other) => other !== name);
    const { required: _required, properties: _properties, ...rest } = schema;
    const properties = withoutMember(propertiesOf(schema), name);
    return {
      ...rest,
      ...(Object.keys(properties).length === 0 ? {} : { properties }),
      ...(required.length === 0 ? {} : { required }),
    };
  }, json);
  bareByModel.set(model, (bareByModel.get(model) ?? new Map<string, JsonSchema>()).set(key, bare));
  return bare;
}

/** One object per schema, so that its validator is compiled once. */
const bareByModel = new WeakMap<Model, Map<string, JsonSchema>>();

function movesBetween(
  model: Model,
  { writer, reader }: Pick<Pair, 'writer' | 'reader'>,
): readonly FieldMove[] {
  const isUp = compareVersions(model.rule.order, writer, reader) < 0;
  const [from, to] = isUp ? [writer, reader] : [reader, writer];
  const plan = planBetween(model, from, to, { allowLossy: true });
  if (plan.status === 'refused') return [];
  const moves = composeMoves(
    plan.value.edges.flatMap(({ step }) => (step.kind === 'ops' ? fieldMoves(step.ops) : [])),
  );
  return isUp ? moves : moves.map(({ from, to }) => ({ from: to, to: from }));
}

function hasOpaqueStep(model: Model, { writer, reader }: Pair): boolean {
  const plan = planBetween(model, writer, reader, { allowLossy: true });
  return plan.status === 'ok' && plan.value.edges.some(({ step }) => step.kind === 'code');
}

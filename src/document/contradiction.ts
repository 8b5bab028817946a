/**
 * Snapshots that say something else than the steps that lead to them.
 *
 * Held against each other are names, requiredness and types, not values: that a schema gets stricter about values is no
 * contradiction but a question to the corpus.
 */
import { refusal, type Finding, type Json } from '../base/index.ts';
import { declaredPlaces, type Model } from './model.ts';
import { schemaAfter } from './op/op-schema.ts';
import { escapeSegment, segmentsToPointer, type Pointer } from './pointer.ts';
import { followRef, propertiesOf, requiredOf, typesOf } from './schema-part.ts';
import type { JsonSchema } from './schema.ts';
import type { Step } from './step.ts';
import { isObject, memberOf } from './value.ts';
import { versionPlaces } from './version.ts';

/** A difference of what steps lead to from what the snapshot says. */
interface Contradiction {
  readonly pointer: Pointer;
  readonly reason: 'left over' | 'missing' | 'of another type';
}

/** A finding for each step whose result cannot fit the snapshot it leads to. */
export function contradictions(model: Model, steps: readonly Step[]): readonly Finding[] {
  return steps.flatMap((step) => {
    const [from, to] = [step.from, step.to].map((version) => model.versions.get(version)?.snapshot?.json);
    if (step.kind !== 'ops' || from === undefined || to === undefined) return [];
    const derived = schemaAfter(from, step.ops);
    if (!derived.isExact) return [];
    const own = ownPlaces(model);
    const found = [...compare(pair(from, derived.schema, to), '')].filter(
      ({ pointer }) => !own.some((at) => at === pointer || at.startsWith(`${pointer}/`)),
    );
    if (found.length === 0) return [];
    return [
      refusal('snapshot_contradicts', `${model.name} ${step.from} -> ${step.to}`, {
        detail: { at: found.slice(0, 20).map((one) => ({ ...one })) },
        hint: 'Correct the step or the snapshot: what the step gives does not fit it.',
      }),
    ];
  });
}

function ownPlaces(model: Model): readonly Pointer[] {
  const { provenance, residue } = declaredPlaces(model.policy);
  const places = [provenance, residue?.at].filter((at) => at !== undefined).map(segmentsToPointer);
  return [...versionPlaces(model.rule), ...places];
}

interface Pair {
  readonly derivedRoot: JsonSchema;
  readonly derived: Json;
  readonly declaredRoot: JsonSchema;
  readonly declared: Json;
}

function pair(derivedRoot: JsonSchema, derived: Json, declared: JsonSchema): Pair {
  return { derivedRoot, derived, declaredRoot: declared, declared };
}

function* compare(pair: Pair, pointer: Pointer, depth = 32): Generator<Contradiction> {
  const derived = followRef(pair.derivedRoot, pair.derived);
  const declared = followRef(pair.declaredRoot, pair.declared);
  if (!isObject(derived) || !isObject(declared) || depth === 0) return;
  const [types, others] = [typesOf(derived), typesOf(declared)];
  if (types !== undefined && others !== undefined && !types.some((type) => others.includes(type))) {
    yield { pointer, reason: 'of another type' };
    return;
  }
  const names = Object.keys(propertiesOf(derived));
  if (names.length === 0) return;
  const isClosed = declared['additionalProperties'] === false && declared['patternProperties'] === undefined;
  for (const name of new Set([...names, ...requiredOf(declared)])) {
    const here = `${pointer}/${escapeSegment(name)}`;
    const [left, right] = [derived, declared].map((schema) => memberOf(propertiesOf(schema), name));
    if (left === undefined) yield { pointer: here, reason: 'missing' };
    else if (right !== undefined)
      yield* compare({ ...pair, derived: left, declared: right }, here, depth - 1);
    else if (isClosed) yield { pointer: here, reason: 'left over' };
  }
}

/**
 * Values that a step makes up without saying that they are guesses: neither `assumed` nor a default of the schema.
 *
 * Of ops that is read off the op. Of code it is looked at: only a step of class `generates` says that it makes values, and
 * what it made is what no value of the document before says. An empty object or array is a place and no fact.
 */
import type { Json } from '../base/index.ts';
import type { Assumed } from './assumed.ts';
import { leavesOf } from './leaf.ts';
import type { Model } from './model.ts';
import type { Op } from './op/op.ts';
import { pointerToSegments, type Pointer } from './pointer.ts';
import { followRef, propertiesOf } from './schema-part.ts';
import type { Edge } from './step.ts';
import { equalJson, isArray, isObject, memberOf, sortedText } from './value.ts';

interface Made {
  readonly pointer: Pointer;
  readonly value: Json;
}

/** Places of a step's made-up values that nothing declares; `*` is any element or member. */
export function undeclaredOf(
  model: Model,
  edge: Edge,
  before: Json,
  after: Json,
  assumed: readonly Assumed[],
): readonly Pointer[] {
  const { step } = edge;
  if (!edge.isForward) return [];
  const bare = (document: Json): Json => model.field.erase(document);
  const isMaking = step.kind === 'code' && step.loss === 'generates';
  const coded = isMaking ? news(bare(before), bare(after)) : [];
  const made = step.kind === 'ops' ? step.ops.flatMap(addedBy) : coded;
  const told = new Set(assumed.map(({ pointer }) => pointer));
  return made
    .filter(({ pointer, value }) => !told.has(pointer) && !isDefault(model, edge, pointer, value))
    .map(({ pointer }) => pointer);
}

function addedBy(op: Op): readonly Made[] {
  switch (op.kind) {
    case 'add': {
      const isPlace = sortedText(op.value) === '{}' || sortedText(op.value) === '[]';
      return op.assumed === undefined && !isPlace ? [{ pointer: op.at, value: op.value }] : [];
    }
    case 'inside':
    case 'tree':
      return below(op.at, op.ops);
    case 'map':
    case 'mapValues':
      return below(`${op.at}/*`, op.ops);
    case 'when':
      return [...op.ops, ...op.otherwise].flatMap(addedBy);
    default:
      return [];
  }
}

function below(at: Pointer, ops: readonly Op[]): readonly Made[] {
  return ops.flatMap(addedBy).map(({ pointer, value }) => ({ pointer: at + pointer, value }));
}

function news(before: Json, after: Json): readonly Made[] {
  const known = new Set([...leavesOf(before)].map(({ value }) => sortedText(value)));
  return [...leavesOf(after)].filter(({ value }) => {
    const text = sortedText(value);
    return text !== '{}' && text !== '[]' && !known.has(text);
  });
}

function isDefault({ versions }: Model, { to }: Edge, pointer: Pointer, value: Json): boolean {
  const root = versions.get(to)?.snapshot?.json;
  if (root === undefined) return false;
  let node = followRef(root, root);
  for (const name of pointerToSegments(pointer)) {
    const next = isObject(node) ? childSchema(node, name) : undefined;
    if (next === undefined) return false;
    node = followRef(root, next);
  }
  return isObject(node) && Object.hasOwn(node, 'default') && equalJson(node['default'], value);
}

function childSchema(node: { readonly [name: string]: Json }, name: string): Json | undefined {
  const named = memberOf(propertiesOf(node), name);
  if (named !== undefined) return named;
  const other = node['items'] ?? node['additionalProperties'];
  return other === undefined || isArray(other) ? undefined : other;
}

/**
 * What ops make of a schema: the second reading of the same list, with fields in place of values.
 *
 * A part of the schema that says its fields in other ways than `properties` and `items` cannot be followed; the result
 * then is a guess at that place, and `isExact` says so.
 */
import type { Json, JsonObject } from '../../base/index.ts';
import { pointerToSegments, segmentsToPointer, type Pointer, type Segments } from '../pointer.ts';
import { followRef, propertiesOf, requiredOf } from '../schema-part.ts';
import type { JsonSchema } from '../schema.ts';
import { isArray, isObject, memberOf, withMember, withoutMember } from '../value.ts';
import type { Branch, Conversion, Op } from './op.ts';

/** A field that lies elsewhere afterwards, with the same value. */
export interface FieldMove {
  readonly from: Pointer;
  readonly to: Pointer;
}

/** A schema after some ops. */
export interface SchemaChange {
  readonly schema: JsonObject;
  readonly isExact: boolean;
}

interface Field {
  readonly schema: Json;
  readonly isRequired: boolean;
}

/** The schema of documents that these ops were applied to. */
export function schemaAfter(root: JsonSchema, ops: readonly Op[]): SchemaChange {
  const state: State = { root, isExact: true };
  const schema = ops.reduce<Json>((now, op) => afterOp(state, now, op), root);
  return { schema: isObject(schema) ? schema : root, isExact: state.isExact };
}

interface State {
  readonly root: JsonSchema;
  isExact: boolean;
}

function afterOp(state: State, schema: Json, op: Op): Json {
  switch (op.kind) {
    case 'add':
    case 'constant':
      return putField(state, schema, op.at, { schema: schemaOfValue(op.value), isRequired: true });
    case 'remove':
      return putField(state, schema, op.at, undefined);
    case 'introduce':
      return introduceField(state, schema, op.at);
    case 'rename':
      return moveField(state, schema, op.at, renamed(op.at, op.name));
    case 'move':
      return moveField(state, schema, op.from, op.to);
    case 'copy':
      return putField(state, schema, op.to, fieldAt(state, schema, pointerToSegments(op.from)));
    case 'nest':
      return nestFields(state, schema, op.names, op.under);
    case 'hoist':
      return hoistFields(state, schema, pointerToSegments(op.at), op.names);
    case 'wrap':
      return changeField(state, schema, op.at, (items) => ({
        type: 'array',
        items,
        minItems: 1,
        maxItems: 1,
      }));
    case 'head':
      return headField(state, schema, op.at);
    case 'inside':
      return changeField(state, schema, op.at, (inner) => afterOps(state, inner, op.ops));
    case 'map':
      return changeField(state, schema, op.at, (array) => changeItems(state, array, op.ops));
    case 'mapValues':
      return changeField(state, schema, op.at, (object) => changeMembers(state, object, op.ops));
    case 'convert':
      return changeField(state, schema, op.at, () => convertedSchema(op.by));
    case 'coerce':
      return changeField(state, schema, op.at, () => ({ type: op.to }));
    case 'split':
      return splitField(state, schema, op.at, op.into);
    case 'combine':
      return combineFields(state, schema, op.from, op.into);
    case 'tree':
    case 'when':
      state.isExact = false;
      return schema;
  }
}

/** What the field holds is the next schema's to say. */
function introduceField(state: State, schema: Json, at: Pointer): Json {
  const known = fieldAt(state, schema, pointerToSegments(at));
  return known === undefined ? putField(state, schema, at, { schema: true, isRequired: false }) : schema;
}

function afterOps(state: State, schema: Json, ops: readonly Op[]): Json {
  return ops.reduce<Json>((now, op) => afterOp(state, now, op), schema);
}

function renamed(at: Pointer, name: string): Pointer {
  return segmentsToPointer([...pointerToSegments(at).slice(0, -1), name]);
}

/** The object schema at a place, references followed; undefined where the schema does not say. */
function nodeAt(state: State, schema: Json, segments: Segments): JsonObject | undefined {
  let node: Json = followRef(state.root, schema);
  for (const name of segments) {
    const next: Json | undefined = isObject(node) ? memberOf(propertiesOf(node), name) : undefined;
    if (next === undefined) return undefined;
    node = followRef(state.root, next);
  }
  return isObject(node) ? node : undefined;
}

function fieldAt(state: State, schema: Json, segments: Segments): Field | undefined {
  const parent = nodeAt(state, schema, segments.slice(0, -1));
  const name = segments.at(-1) ?? '';
  const found = parent === undefined ? undefined : memberOf(propertiesOf(parent), name);
  if (parent === undefined || found === undefined) return undefined;
  return { schema: found, isRequired: requiredOf(parent).includes(name) };
}

/** The schema with another one at a place; the references on the way are written out. */
function withNode(state: State, schema: Json, segments: Segments, change: (node: JsonObject) => Json): Json {
  const node = followRef(state.root, schema);
  const [name, ...below] = segments;
  if (!isObject(node)) {
    state.isExact = false;
    return schema;
  }
  if (name === undefined) return change(node);
  const next = memberOf(propertiesOf(node), name);
  if (next === undefined) {
    state.isExact = false;
    return schema;
  }
  const changed = withNode(state, next, below, change);
  return withMember(node, 'properties', withMember(propertiesOf(node), name, changed));
}

function putField(state: State, schema: Json, at: Pointer, field: Field | undefined): Json {
  const segments = pointerToSegments(at);
  const name = segments.at(-1) ?? '';
  return withNode(state, schema, segments.slice(0, -1), (parent) => withField(parent, name, field));
}

function withField(parent: JsonObject, name: string, field: Field | undefined): JsonObject {
  const properties = withoutMember(propertiesOf(parent), name);
  const required = requiredOf(parent).filter((other) => other !== name);
  const named = field === undefined ? properties : withMember(properties, name, field.schema);
  const needed = field?.isRequired === true ? [...required, name] : required;
  const rest = withoutMember(withoutMember(parent, 'properties'), 'required');
  return { ...rest, properties: named, ...(needed.length === 0 ? {} : { required: needed }) };
}

function moveField(state: State, schema: Json, from: Pointer, to: Pointer): Json {
  const field = fieldAt(state, schema, pointerToSegments(from));
  if (field === undefined) {
    state.isExact = false;
    return schema;
  }
  return putField(state, putField(state, schema, from, undefined), to, field);
}

function changeField(state: State, schema: Json, at: Pointer, change: (field: Json) => Json): Json {
  const field = fieldAt(state, schema, pointerToSegments(at));
  if (field === undefined) {
    state.isExact = false;
    return schema;
  }
  return putField(state, schema, at, { ...field, schema: change(field.schema) });
}

function nestFields(state: State, schema: Json, names: readonly string[], under: string): Json {
  const fields = names.map((name) => fieldAt(state, schema, [name]));
  const object = names.reduce<JsonObject>((parent, name, index) => withField(parent, name, fields[index]), {
    type: 'object',
  });
  const isRequired = fields.some((field) => field?.isRequired === true);
  const without = names.reduce<Json>(
    (now, name) => putField(state, now, segmentsToPointer([name]), undefined),
    schema,
  );
  return putField(state, without, segmentsToPointer([under]), { schema: object, isRequired });
}

function hoistFields(state: State, schema: Json, at: Segments, names: readonly string[]): Json {
  const object = fieldAt(state, schema, at);
  if (object === undefined) {
    state.isExact = false;
    return schema;
  }
  const node = followRef(state.root, object.schema);
  const rest = names.reduce<JsonObject>(
    (parent, name) => withField(parent, name, undefined),
    isObject(node) ? node : {},
  );
  const isEmptied = Object.keys(propertiesOf(rest)).length === 0;
  const place = segmentsToPointer(at);
  const kept = isEmptied ? undefined : { schema: rest, isRequired: object.isRequired };
  return names.reduce<Json>(
    (now, name) => {
      const field = fieldAt(state, schema, [...at, name]);
      const isRequired = object.isRequired && field?.isRequired === true;
      const target = segmentsToPointer([...at.slice(0, -1), name]);
      return field === undefined ? now : putField(state, now, target, { schema: field.schema, isRequired });
    },
    putField(state, schema, place, kept),
  );
}

function headField(state: State, schema: Json, at: Pointer): Json {
  const field = fieldAt(state, schema, pointerToSegments(at));
  const array = field === undefined ? undefined : followRef(state.root, field.schema);
  if (field === undefined || !isObject(array)) {
    state.isExact = false;
    return schema;
  }
  const isFilled = typeof array['minItems'] === 'number' && array['minItems'] > 0;
  return putField(state, schema, at, {
    schema: array['items'] ?? true,
    isRequired: field.isRequired && isFilled,
  });
}

function changeItems(state: State, array: Json, ops: readonly Op[]): Json {
  const node = followRef(state.root, array);
  if (!isObject(node) || node['items'] === undefined || node['prefixItems'] !== undefined) {
    state.isExact = false;
    return array;
  }
  return withMember(node, 'items', afterOps(state, node['items'], ops));
}

function changeMembers(state: State, object: Json, ops: readonly Op[]): Json {
  const node = followRef(state.root, object);
  if (!isObject(node) || !isObject(node['additionalProperties'])) {
    state.isExact = false;
    return object;
  }
  return withMember(node, 'additionalProperties', afterOps(state, node['additionalProperties'], ops));
}

function convertedSchema(by: Conversion): JsonObject {
  if ('table' in by) return { enum: by.table.map(([, to]) => to) };
  return { type: 'scale' in by ? 'number' : 'string' };
}

function splitField(state: State, schema: Json, at: Pointer, into: readonly Pointer[]): Json {
  const field = fieldAt(state, schema, pointerToSegments(at));
  const without = putField(state, schema, at, undefined);
  return into.reduce<Json>((now, place, index) => {
    const isRequired = index === 0 && field?.isRequired === true;
    return putField(state, now, place, { schema: { type: 'string' }, isRequired });
  }, without);
}

function combineFields(state: State, schema: Json, from: readonly Pointer[], into: Pointer): Json {
  const fields = from.map((place) => fieldAt(state, schema, pointerToSegments(place)));
  const without = from.reduce<Json>((now, place) => putField(state, now, place, undefined), schema);
  const isRequired = fields.some((field) => field?.isRequired === true);
  return putField(state, without, into, { schema: { type: 'string' }, isRequired });
}

/** What a schema would say that accepts values like this one. */
export function schemaOfValue(value: Json): JsonObject {
  if (value === null) return { type: 'null' };
  if (isArray(value)) return { type: 'array' };
  if (!isObject(value)) return { type: typeof value === 'object' ? 'number' : typeof value };
  const names = Object.keys(value);
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, schemaOfValue(value[name] as Json)])),
    ...(names.length === 0 ? {} : { required: names }),
  };
}

/** The fields that these ops move, from where they lie before the first to where after the last; `*` is any element. */
export function fieldMoves(ops: readonly Op[]): readonly FieldMove[] {
  return composeMoves(ops.flatMap(movesOf));
}

/** Moves in a row as moves from the start to the end. */
export function composeMoves(moves: readonly FieldMove[]): readonly FieldMove[] {
  const placeByOrigin = new Map<Pointer, Pointer>();
  for (const { from, to } of moves) {
    let isKnown = false;
    for (const [origin, place] of placeByOrigin) {
      if (place !== from && !place.startsWith(`${from}/`)) continue;
      placeByOrigin.set(origin, to + place.slice(from.length));
      isKnown = true;
    }
    if (!isKnown) placeByOrigin.set(from, to);
  }
  return [...placeByOrigin].filter(([from, to]) => from !== to).map(([from, to]) => ({ from, to }));
}

function movesOf(op: Op): readonly FieldMove[] {
  switch (op.kind) {
    case 'rename':
      return [{ from: op.at, to: renamed(op.at, op.name) }];
    case 'move':
      return [{ from: op.from, to: op.to }];
    case 'nest':
      return op.names.map((name) => ({
        from: segmentsToPointer([name]),
        to: segmentsToPointer([op.under, name]),
      }));
    case 'hoist':
      return op.names.map((name) => ({
        from: op.at + segmentsToPointer([name]),
        to: renamed(op.at, name),
      }));
    case 'inside':
      return within(op.at, op.ops);
    case 'map':
    case 'mapValues':
      return within(`${op.at}/*`, op.ops);
    case 'tree':
      return [
        ...within(op.at, op.ops),
        ...op.branches.flatMap((branch) => branchMoves(op.at, branch, op.ops)),
      ];
    case 'when':
      return [...op.ops, ...op.otherwise].flatMap(movesOf);
    case 'add':
    case 'remove':
    case 'introduce':
    case 'constant':
    case 'copy':
    case 'wrap':
    case 'head':
    case 'convert':
    case 'coerce':
    case 'split':
    case 'combine':
      return [];
  }
}

/** Of all levels the first stands for those below. */
function branchMoves(root: Pointer, { at, each }: Branch, ops: readonly Op[]): readonly FieldMove[] {
  return within(`${root}${at}${each === undefined ? '' : '/*'}`, ops);
}

function within(at: Pointer, ops: readonly Op[]): readonly FieldMove[] {
  return ops.flatMap(movesOf).map(({ from, to }) => ({ from: at + from, to: at + to }));
}

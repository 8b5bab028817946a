/**
 * What differs between two schemas, as rows of the decision matrix.
 *
 * | change | row | approach |
 * |---|---|---|
 * | optional field added | D12 | declarative; none needed to read |
 * | field renamed | D13 | declarative, with a window for both names |
 * | nested data restructured | D14 | snapshots |
 * | made required, required field added, type changed | D15 | snapshots |
 * | field removed | D18 | `remove`, which keeps residue |
 * | validation tightened or loosened | D19 | the corpus decides; none |
 */
import type { Json, JsonObject } from '../../base/index.ts';
import { op, type Op, type ScalarType } from '../op/op.ts';
import type { FieldMove } from '../op/op-schema.ts';
import { escapeSegment, type Pointer } from '../pointer.ts';
import { followRef, propertiesOf, requiredOf, typesOf } from '../schema-part.ts';
import { equalJson, isObject, memberOf } from '../value.ts';
import { isPartSubsumed, type Subsumption } from './subsume.ts';

/** A row of the decision matrix. */
export type MatrixRow = 'D12' | 'D13' | 'D14' | 'D15' | 'D18' | 'D19';

/** One difference between two schemas, and what to do about it. */
export type SchemaDifference = {
  readonly row: MatrixRow;
  readonly change:
    | 'optional field added'
    | 'required field added'
    | 'field renamed'
    | 'data restructured'
    | 'made required'
    | 'type changed'
    | 'field removed'
    | 'validation tightened'
    | 'validation loosened';
  readonly pointer: Pointer;
  /** Where it lies now, if elsewhere. */
  readonly to?: Pointer;
  readonly approach: string;
  readonly suggested: readonly Op[];
};

const APPROACH: Readonly<Record<MatrixRow, string>> = {
  D12: 'a declarative step; none is needed to read',
  D13: 'a declarative step, and an alias while both names are in use',
  D14: 'a step with snapshots of both versions',
  D15: 'a step with snapshots of both versions',
  D18: 'a declarative step that keeps the value as residue',
  D19: 'let the corpus decide: run coverage',
};

/**
 * The differences, outermost first; `writer` is the older schema, `reader` the newer one. What steps move has moved;
 * else equal schemas tell.
 */
export function schemaDifferences(
  context: Subsumption,
  moves: readonly FieldMove[] = [],
): readonly SchemaDifference[] {
  const found = [...compareObjects({ ...context, above: [] }, context.writer, context.reader, '')];
  return joinMoved(found, moves)
    .filter(({ isInner }) => isInner !== true)
    .map(({ field: _field, isInner: _inner, ...rest }) => rest);
}

/** `isInner`: a field of an object that came or went as a whole; it counts only where it moved. */
type Found = SchemaDifference & { readonly field?: Json; readonly isInner?: true };

function difference(
  row: MatrixRow,
  change: SchemaDifference['change'],
  pointer: Pointer,
  suggested: readonly Op[] = [],
): SchemaDifference {
  return { row, change, pointer, approach: APPROACH[row], suggested };
}

/** A comparison within others: a pair of schemas that is compared further out already is not gone into again. */
interface Within extends Subsumption {
  readonly above: readonly (readonly [Json, Json])[];
}

function* compareObjects(context: Within, older: Json, newer: Json, pointer: Pointer): Generator<Found> {
  const [left, right] = [followRef(context.writer, older), followRef(context.reader, newer)];
  if (!isObject(left) || !isObject(right)) return;
  if (context.above.some(([outer, other]) => outer === left && other === right)) return;
  const inner = { ...context, above: [...context.above, [left, right] as const] };
  const [old, now] = [propertiesOf(left), propertiesOf(right)];
  for (const name of Object.keys(old)) {
    const here = `${pointer}/${escapeSegment(name)}`;
    const next = memberOf(now, name);
    if (next === undefined) {
      yield { ...difference('D18', 'field removed', here, [op.remove(here)]), field: old[name] as Json };
      yield* innerFields(context.writer, old[name] as Json, here, 'field removed');
    } else {
      const [was, is] = [left, right].map((schema) => requiredOf(schema).includes(name));
      if (is === true && was === false) yield difference('D15', 'made required', here);
      if (is === false && was === true) yield difference('D19', 'validation loosened', here);
      yield* compareFields(inner, old[name] as Json, next, here);
    }
  }
  for (const name of Object.keys(now).filter((name) => !Object.hasOwn(old, name))) {
    const here = `${pointer}/${escapeSegment(name)}`;
    yield added(here, now[name] as Json, requiredOf(right).includes(name));
    yield* innerFields(context.reader, now[name] as Json, here, 'optional field added');
  }
}

function* innerFields(
  root: JsonObject,
  schema: Json,
  pointer: Pointer,
  change: 'field removed' | 'optional field added',
): Generator<Found> {
  const fields = propertiesOf(followRef(root, schema));
  for (const name of Object.keys(fields)) {
    const here = `${pointer}/${escapeSegment(name)}`;
    yield { ...difference('D14', change, here), field: fields[name] as Json, isInner: true };
  }
}

function added(pointer: Pointer, field: Json, isRequired: boolean): Found {
  const value = isObject(field) ? field['default'] : undefined;
  if (isRequired) {
    const assumed = 'no value was recorded';
    const put = value === undefined ? op.add(pointer, null, { assumed }) : op.add(pointer, value);
    return { ...difference('D15', 'required field added', pointer, [put]), field };
  }
  return { ...difference('D12', 'optional field added', pointer), field };
}

function* compareFields(context: Within, older: Json, newer: Json, pointer: Pointer): Generator<Found> {
  const [left, right] = [followRef(context.writer, older), followRef(context.reader, newer)];
  if (!isObject(left) || !isObject(right)) return;
  const [was, is] = [typesOf(left), typesOf(right)];
  const isSame = was !== undefined && is !== undefined && was.some((type) => is.includes(type));
  if (was !== undefined && is !== undefined && !isSame) {
    yield changedType(pointer, was, is);
    return;
  }
  const below = [...compareObjects(context, left, right, pointer)];
  yield* below;
  if (left['items'] !== undefined && right['items'] !== undefined) {
    yield* compareFields(context, left['items'], right['items'], `${pointer}/*`);
  }
  if (below.length > 0) return;
  const back: Subsumption = { ...context, writer: context.reader, reader: context.writer };
  if (!isPartSubsumed(context, shallow(left), shallow(right))) {
    yield difference('D19', 'validation tightened', pointer);
  } else if (!isPartSubsumed(back, shallow(right), shallow(left))) {
    yield difference('D19', 'validation loosened', pointer);
  }
}

/** The field without what is compared field by field. */
function shallow(schema: JsonObject): JsonObject {
  const { properties: _properties, required: _required, items: _items, ...rest } = schema;
  return rest;
}

function changedType(pointer: Pointer, was: readonly string[], is: readonly string[]): SchemaDifference {
  const isNested = [...was, ...is].some((type) => type === 'object' || type === 'array');
  if (isNested) return difference('D14', 'data restructured', pointer, nesting(pointer, was, is));
  const [from, to] = [was.at(0), is.at(0)];
  const suggested = isScalar(from) && isScalar(to) ? [op.coerce(pointer, to, from)] : [];
  return difference('D15', 'type changed', pointer, pointer.includes('/*') ? [] : suggested);
}

function nesting(pointer: Pointer, was: readonly string[], is: readonly string[]): readonly Op[] {
  if (pointer.includes('/*')) return [];
  if (is.includes('array')) return [op.wrap(pointer)];
  return was.includes('array') && !is.includes('object') ? [op.head(pointer)] : [];
}

function isScalar(type: string | undefined): type is ScalarType {
  return type === 'string' || type === 'number' || type === 'integer' || type === 'boolean';
}

/** A field that went and one that came with an equal schema are one that moved, where no third could be meant. */
function joinMoved(found: readonly Found[], moves: readonly FieldMove[]): readonly Found[] {
  const gone = found.filter(({ change }) => change === 'field removed');
  const come = found.filter(({ change }) => change.endsWith('field added'));
  const joined = new Map<Found, Found>();
  const taken = new Set<Found>();
  for (const old of gone) {
    const declared = moves.find(({ from }) => from === old.pointer);
    const now =
      declared === undefined
        ? onlyCandidate(old, gone, come)
        : come.find(({ pointer }) => pointer === declared.to);
    if (now === undefined || taken.has(now)) continue;
    taken.add(now);
    joined.set(old, movedField(old, now.pointer));
  }
  const places = [...joined.values()].flatMap(({ pointer, to }) => [pointer, to ?? pointer]);
  const isHull = (one: Found) =>
    one.isInner !== true &&
    places.some((pointer) => pointer.startsWith(`${one.pointer}/`)) &&
    !joined.has(one);
  return found
    .filter((one) => !taken.has(one) && !(isHull(one) && /added|removed/u.test(one.change)))
    .map((one) => joined.get(one) ?? one);
}

function onlyCandidate(old: Found, gone: readonly Found[], come: readonly Found[]): Found | undefined {
  if (!isObject(old.field)) return undefined;
  const schema = bare(old.field);
  const isLike = (other: Found) => equalJson(schema, bare(other.field ?? null));
  const candidates = come.filter((other) => isLike(other) && isNear(old.pointer, other.pointer));
  const [now] = candidates;
  if (now === undefined || candidates.length > 1) return undefined;
  const rivals = gone.filter((other) => isLike(other) && isNear(other.pointer, now.pointer));
  return rivals.length === 1 ? now : undefined;
}

function bare(schema: Json): Json {
  if (!isObject(schema)) return schema;
  const { title: _title, description: _description, default: _default, ...rest } = schema;
  return rest;
}

function parentOf(pointer: Pointer): Pointer {
  return pointer.slice(0, pointer.lastIndexOf('/'));
}

/** Beside it, or of the same name elsewhere. */
function isNear(from: Pointer, to: Pointer): boolean {
  return (
    parentOf(from) === parentOf(to) || from.slice(parentOf(from).length) === to.slice(parentOf(to).length)
  );
}

function movedField(old: Found, to: Pointer): SchemaDifference {
  const isRename = parentOf(old.pointer) === parentOf(to);
  const isPlain = !old.pointer.includes('/*') && !to.includes('/*');
  const name = to
    .slice(parentOf(to).length + 1)
    .replaceAll('~1', '/')
    .replaceAll('~0', '~');
  const row = isRename ? 'D13' : 'D14';
  const suggested = isPlain ? [isRename ? op.rename(old.pointer, name) : op.move(old.pointer, to)] : [];
  const change = isRename ? 'field renamed' : 'data restructured';
  return { ...difference(row, change, old.pointer, suggested), to };
}

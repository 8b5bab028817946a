import type { Json } from '../base/index.ts';
import { valueAt, withValueAt, type Segments } from './pointer.ts';
import type { JsonSchema } from './schema.ts';
import { followRef, isFalse, subschemas, typesOf } from './schema-part.ts';
import { isObject, memberOf, withMember } from './value.ts';

/** Whether an object stands at a place, or can be made there: nothing else stands on the way. */
export function hasRoom(root: Json, segments: Segments): boolean {
  let value: Json | undefined = root;
  for (const name of segments) {
    if (value === undefined) return true;
    if (!isObject(value)) return false;
    value = memberOf(value, name);
  }
  return value === undefined || isObject(value);
}

/** The document with these members more in the object at a place, which is made where it is absent. */
export function withMembersAt(
  root: Json | undefined,
  [name, ...below]: Segments,
  members: Readonly<Record<string, Json>>,
): Json {
  const object = isObject(root) ? root : {};
  if (name === undefined) return { ...object, ...members };
  return withMember(object, name, withMembersAt(memberOf(object, name), below, members));
}

/** The document without the objects of a place that are empty, from the innermost up; the root stays. */
export function withoutEmptyAt(root: Json, segments: Segments): Json {
  let current = root;
  for (let length = segments.length; length > 0; length -= 1) {
    const here = segments.slice(0, length);
    const value = valueAt(current, here);
    if (!isObject(value) || Object.keys(value).length > 0) return current;
    current = withValueAt(current, here, undefined) ?? current;
  }
  return current;
}

/** Whether a schema lets a value of this type stand at a place. What it does not speak of, it allows. */
export function isPlaceAllowed(
  root: JsonSchema,
  schema: Json,
  segments: Segments,
  type: string | undefined,
): boolean {
  const here = followRef(root, schema);
  if (isFalse(here)) return false;
  if (!isObject(here)) return true;
  const isAllowed = (part: Json): boolean => isPlaceAllowed(root, part, segments, type);
  if (!subschemas(here, 'allOf').every(isAllowed)) return false;
  for (const choice of ['anyOf', 'oneOf'] as const) {
    const parts = subschemas(here, choice);
    if (parts.length > 0 && !parts.some(isAllowed)) return false;
  }
  const [name, ...below] = segments;
  const types = typesOf(here);
  if (name === undefined) return types === undefined || type === undefined || types.includes(type);
  if (types !== undefined && !types.includes('object')) return false;
  const properties = here['properties'];
  const named = isObject(properties) ? memberOf(properties, name) : undefined;
  const next = named ?? here['additionalProperties'] ?? here['unevaluatedProperties'] ?? true;
  return isPlaceAllowed(root, next, below, type);
}

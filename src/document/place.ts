import type { Json, JsonObject } from '../base/index.ts';
import { valueAt, withValueAt, type Segments } from './pointer.ts';
import type { JsonSchema } from './schema.ts';
import { followRef, isFalse, subschemas, typesOf } from './schema-part.ts';
import { isObject, memberOf, withMember } from './value.ts';

/** The object at a place and the objects above it made where they are absent; undefined where something else stands. */
export function withObjectAt(root: Json, segments: Segments): Json | undefined {
  let current = root;
  for (let length = 1; length <= segments.length; length += 1) {
    const here = segments.slice(0, length);
    const value = valueAt(current, here);
    if (isObject(value)) continue;
    const made = value === undefined ? withValueAt(current, here, {}) : undefined;
    if (made === undefined) return undefined;
    current = made;
  }
  return isObject(valueAt(current, segments)) ? current : undefined;
}

/** The document with these members of the object at a place; undefined takes one away. */
export function withMembersAt(
  root: Json,
  segments: Segments,
  members: Readonly<Record<string, Json>>,
): Json | undefined {
  const made = withObjectAt(root, segments);
  const object = made === undefined ? undefined : valueAt(made, segments);
  if (made === undefined || !isObject(object)) return undefined;
  const filled = Object.entries(members).reduce<JsonObject>(
    (now, [name, value]) => withMember(now, name, value),
    object,
  );
  return withValueAt(made, segments, filled);
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

import type { Json } from '../base/index.ts';
import { pointerToSegments, valueAt } from './pointer.ts';
import type { JsonSchema } from './schema.ts';
import { isArray, isObject } from './value.ts';

/** More references in a row than this are taken for a circle. */
const MOST_REFS = 32;

/** The schema that a local `$ref` leads to, when nothing but the reference stands there; else the schema itself. */
export function followRef(root: JsonSchema, schema: Json): Json {
  let current = schema;
  for (let count = 0; count < MOST_REFS; count += 1) {
    if (!isObject(current)) return current;
    const reference = current['$ref'];
    if (typeof reference !== 'string') return current;
    const target = refTarget(root, reference);
    if (target === undefined) return current;
    current = target;
  }
  return current;
}

function refTarget(root: JsonSchema, reference: string): Json | undefined {
  if (reference === '#') return root;
  return reference.startsWith('#/')
    ? valueAt(root, pointerToSegments(decoded(reference.slice(1))))
    : undefined;
}

function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

/** Whether a schema accepts nothing. */
export function isFalse(schema: Json): boolean {
  return schema === false;
}

/** The schemas of a list keyword. */
export function subschemas(
  schema: Json,
  keyword: 'allOf' | 'anyOf' | 'oneOf' | 'prefixItems',
): readonly Json[] {
  const list = isObject(schema) ? schema[keyword] : undefined;
  return isArray(list) ? list : [];
}

/** The types that a schema names; undefined where it names none. */
export function typesOf(schema: Json): readonly string[] | undefined {
  if (!isObject(schema)) return undefined;
  const type = schema['type'];
  if (typeof type === 'string') return type === 'number' ? ['number', 'integer'] : [type];
  if (!isArray(type)) return undefined;
  const named = type.filter((name) => typeof name === 'string');
  return named.includes('number') ? [...named, 'integer'] : named;
}

/** The named properties of an object schema. */
export function propertiesOf(schema: Json): Readonly<Record<string, Json>> {
  const properties = isObject(schema) ? schema['properties'] : undefined;
  return isObject(properties) ? properties : {};
}
/** The names that an object must have. */
export function requiredOf(schema: Json): readonly string[] {
  const required = isObject(schema) ? schema['required'] : undefined;
  return isArray(required) ? required.filter((name) => typeof name === 'string') : [];
}

import type { Json, JsonObject } from '../base/index.ts';
import { defineMember, isArray, isObject } from './value.ts';

/** Keywords whose value holds data, or names of the author's, and no schema. */
const DATA = new Set(['enum', 'default', 'const', 'example', 'examples', 'required']);
/** Keywords whose value maps names to schemas. */
const MAPS = new Set(['properties', 'patternProperties', 'definitions', 'dependencies']);

/**
 * A draft-04 schema in the words of draft-07: `id` is `$id`, and an exclusive limit is a number of its own.
 *
 * Source: JSON Schema, release notes of draft-06.
 */
export function fromDraft4(schema: JsonObject): JsonObject {
  return { ...asDraft7(schema), $schema: 'http://json-schema.org/draft-07/schema#' };
}

function asDraft7(schema: JsonObject): JsonObject {
  const changed: Record<string, Json> = {};
  for (const [name, value] of Object.entries(schema)) {
    if (name === 'id' && typeof value === 'string') changed['$id'] = value;
    else if (name === 'exclusiveMinimum' || name === 'exclusiveMaximum') continue;
    else
      defineMember(changed, name, DATA.has(name) ? value : MAPS.has(name) ? eachSchema(value) : below(value));
  }
  moveLimit(schema, changed, 'minimum', 'exclusiveMinimum');
  moveLimit(schema, changed, 'maximum', 'exclusiveMaximum');
  return changed;
}

function moveLimit(
  schema: JsonObject,
  changed: Record<string, Json>,
  limit: 'minimum' | 'maximum',
  exclusive: 'exclusiveMinimum' | 'exclusiveMaximum',
): void {
  const value = schema[limit];
  if (schema[exclusive] !== true || value === undefined) return;
  changed[exclusive] = value;
  delete changed[limit];
}

function below(value: Json): Json {
  if (isArray(value)) return value.map(below);
  return isObject(value) ? asDraft7(value) : value;
}

function eachSchema(value: Json): Json {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, below(schema)]));
}

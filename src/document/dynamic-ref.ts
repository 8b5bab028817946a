import type { Json, JsonObject } from '../base/index.ts';
import type { JsonSchema } from './schema.ts';
import { defineMember, isArray, isObject } from './value.ts';

/** Keywords whose value holds data and no schema. */
const DATA = new Set(['enum', 'default', 'const', 'examples']);

/**
 * A schema of one resource whose dynamic references lead where they can only lead: to the one anchor of that name.
 *
 * ajv takes the function it is just compiling for the anchor of a `$dynamicRef` when the root of the schema has none, so
 * that a schema of OpenAPI 3.1 asks of a schema what it asks of a parameter. A schema with resources of its own (`$id`
 * further down), or with an anchor twice, is left as it is: there the reference is dynamic indeed.
 *
 * Source: JSON Schema 2020-12 core, 8.2.3.2; ajv, lib/vocabularies/dynamic/dynamicRef.ts.
 */
export function withStaticRefs(schema: JsonSchema): JsonSchema {
  const seen: Seen = { anchors: new Map(), isOneResource: true };
  look(schema, seen, true);
  const once = new Set([...seen.anchors].filter(([, count]) => count === 1).map(([name]) => name));
  return seen.isOneResource && once.size > 0 ? rewritten(schema, once) : schema;
}

interface Seen {
  readonly anchors: Map<string, number>;
  isOneResource: boolean;
}

function look(value: Json, seen: Seen, isRoot = false): void {
  if (isArray(value)) {
    for (const item of value) look(item, seen);
    return;
  }
  if (!isObject(value)) return;
  if (!isRoot && typeof value['$id'] === 'string') seen.isOneResource = false;
  // One at the root is what ajv knows.
  const anchor = isRoot ? undefined : value['$dynamicAnchor'];
  if (typeof anchor === 'string') seen.anchors.set(anchor, (seen.anchors.get(anchor) ?? 0) + 1);
  for (const [name, member] of Object.entries(value)) if (!DATA.has(name)) look(member, seen);
}

function rewritten(schema: JsonObject, once: ReadonlySet<string>): JsonObject {
  const changed: Record<string, Json> = {};
  for (const [name, value] of Object.entries(schema)) {
    if (name === '$dynamicAnchor' && isOf(once, value)) changed['$anchor'] = value;
    else if (name !== '$dynamicRef' || !isOf(once, anchorOf(value)))
      defineMember(changed, name, DATA.has(name) ? value : below(value, once));
  }
  const ref = schema['$dynamicRef'];
  if (ref === undefined || !isOf(once, anchorOf(ref))) return changed;
  if (schema['$ref'] === undefined) return { ...changed, $ref: ref };
  const all = changed['allOf'];
  return { ...changed, allOf: [...(isArray(all ?? null) ? (all as readonly Json[]) : []), { $ref: ref }] };
}

function below(value: Json, once: ReadonlySet<string>): Json {
  if (isArray(value)) return value.map((item) => below(item, once));
  return isObject(value) ? rewritten(value, once) : value;
}

function anchorOf(ref: Json): Json {
  return typeof ref === 'string' && ref.startsWith('#') ? ref.slice(1) : null;
}

function isOf(names: ReadonlySet<string>, name: Json): boolean {
  return typeof name === 'string' && names.has(name);
}

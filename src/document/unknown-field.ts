import type { Finding, Json } from '../base/index.ts';
import { declaredPlaces, type Model } from './model.ts';
import { escapeSegment, segmentsToPointer, type Pointer } from './pointer.ts';
import { followRef, propertiesOf, subschemas } from './schema-part.ts';
import type { JsonSchema } from './schema.ts';
import { isArray, isObject } from './value.ts';
import { versionPlaces, type Version } from './version.ts';

/** What the policy has to say of fields that the schema of a version does not name. */
export function unknownFields(model: Model, document: Json, version: Version): readonly Finding[] {
  const policy = model.policy.unknownFields ?? 'keep';
  const json = model.versions.get(version)?.snapshot?.json;
  if (policy === 'keep' || json === undefined) return [];
  const pointers = unnamedPointers(model, json, document);
  if (pointers.length === 0) return [];
  return [
    {
      code: 'unknown_field',
      severity: policy === 'refuse' ? 'error' : 'warning',
      subject: `${model.name} ${version}`,
      detail: { pointers: pointers.slice(0, 20) },
      hint: 'Name the fields in the schema, or take them out of the document.',
    },
  ];
}

/** Fields that no schema names, but for what the type itself writes. */
export function unnamedPointers(model: Model, json: JsonSchema, document: Json): readonly Pointer[] {
  const found: Pointer[] = [];
  collect(json, [json], document, '', found);
  if (found.length === 0) return found;
  const { provenance, residue } = declaredPlaces(model.policy);
  const places = [provenance, residue?.at].filter((at) => at !== undefined).map(segmentsToPointer);
  const own = [...places, ...versionPlaces(model.rule)];
  return found.filter(
    (pointer) =>
      !own.some((at) => at === pointer || at.startsWith(`${pointer}/`) || pointer.startsWith(`${at}/`)),
  );
}

function collect(
  root: JsonSchema,
  schemas: readonly Json[],
  value: Json,
  pointer: string,
  found: Pointer[],
): void {
  if (typeof value !== 'object') return;
  const parts = partsOf(root, schemas);
  if (isArray(value)) {
    const items = parts.flatMap(({ items: each }) => (each === undefined ? [] : [each]));
    if (items.length === 0) return;
    for (const [at, item] of value.entries()) collect(root, items, item, `${pointer}/${at}`, found);
    return;
  }
  if (!isObject(value) || !parts.some(({ isNaming }) => isNaming)) return;
  for (const name of Object.keys(value)) {
    const named: Json[] = [];
    for (const { properties } of parts)
      if (Object.hasOwn(properties, name)) named.push(properties[name] as Json);
    if (named.length === 0) found.push(`${pointer}/${escapeSegment(name)}`);
    else collect(root, named, value[name] as Json, `${pointer}/${escapeSegment(name)}`, found);
  }
}

/** What one schema says of members and elements. */
interface SchemaPart {
  readonly properties: Readonly<Record<string, Json>>;
  readonly isNaming: boolean;
  readonly items: Json | undefined;
}

const partsByRoot = new WeakMap<JsonSchema, Map<Json, readonly SchemaPart[]>>();

/** Schemas and all they are put together of: what any of them names is named. */
function partsOf(root: JsonSchema, schemas: readonly Json[]): readonly SchemaPart[] {
  let known = partsByRoot.get(root);
  if (known === undefined) partsByRoot.set(root, (known = new Map<Json, readonly SchemaPart[]>()));
  const lists = schemas.map((schema) => {
    let parts = known.get(schema);
    if (parts === undefined) known.set(schema, (parts = [...allParts(root, schema, 8)].map(partOf)));
    return parts;
  });
  return lists.length === 1 ? (lists[0] ?? []) : lists.flat();
}

function partOf(schema: Json): SchemaPart {
  const properties = propertiesOf(schema);
  return {
    properties,
    isNaming: Object.keys(properties).length > 0,
    items: isObject(schema) ? schema['items'] : undefined,
  };
}

function* allParts(root: JsonSchema, schema: Json, depth: number): Generator<Json> {
  const here = followRef(root, schema);
  yield here;
  if (depth === 0) return;
  for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const part of subschemas(here, keyword)) yield* allParts(root, part, depth - 1);
  }
}

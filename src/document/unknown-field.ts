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
  const { provenance, residue } = declaredPlaces(model.policy);
  const places = [provenance, residue?.at].filter((at) => at !== undefined).map(segmentsToPointer);
  const own = [...places, ...versionPlaces(model.rule)];
  return [...unnamed(json, [json], document, '')].filter(
    (pointer) =>
      !own.some((at) => at === pointer || at.startsWith(`${pointer}/`) || pointer.startsWith(`${at}/`)),
  );
}

function* unnamed(
  root: JsonSchema,
  schemas: readonly Json[],
  value: Json,
  pointer: string,
): Generator<Pointer> {
  const parts = schemas.flatMap((schema) => [...partsOf(root, schema, 8)]);
  if (isArray(value)) {
    const items = parts.flatMap((part) =>
      isObject(part) && part['items'] !== undefined ? [part['items']] : [],
    );
    for (const [at, item] of items.length === 0 ? [] : value.entries()) {
      yield* unnamed(root, items, item, `${pointer}/${at}`);
    }
    return;
  }
  if (!isObject(value) || !parts.some((part) => Object.keys(propertiesOf(part)).length > 0)) return;
  for (const name of Object.keys(value)) {
    const named = parts.flatMap((part) =>
      Object.hasOwn(propertiesOf(part), name) ? [propertiesOf(part)[name]] : [],
    );
    const here = `${pointer}/${escapeSegment(name)}`;
    if (named.length === 0) yield here;
    else yield* unnamed(root, named as readonly Json[], value[name] as Json, here);
  }
}

/** A schema and all it is put together of: what any of them names is named. */
function* partsOf(root: JsonSchema, schema: Json, depth: number): Generator<Json> {
  const here = followRef(root, schema);
  yield here;
  if (depth === 0) return;
  for (const keyword of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const part of subschemas(here, keyword)) yield* partsOf(root, part, depth - 1);
  }
}

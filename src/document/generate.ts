/**
 * Documents made from a schema: for proofs by example and for tests of laws.
 *
 * What is made fits most schemas and need not fit all (a pattern, a dependency): the caller asks the validator. Equal
 * seeds give equal documents.
 */
import type { Json, JsonObject } from '../base/index.ts';
import { pointerToSegments, type Pointer } from './pointer.ts';
import { followRef, propertiesOf, requiredOf, subschemas, typesOf } from './schema-part.ts';
import type { JsonSchema } from './schema.ts';
import { defineMember, isArray, isObject } from './value.ts';

/** A number from 0 to 1, 1 excluded. */
export type Random = () => number;

/** Reproducible randomness. Source: Tommy Ettinger's mulberry32, public domain. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How documents are made. */
export interface GenerateOptions {
  /** How often an optional field is there: 0 never, 1 always. Default 0.5. */
  readonly optional?: number;
  /** A field that is there, by its JSON Pointer with `*` for the elements of an array, where the schema has a place for it. */
  readonly towards?: Pointer;
}

interface Maker {
  readonly root: JsonSchema;
  readonly random: Random;
  readonly optional: number;
  /** What is left of the way to a field, where this value is on it. */
  readonly towards: readonly string[];
}

/** A document that was made after a schema. */
export function generateDocument(schema: JsonSchema, random: Random, options: GenerateOptions = {}): Json {
  const { optional = 0.5, towards = '' } = options;
  return make({ root: schema, random, optional, towards: pointerToSegments(towards) }, schema, 6);
}

function make(maker: Maker, schema: Json, depth: number): Json {
  const here = combined(maker, followRef(maker.root, schema), depth);
  if (!isObject(here)) return pick(maker, ['x', 1, true, null]);
  if (here['const'] !== undefined) return here['const'];
  if (isArray(here['enum']) && here['enum'].length > 0) return pick(maker, here['enum']);
  switch (typeToMake(maker, here)) {
    case 'null':
      return null;
    case 'boolean':
      return maker.random() < 0.5;
    case 'integer':
      return makeNumber(maker, here, true);
    case 'number':
      return makeNumber(maker, here, false);
    case 'string':
      return makeString(maker, here);
    case 'array':
      return makeArray(maker, here, depth);
    default:
      return makeObject(maker, here, depth);
  }
}

/** One schema out of a schema, all it adds to itself, and one of its choices. */
function combined(maker: Maker, schema: Json, depth: number): Json {
  if (!isObject(schema) || depth < -4) return schema;
  const choices = [...subschemas(schema, 'anyOf'), ...subschemas(schema, 'oneOf')];
  const parts = [...subschemas(schema, 'allOf'), ...(choices.length === 0 ? [] : [pick(maker, choices)])];
  return parts.reduce<JsonObject>((whole, part) => {
    const other = combined(maker, followRef(maker.root, part), depth - 1);
    return isObject(other) ? merged(whole, other) : whole;
  }, schema);
}

function merged(left: JsonObject, right: JsonObject): JsonObject {
  return {
    ...left,
    ...right,
    properties: { ...propertiesOf(left), ...propertiesOf(right) },
    required: [...new Set([...requiredOf(left), ...requiredOf(right)])],
  };
}

function pick<V>(maker: Maker, values: readonly V[]): V {
  return values[Math.floor(maker.random() * values.length)] as V;
}

function typeToMake(maker: Maker, schema: JsonObject): string {
  const types = typesOf(schema);
  if (types !== undefined) {
    // A number is listed as an integer too; both are made alike.
    const named = types.filter((type) => type !== 'integer' || !types.includes('number'));
    return pick(maker, named);
  }
  if (Object.keys(propertiesOf(schema)).length > 0 || requiredOf(schema).length > 0) return 'object';
  if (schema['items'] !== undefined) return 'array';
  if (schema['pattern'] !== undefined || schema['minLength'] !== undefined) return 'string';
  if (schema['minimum'] !== undefined || schema['maximum'] !== undefined) return 'number';
  return pick(maker, ['string', 'integer', 'boolean', 'object']);
}

function limit(schema: JsonObject, keyword: string, otherwise: number): number {
  const value = schema[keyword];
  return typeof value === 'number' ? value : otherwise;
}

function makeNumber(maker: Maker, schema: JsonObject, isInteger: boolean): number {
  const step = limit(schema, 'multipleOf', isInteger ? 1 : 0);
  const low = Math.max(
    limit(schema, 'minimum', -1000),
    limit(schema, 'exclusiveMinimum', -1001) + (step || 0.001),
  );
  const high = Math.min(
    limit(schema, 'maximum', Math.max(low, 1000)),
    limit(schema, 'exclusiveMaximum', Math.max(low, 1000) + 1) - (step || 0.001),
  );
  const number = pick(maker, [low, high, low + maker.random() * (high - low)]);
  if (step > 0)
    return (
      Math.min(Math.max(Math.round(number / step), Math.ceil(low / step)), Math.floor(high / step)) * step
    );
  return number;
}

const WORDS = ['', 'a', 'Alpha', 'b c', 'a/b~c', 'é', '\u{1F600}', '0', 'true', 'x'.repeat(40)] as const;
const FORMS = [
  '1.0.0',
  '1.0',
  'a1',
  'abc',
  'ABC',
  '2024-01-01',
  'a@b.org',
  'https://example.org/a',
  'x-a',
] as const;

function makeString(maker: Maker, schema: JsonObject): string {
  const [least, most] = [limit(schema, 'minLength', 0), limit(schema, 'maxLength', 60)];
  const pattern = schema['pattern'];
  if (typeof pattern === 'string') {
    const fitting = [...FORMS, ...WORDS].filter((word) => fits(pattern, word));
    if (fitting.length > 0) return pick(maker, fitting);
  }
  const word =
    pick(maker, WORDS) + (maker.random() < 0.5 ? '' : Math.floor(maker.random() * 1e6).toString(36));
  return Array.from(word.padEnd(least, 'a')).slice(0, most).join('');
}

function fits(pattern: string, word: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(word);
  } catch {
    return false;
  }
}

function makeArray(maker: Maker, schema: JsonObject, depth: number): Json {
  const least = limit(schema, 'minItems', 0);
  const most = Math.max(least, Math.min(limit(schema, 'maxItems', 3), least + (depth > 0 ? 3 : 0)));
  const length = least + Math.floor(maker.random() * (most - least + 1));
  const first = subschemas(schema, 'prefixItems');
  const items = schema['items'] ?? true;
  const isTowards = maker.towards[0] === '*';
  return Array.from({ length: isTowards ? Math.max(1, length) : length }, (_, at) => {
    const towards = isTowards && at === 0 ? maker.towards.slice(1) : [];
    return make({ ...maker, towards }, first[at] ?? items, depth - 1);
  });
}

function makeObject(maker: Maker, schema: JsonObject, depth: number): JsonObject {
  const made: Record<string, Json> = {};
  const required = requiredOf(schema);
  const properties = propertiesOf(schema);
  const [wanted, ...towards] = maker.towards;
  for (const name of new Set([...Object.keys(properties), ...required])) {
    const isWanted = name === wanted;
    const isThere = isWanted || required.includes(name) || (depth > 0 && maker.random() < maker.optional);
    if (!isThere) continue;
    const inner = { ...maker, towards: isWanted ? towards : [] };
    defineMember(made, name, make(inner, properties[name] ?? true, depth - 1));
  }
  const others = schema['additionalProperties'];
  if (!isObject(others) || depth <= 0) return made;
  for (const name of ['k0', 'k1']) {
    if (maker.random() < 0.5) defineMember(made, name, make({ ...maker, towards: [] }, others, depth - 1));
  }
  return made;
}

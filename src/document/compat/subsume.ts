/**
 * Whether every document that one schema accepts is accepted by another: a proof, or none.
 *
 * Sound, not complete: what is not understood is not proved. Schemas that refer to themselves are taken to hold until
 * something in them does not, which is how a proof over endless documents ends.
 *
 * By default writers write only fields that their schema names; `isStrict` drops that.
 */
import type { Json, JsonObject } from '../../base/index.ts';
import { followRef, propertiesOf, requiredOf, subschemas, typesOf } from '../schema-part.ts';
import type { JsonSchema } from '../schema.ts';
import { equalJson, isArray, isObject, memberOf } from '../value.ts';
import { acceptsScalar } from './scalar.ts';

/** The two schemas that references lead into, and what the writers are held to. */
export interface Subsumption {
  readonly writer: JsonSchema;
  readonly reader: JsonSchema;
  readonly isStrict: boolean;
}

/** Whether it is proved that the reader accepts all that the writer's schema does. */
export function isSubsumed(context: Subsumption): boolean {
  return prove({ ...context, assumed: new Map() }, context.writer, context.reader);
}

/** Whether it is proved for two parts of the schemas. */
export function isPartSubsumed(context: Subsumption, writer: Json, reader: Json): boolean {
  return prove({ ...context, assumed: new Map() }, writer, reader);
}

interface Proof extends Subsumption {
  readonly assumed: Map<object, Set<object>>;
}

/** Keywords that say nothing about which documents are accepted. */
const ANNOTATIONS = new Set(
  (
    '$id id $schema $comment $defs definitions $anchor title description default examples example format ' +
    'deprecated readOnly writeOnly contentEncoding contentMediaType'
  ).split(' '),
);
/** Keywords whose proof is below; any other must stand in both schemas alike. */
const PROVED = new Set(
  (
    '$ref type properties required additionalProperties items enum const minimum maximum exclusiveMinimum ' +
    'exclusiveMaximum minLength maxLength minItems maxItems anyOf oneOf allOf'
  ).split(' '),
);

type Rule = (proof: Proof, writer: JsonObject, reader: JsonObject) => boolean;

/** All must hold for documents that are no choice and no fixed value. */
const RULES: readonly Rule[] = [
  hasTypes,
  isFixedTo,
  hasLimits,
  hasItems,
  hasRequired,
  hasNamedProperties,
  hasOtherProperties,
  hasOtherKeywords,
];

function prove(proof: Proof, writer: Json, reader: Json): boolean {
  const left = followRef(proof.writer, writer);
  const right = followRef(proof.reader, reader);
  if (right === true || left === false) return true;
  if (left === true)
    return isObject(right) && Object.keys(right).every((keyword) => ANNOTATIONS.has(keyword));
  if (!isObject(left) || !isObject(right)) return false;
  const known = proof.assumed.get(left) ?? new Set();
  if (known.has(right)) return true;
  proof.assumed.set(left, known.add(right));
  return proveObject(proof, left, right);
}

function proveObject(proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  if (subschemas(writer, 'allOf').length > 0) return proveObject(proof, joinedParts(proof, writer), reader);
  for (const choice of ['anyOf', 'oneOf'] as const) {
    const branches = subschemas(writer, choice);
    const { [choice]: _branches, ...rest } = writer;
    if (branches.length > 0)
      return branches.every((branch) => prove(proof, joined(proof, rest, branch), reader));
  }
  const { allOf: _all, anyOf: _any, oneOf: _one, ...rest } = reader;
  return (
    subschemas(reader, 'allOf').every((part) => prove(proof, writer, part)) &&
    provesSome(proof, writer, subschemas(reader, 'anyOf')) &&
    provesOne(proof, writer, subschemas(reader, 'oneOf')) &&
    proveKeywords(proof, writer, rest)
  );
}

function proveKeywords(proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  const values = fixedValues(writer);
  if (values !== undefined) return values.every((value) => acceptsScalar(reader, value));
  return RULES.every((rule) => rule(proof, writer, reader));
}

/** What a schema adds to itself; a constraint that cannot be joined is left out, which only makes the proof harder. */
function joinedParts(proof: Proof, schema: JsonObject): JsonObject {
  const { allOf: _parts, ...rest } = schema;
  return subschemas(schema, 'allOf').reduce<JsonObject>((whole, part) => joined(proof, whole, part), rest);
}

function joined(proof: Proof, left: JsonObject, part: Json): JsonObject {
  const right = followRef(proof.writer, part);
  if (!isObject(right)) return left;
  const properties: Record<string, Json> = { ...propertiesOf(left) };
  for (const [name, schema] of Object.entries(propertiesOf(right))) {
    const other = memberOf(properties, name);
    properties[name] = other === undefined ? schema : { allOf: [other, schema] };
  }
  const allOf = [...subschemas(left, 'allOf'), ...subschemas(right, 'allOf')];
  return {
    ...right,
    ...left,
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    required: [...new Set([...requiredOf(left), ...requiredOf(right)])],
    ...(allOf.length === 0 ? {} : { allOf }),
  };
}

function provesSome(proof: Proof, writer: JsonObject, branches: readonly Json[]): boolean {
  return branches.length === 0 || branches.some((branch) => prove(proof, writer, branch));
}

function provesOne(proof: Proof, writer: JsonObject, branches: readonly Json[]): boolean {
  if (branches.length === 0) return true;
  const fitting = branches.filter((branch) => !isDisjoint(proof, writer, branch));
  return fitting.length === 1 && fitting.every((branch) => prove(proof, writer, branch));
}

function isDisjoint(proof: Proof, writer: JsonObject, branch: Json): boolean {
  const [types, others] = [typesOf(writer), typesOf(followRef(proof.reader, branch))];
  return types !== undefined && others !== undefined && !types.some((type) => others.includes(type));
}

function fixedValues(schema: JsonObject): readonly Json[] | undefined {
  if (schema['const'] !== undefined) return [schema['const']];
  return isArray(schema['enum']) ? schema['enum'] : undefined;
}

function hasTypes(_proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  const [types, wanted] = [typesOf(writer), typesOf(reader)];
  return wanted === undefined || (types?.every((type) => wanted.includes(type)) ?? false);
}

/** A reader that wants fixed values is content with no open schema, but for `null` and booleans. */
function isFixedTo(_proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  const wanted = fixedValues(reader);
  if (wanted === undefined) return true;
  const every: Readonly<Record<string, readonly Json[]>> = { null: [null], boolean: [true, false] };
  return (
    typesOf(writer)?.every((type) =>
      every[type]?.every((value) => wanted.some((other) => equalJson(value, other))),
    ) ?? false
  );
}

/** Each limit with its keyword in the other direction, and the types that it concerns. */
const LIMITS = [
  ['minimum', 1, 'number'],
  ['maximum', -1, 'number'],
  ['minLength', 1, 'string'],
  ['maxLength', -1, 'string'],
  ['minItems', 1, 'array'],
  ['maxItems', -1, 'array'],
] as const;

function hasLimits(_proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  const isFree = (type: string) => !mayBe(writer, type);
  const isExclusive = ['exclusiveMinimum', 'exclusiveMaximum'].every(
    (keyword) => reader[keyword] === undefined || isFree('number') || reader[keyword] === writer[keyword],
  );
  return (
    isExclusive &&
    LIMITS.every(([keyword, sign, type]) => {
      const wanted = reader[keyword];
      const given = writer[keyword];
      if (typeof wanted !== 'number' || isFree(type)) return true;
      if (sign === 1 && wanted <= 0 && type !== 'number') return true;
      return typeof given === 'number' && (given - wanted) * sign >= 0;
    })
  );
}

function mayBe(schema: JsonObject, type: string): boolean {
  const types = typesOf(schema);
  return types === undefined || types.includes(type) || (type === 'number' && types.includes('integer'));
}

function hasItems(proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  if (reader['items'] === undefined || !mayBe(writer, 'array') || writer['maxItems'] === 0) return true;
  return prove(proof, writer['items'] ?? true, reader['items']);
}

function hasRequired(_proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  if (!mayBe(writer, 'object')) return true;
  const given = requiredOf(writer);
  return requiredOf(reader).every((name) => given.includes(name));
}

function hasNamedProperties(proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  if (!mayBe(writer, 'object')) return true;
  const [given, wanted] = [propertiesOf(writer), propertiesOf(reader)];
  const shared = Object.keys(given).every((name) => {
    const schema = memberOf(wanted, name) ?? reader['additionalProperties'] ?? true;
    return prove(proof, given[name] as Json, schema);
  });
  const others = otherProperties(proof, writer);
  const isOnlyWanted = Object.keys(wanted).every(
    (name) => Object.hasOwn(given, name) || prove(proof, others, wanted[name] as Json),
  );
  return shared && isOnlyWanted;
}

/** What a writer may put beside the fields it names. */
function otherProperties(proof: Proof, writer: JsonObject): Json {
  return writer['additionalProperties'] ?? proof.isStrict;
}

function hasOtherProperties(proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  if (!mayBe(writer, 'object')) return true;
  return prove(proof, otherProperties(proof, writer), reader['additionalProperties'] ?? true);
}

function hasOtherKeywords(proof: Proof, writer: JsonObject, reader: JsonObject): boolean {
  return Object.keys(reader).every((keyword) => {
    if (PROVED.has(keyword) || ANNOTATIONS.has(keyword)) return true;
    const isSame = equalJson(writer[keyword], reader[keyword]);
    // Equal words mean equal things only where no reference in them leads elsewhere.
    return isSame && (proof.writer === proof.reader || !JSON.stringify(reader[keyword]).includes('"$ref"'));
  });
}

import type { Json, JsonObject } from '../../base/index.ts';
import { typesOf } from '../schema-part.ts';
import { equalJson, isArray } from '../value.ts';

const KNOWN = new Set(
  'type enum const minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength title description default'.split(
    ' ',
  ),
);

/** Whether it is certain that a schema without choices accepts a scalar; a value with parts is never certain. */
export function acceptsScalar(schema: JsonObject, value: Json): boolean {
  if (typeof value === 'object' && value !== null) return isListed(schema, value) && onlyLists(schema);
  const types = typesOf(schema);
  return (
    Object.keys(schema).every((keyword) => KNOWN.has(keyword) || isForOthers(keyword)) &&
    (types === undefined || typeNames(value).some((type) => types.includes(type))) &&
    isListed(schema, value) &&
    isWithin(schema, value)
  );
}

/** Keywords that concern objects and arrays only. */
function isForOthers(keyword: string): boolean {
  return ['properties', 'required', 'additionalProperties', 'items', 'minItems', 'maxItems'].includes(
    keyword,
  );
}

function onlyLists(schema: JsonObject): boolean {
  return Object.keys(schema).every((keyword) => ['enum', 'const', 'title', 'description'].includes(keyword));
}

function typeNames(value: Json): readonly string[] {
  if (value === null) return ['null'];
  if (typeof value !== 'number') return [typeof value];
  return Number.isInteger(value) ? ['integer', 'number'] : ['number'];
}

function isListed(schema: JsonObject, value: Json): boolean {
  if (schema['const'] !== undefined && !equalJson(schema['const'], value)) return false;
  return !isArray(schema['enum']) || schema['enum'].some((other) => equalJson(other, value));
}

function isWithin(schema: JsonObject, value: Json): boolean {
  const least = (keyword: string) => numberOf(schema, keyword, -Infinity);
  const most = (keyword: string) => numberOf(schema, keyword, Infinity);
  if (typeof value === 'number') {
    const isInside = value >= least('minimum') && value <= most('maximum');
    return isInside && value > least('exclusiveMinimum') && value < most('exclusiveMaximum');
  }
  if (typeof value !== 'string') return true;
  const length = Array.from(value).length;
  return length >= least('minLength') && length <= most('maxLength');
}

function numberOf(schema: JsonObject, keyword: string, otherwise: number): number {
  const value = schema[keyword];
  return typeof value === 'number' ? value : otherwise;
}

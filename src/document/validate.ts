/**
 * Validators of snapshots, compiled on first use: ajv for JSON Schema, its own one for a Standard Schema.
 *
 * `format` only annotates, as 2020-12 has it: a word list of formats would differ between readers. Faults name place
 * and rule, never the value.
 */
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { VarveError, type Json, type JsonObject } from '../base/index.ts';
import { fromDraft4 } from './draft4.ts';
import { withStaticRefs } from './dynamic-ref.ts';
import { segmentsToPointer, type Pointer } from './pointer.ts';
import { isStandard, type JsonSchema, type Schema, type StandardIssue } from './schema.ts';
import { defineMember, isArray, isObject, rawText } from './value.ts';

/** What a document lacks: where and by which rule of the schema; never the value. */
export interface SchemaFault {
  readonly pointer: Pointer;
  readonly keyword: string;
}

/** The value as the schema has it, or its faults. */
export type Verdict =
  | { readonly isValid: true; readonly value: unknown }
  | { readonly isValid: false; readonly faults: readonly SchemaFault[] };

/** Judges documents of one version. One that may hold raw numbers is judged by the nearest doubles. */
export type Validate = (document: Json, mayHoldRaw?: boolean) => Verdict;

const validatorBySchema = new WeakMap<Schema, Validate>();

/** The validator of a schema, compiled once. Throws where the schema itself is broken. */
export function compileSchema(schema: Schema): Validate {
  const known = validatorBySchema.get(schema);
  if (known !== undefined) return known;
  const validate = isStandard(schema) ? standardValidator(schema) : jsonValidator(schema);
  validatorBySchema.set(schema, validate);
  return validate;
}

const OPTIONS: Options = {
  strict: false,
  validateFormats: false,
  allErrors: false,
  addUsedSchema: false,
  logger: false,
};

function jsonValidator(schema: JsonSchema): Validate {
  const draft = typeof schema['$schema'] === 'string' ? schema['$schema'] : '';
  const validate: ValidateFunction = /draft-0[467]/u.test(draft)
    ? new Ajv(OPTIONS).compile(asDraft7(draft, schema))
    : new Ajv2020(OPTIONS).compile(withStaticRefs(schema));
  return (document, mayHoldRaw = false) =>
    validate(mayHoldRaw ? withNearestDoubles(document) : document)
      ? { isValid: true, value: document }
      : { isValid: false, faults: (validate.errors ?? []).map(faultOf) };
}

/** Draft-06 is draft-07 with fewer keywords. */
function asDraft7(draft: string, schema: JsonSchema): JsonSchema {
  if (draft.includes('draft-04')) return fromDraft4(schema);
  return { ...schema, $schema: 'http://json-schema.org/draft-07/schema#' };
}

function faultOf({ instancePath, keyword, params }: ErrorObject): SchemaFault {
  const named: unknown =
    params['missingProperty'] ?? params['additionalProperty'] ?? params['unevaluatedProperty'];
  const below = typeof named === 'string' ? segmentsToPointer([named]) : '';
  return { pointer: instancePath + below, keyword };
}

function standardValidator(schema: Schema & { readonly '~standard': unknown }): Validate {
  if (!isStandard(schema)) throw unusable();
  return (document, mayHoldRaw = false) => {
    const verdict = schema['~standard'].validate(mayHoldRaw ? withNearestDoubles(document) : document);
    if (verdict instanceof Promise) {
      // A promise nobody waits for would end the process when it fails.
      verdict.catch(() => undefined);
      return { isValid: false, faults: [{ pointer: '', keyword: 'promise' }] };
    }
    return verdict.issues === undefined
      ? { isValid: true, value: verdict.value }
      : { isValid: false, faults: verdict.issues.map(issueFault) };
  };
}

function unusable(): VarveError {
  return new VarveError('internal', { hint: 'Report this: a schema changed after it was registered.' });
}

function issueFault({ path }: StandardIssue): SchemaFault {
  const parts = (path ?? []).map((part) => String(typeof part === 'object' ? part.key : part));
  return { pointer: segmentsToPointer(parts), keyword: 'standard' };
}

/** The value with each raw number as the nearest finite double: what a schema can judge. The same value if it has none. */
function withNearestDoubles(value: Json): Json {
  const text = rawText(value);
  if (text !== undefined) return nearestDouble(text);
  if (isArray(value)) {
    const items = value.map(withNearestDoubles);
    return items.some((item, at) => item !== value[at]) ? items : value;
  }
  return isObject(value) ? membersWithDoubles(value) : value;
}

function membersWithDoubles(object: JsonObject): JsonObject {
  let changed: Record<string, Json> | undefined;
  for (const name of Object.keys(object)) {
    const member = object[name] as Json;
    if (typeof member !== 'object' || member === null) continue;
    const plain = withNearestDoubles(member);
    if (plain !== member) defineMember((changed ??= { ...object }), name, plain);
  }
  return changed ?? object;
}

function nearestDouble(text: string): number {
  const number = Number(text);
  if (Number.isFinite(number)) return number;
  return number > 0 ? Number.MAX_VALUE : -Number.MAX_VALUE;
}

import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import type { Json } from '../base/index.ts';
import { SCHEMAS, type SchemaName } from './schema.ts';

/** What a value lacks: where, by which rule of the schema, and the names or numbers of that rule; never the value. */
export interface SchemaFault {
  /** JSON Pointer of the place; `''` is the whole. */
  readonly pointer: string;
  readonly keyword: string;
  /** Such as `must have required property 'intent'`. */
  readonly rule: string;
  /** The keys that there are where one is unknown, the values where another is wanted; else empty. */
  readonly known: readonly string[];
}

/** The faults of a value under a schema; none when it is valid. */
export async function validateSchema(name: SchemaName, value: Json): Promise<readonly SchemaFault[]> {
  const validate = await validator(name);
  if (validate(value)) return [];
  // That a condition's branch does not hold is told by what in it does not.
  return (validate.errors ?? []).filter(({ keyword }) => keyword !== 'if').map(faultOf);
}

function faultOf({ instancePath, keyword, message, params, parentSchema }: ErrorObject): SchemaFault {
  const isUnknown = keyword === 'additionalProperties';
  const known: unknown = isUnknown
    ? Object.keys((parentSchema?.['properties'] ?? {}) as object)
    : (params['allowedValues'] ?? []);
  return {
    pointer: isUnknown ? `${instancePath}/${escaped(String(params['additionalProperty']))}` : instancePath,
    keyword,
    rule: message ?? keyword,
    known: Array.isArray(known) ? known.map(String) : [],
  };
}

/** A name as a part of a JSON Pointer. */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

const validators = new Map<SchemaName, ValidateFunction>();

/** Compiled on first use: the compiler costs tens of milliseconds that most commands never need. */
async function validator(name: SchemaName): Promise<ValidateFunction> {
  const known = validators.get(name);
  if (known !== undefined) return known;
  const { Ajv2020 } = await import('ajv/dist/2020.js');
  const compiled = new Ajv2020({
    allErrors: true,
    strict: true,
    allowUnionTypes: true,
    verbose: true,
  }).compile(SCHEMAS[name]);
  validators.set(name, compiled);
  return compiled;
}

import type { ValidateFunction } from 'ajv/dist/2020.js';
import type { Json } from '../base/index.ts';
import { SCHEMAS, type SchemaName } from './schema.ts';

/** What a value lacks: where, by which rule of the schema, and the names or numbers of that rule; never the value. */
export interface SchemaFault {
  /** JSON Pointer of the place; `''` is the whole. */
  readonly pointer: string;
  readonly keyword: string;
  /** Such as `must have required property 'intent'`. */
  readonly rule: string;
}

/** The faults of a value under a schema; none when it is valid. */
export async function validateSchema(name: SchemaName, value: Json): Promise<readonly SchemaFault[]> {
  const validate = await validator(name);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, keyword, message, params }) => ({
    pointer:
      keyword === 'additionalProperties'
        ? `${instancePath}/${String(params['additionalProperty'])}`
        : instancePath,
    keyword,
    rule: message ?? keyword,
  }));
}

const validators = new Map<SchemaName, ValidateFunction>();

/** Compiled on first use: the compiler costs tens of milliseconds that most commands never need. */
async function validator(name: SchemaName): Promise<ValidateFunction> {
  const known = validators.get(name);
  if (known !== undefined) return known;
  const { Ajv2020 } = await import('ajv/dist/2020.js');
  const compiled = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true }).compile(
    SCHEMAS[name],
  );
  validators.set(name, compiled);
  return compiled;
}

/**
 * The frozen schema of a version: plain JSON Schema, or any validator that follows the Standard Schema interface.
 */
import type { Json, JsonObject } from '../base/index.ts';
import { isObject } from './value.ts';

/** What a Standard Schema validator says of a value. Source: standardschema.dev, version 1. */
export type StandardVerdict<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] };

/** One fault that a Standard Schema validator found. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The interface that zod, valibot, arktype and others share. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardVerdict<Output> | Promise<StandardVerdict<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    /** Some can print themselves as JSON Schema. */
    readonly jsonSchema?: { readonly output: (options: { readonly target: string }) => unknown } | undefined;
  };
}

/** JSON Schema 2020-12 by default; draft-07 and draft-04 by `$schema`. */
export type JsonSchema = JsonObject;

/** Whether a value may be a JSON Schema: one that is an object. */
export function isJsonSchema(value: unknown): value is JsonSchema {
  return isObject(value);
}

/** A schema of either kind. */
export type Schema = StandardSchemaV1 | JsonSchema;

/** The type of the documents that a schema accepts. */
export type Output<S> =
  S extends StandardSchemaV1<infer _I, infer O> ? O : S extends JsonSchema ? FromJsonSchema<S> : never;

/** The type that a JSON Schema literal describes; what it does not say in these words is any JSON. */
export type FromJsonSchema<S> = S extends { readonly const: infer C }
  ? C
  : S extends { readonly enum: readonly (infer E)[] }
    ? E
    : S extends { readonly type: 'string' }
      ? string
      : S extends { readonly type: 'number' | 'integer' }
        ? number
        : S extends { readonly type: 'boolean' }
          ? boolean
          : S extends { readonly type: 'null' }
            ? null
            : S extends { readonly type: 'array'; readonly items: infer I }
              ? FromJsonSchema<I>[]
              : S extends { readonly type: 'object'; readonly properties: infer P }
                ? FromProperties<P, RequiredOf<S>>
                : Json;

type RequiredOf<S> = S extends { readonly required: readonly (infer R)[] } ? R : never;

type FromProperties<P, R> = {
  [K in keyof P as K extends R ? K : never]: FromJsonSchema<P[K]>;
} & { [K in keyof P as K extends R ? never : K]?: FromJsonSchema<P[K]> };

/** The schema of a version, as it was registered. */
export interface Snapshot {
  readonly schema: Schema;
  /** What it is as JSON Schema; undefined where its validator cannot print it. */
  readonly json: JsonSchema | undefined;
}

/** A snapshot of a schema. */
export function snapshotOf(schema: Schema): Snapshot {
  return { schema, json: isStandard(schema) ? printedSchema(schema) : schema };
}

/** Whether a schema brings its own validator. */
export function isStandard(schema: Schema): schema is StandardSchemaV1 {
  return '~standard' in schema;
}

/** A validator that prints itself may throw for what JSON Schema cannot say; then it only validates. */
function printedSchema(schema: StandardSchemaV1): JsonSchema | undefined {
  try {
    const printed = schema['~standard'].jsonSchema?.output({ target: 'draft-2020-12' });
    return isObject(printed) ? printed : undefined;
  } catch {
    return undefined;
  }
}

/** What the schemas of the artifacts are put together from. */
import type { JsonObject } from '../base/index.ts';

export const TEXT = { type: 'string', minLength: 1 } as const;
export const DIGEST = { type: 'string', pattern: '^sha256:[0-9a-f]{64}$' } as const;
export const TIME = {
  type: 'string',
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
} as const;
export const COUNT = { type: 'integer', minimum: 0, maximum: 9_007_199_254_740_991 } as const;
export const MIGRATION_ID = {
  type: 'string',
  pattern: '^(PG|SEARCH|GRAPH|PIPE|DOC|REPLICA|OTHER)-MIG-\\d{4}-\\d{2}-\\d{2}-\\d{2}$',
} as const;
export const KIND = {
  enum: ['postgis', 'search', 'graph', 'pipeline', 'document', 'replica', 'other'],
} as const;
export const ENVIRONMENT = { enum: ['dev', 'stage', 'prod'] } as const;
export const DIRECTION = { enum: ['forward', 'rollback', 'retire'] } as const;
export const ANY_OBJECT = { type: 'object' } as const;

export function list(items: JsonObject, minItems = 0): JsonObject {
  return { type: 'array', items, minItems };
}

export function closed(
  required: Readonly<Record<string, JsonObject>>,
  optional: Readonly<Record<string, JsonObject>> = {},
): JsonObject {
  return { ...open(required, optional), additionalProperties: false };
}

export function open(
  required: Readonly<Record<string, JsonObject>>,
  optional: Readonly<Record<string, JsonObject>> = {},
): JsonObject {
  return { type: 'object', required: Object.keys(required), properties: { ...required, ...optional } };
}

export function document(name: string, schema: JsonObject): JsonObject {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `varve:schema/${name}.schema.json`,
    ...schema,
  };
}

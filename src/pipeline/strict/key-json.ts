import type { Json } from '../../base/index.ts';

/**
 * A value of a key, as the store decodes it, in the JSON that its column type's input reads back through
 * `jsonb_to_record`.
 *
 * Shape: `9007199254740993n` -> `"9007199254740993"`, `Uint8Array [1, 255]` -> `"\\x01ff"`, `NaN` -> `"NaN"`
 */
export function keyJson(value: unknown): Json {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? value : numberText(value);
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return (value as readonly unknown[]).map(keyJson);
  // Text, booleans and documents are JSON as they are.
  return value as Json;
}

function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

import type { SqlValue } from '../sql.ts';
import { StoreError } from '../store-error.ts';

/**
 * A parameter as PostgreSQL reads it from text; null stays null. The database decides the type from the statement, so
 * write a cast where it cannot.
 *
 * Shape: `true` -> `true`, `NaN` -> `NaN`, `Uint8Array [1, 255]` -> `\x01ff`, `['a"b', null]` -> `{"a\"b",NULL}`
 * Errors: throws `sql_invalid` (22021) for a string with a lone surrogate, which has no UTF-8 form and would be changed
 * in silence.
 */
export function encodeValue(value: SqlValue): string | null {
  if (value === null) return null;
  if (value instanceof Uint8Array) return encodeBytes(value);
  if (typeof value === 'object') return `{${value.map(encodeElement).join(',')}}`;
  return encodeScalar(value);
}

function encodeScalar(value: string | number | bigint | boolean): string {
  if (typeof value === 'string') return assertWellFormed(value);
  // String(-0) is '0'.
  return Object.is(value, -0) ? '-0' : String(value);
}

function encodeElement(element: string | number | bigint | boolean | null): string {
  if (element === null) return 'NULL';
  if (typeof element !== 'string') return encodeScalar(element);
  // Always in quotes: an empty string, the word NULL, blanks and commas all need them.
  return `"${assertWellFormed(element).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function encodeBytes(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
}

function assertWellFormed(text: string): string {
  if (text.isWellFormed()) return text;
  throw new StoreError(
    'sql_invalid',
    { sqlstate: '22021' },
    'Pass text that is valid Unicode; this one holds half of a surrogate pair.',
  );
}

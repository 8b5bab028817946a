/**
 * From JavaScript values to the JSON that is sent to the database, with the checks that the database would make too late
 * or not at all: a NaN, a lone surrogate, a NUL, a value of another type.
 *
 * Rows go to the database as one JSON text per batch and become columns there by `json_to_recordset`: one parameter, one
 * native `JSON.stringify`, and every PostgreSQL type through its own input function.
 */
import type { Json, JsonObject } from '../base/index.ts';
import { isObjectReference } from '../store/index.ts';
import type { Column, Columns, ColumnType } from './column.ts';
import { definitionError } from './definition-error.ts';

/** A value that its column cannot hold: which column, and what is wrong, without the value. */
export interface ValueFault {
  readonly column: string;
  readonly code:
    'make_returned_nan' | 'make_returned_bad_text' | 'make_returned_wrong_type' | 'make_returned_null';
  readonly expected: string;
}

/** A value ready to be sent, or what is wrong with it. */
export type Encoded = { readonly value: Json } | { readonly fault: ValueFault };

/** Encodes one value of one column. `undefined` means null, or the column's default. */
export function encodeValue(name: string, column: Column, value: unknown): Encoded {
  if (value === undefined || value === null) {
    if (value === undefined && column.defaultValue !== undefined) return { value: column.defaultValue };
    return column.isNullable ? { value: null } : fault(name, column, 'make_returned_null');
  }
  return encodeTyped(name, column, column.type, value);
}

function encodeTyped(name: string, column: Column, type: ColumnType, value: unknown): Encoded {
  switch (type.value) {
    case 'string':
      return typeof value === 'string' ? encodeText(name, column, type, value) : wrong(name, column);
    case 'integer':
    case 'number':
      return encodeNumber(name, column, type, value);
    case 'bigint':
      return typeof value === 'bigint' ? { value: value.toString() } : encodeSafeInteger(name, column, value);
    case 'boolean':
      return typeof value === 'boolean' ? { value } : wrong(name, column);
    case 'bytes':
      return value instanceof Uint8Array
        ? { value: `\\x${Buffer.from(value).toString('hex')}` }
        : wrong(name, column);
    case 'json':
      return encodeJson(name, column, value);
    case 'object':
      // Written out, so that its members stand in one order whoever made it.
      return isObjectReference(value)
        ? { value: { digest: value.digest, sizeBytes: value.sizeBytes } }
        : wrong(name, column);
    case 'array':
      return encodeArray(name, column, type, value);
  }
}

function encodeText(name: string, column: Column, type: ColumnType, value: string): Encoded {
  if (!value.isWellFormed() || value.includes('\0')) return fault(name, column, 'make_returned_bad_text');
  if (type.members !== undefined && !type.members.includes(value)) return wrong(name, column);
  return { value };
}

function encodeNumber(name: string, column: Column, type: ColumnType, value: unknown): Encoded {
  if (typeof value !== 'number') return wrong(name, column);
  if (!Number.isFinite(value)) return fault(name, column, 'make_returned_nan');
  if (type.value === 'integer' && !Number.isInteger(value)) return wrong(name, column);
  // JSON has no negative zero of its own: `JSON.stringify(-0)` is `0`, so it is sent as text.
  return { value: Object.is(value, -0) ? '-0' : value };
}

function encodeSafeInteger(name: string, column: Column, value: unknown): Encoded {
  return Number.isSafeInteger(value) ? { value: String(value) } : wrong(name, column);
}

function encodeArray(name: string, column: Column, type: ColumnType, value: unknown): Encoded {
  const element = type.element;
  if (!Array.isArray(value) || element === undefined) return wrong(name, column);
  const items: Json[] = [];
  for (const item of value as readonly unknown[]) {
    if (item === null || item === undefined) {
      items.push(null);
      continue;
    }
    const encoded = encodeTyped(name, column, element, item);
    if ('fault' in encoded) return encoded;
    items.push(encoded.value);
  }
  return { value: items };
}

function encodeJson(name: string, column: Column, value: unknown): Encoded {
  const code = jsonFault(value);
  return code === undefined ? { value: value as Json } : fault(name, column, code);
}

function jsonFault(value: unknown): ValueFault['code'] | undefined {
  switch (typeof value) {
    case 'boolean':
      return undefined;
    case 'string':
      return value.isWellFormed() && !value.includes('\0') ? undefined : 'make_returned_bad_text';
    case 'number':
      return Number.isFinite(value) ? undefined : 'make_returned_nan';
    case 'object':
      if (value === null) return undefined;
      if (Array.isArray(value)) return firstFault(value);
      if (!isPlainObject(value)) return 'make_returned_wrong_type';
      return firstFault(Object.keys(value)) ?? firstFault(Object.values(value));
    default:
      return 'make_returned_wrong_type';
  }
}

function firstFault(values: readonly unknown[]): ValueFault['code'] | undefined {
  for (const value of values) {
    const code = jsonFault(value);
    if (code !== undefined) return code;
  }
  return undefined;
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function wrong(name: string, column: Column): Encoded {
  return fault(name, column, 'make_returned_wrong_type');
}

function fault(name: string, column: Column, code: ValueFault['code']): Encoded {
  return { fault: { column: name, code, expected: expectedOf(column.type) } };
}

function expectedOf({ members, value, sqlType }: ColumnType): string {
  if (value === 'object') return 'reference to an object, as `files.put` returns it';
  return members?.join(' | ') ?? sqlType;
}

/** A key as the store decoded it, as JSON that the database reads back to the same value. */
export function encodeKey(key: Readonly<Record<string, unknown>>): Readonly<Record<string, Json>> {
  const encoded: Record<string, Json> = {};
  for (const name of Object.keys(key)) encoded[name] = keyJson(key[name]);
  return encoded;
}

function keyJson(value: unknown): Json {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  return value as Json;
}

/** The rows of a lookup as JSON; throws at the first value that its column cannot hold. */
export function encodeContents(
  table: string,
  columns: Columns,
  rows: readonly Readonly<Record<string, unknown>>[],
): readonly JsonObject[] {
  return rows.map((row, index) => {
    const unknown = Object.keys(row).find((name) => !Object.hasOwn(columns, name));
    if (unknown !== undefined) {
      throw definitionError(`${table} contents[${index}]`, `no column "${unknown}"`, 'Correct the name.');
    }
    return Object.fromEntries(
      Object.entries(columns).map(([name, column]): [string, Json] => {
        const encoded = encodeValue(name, column, row[name]);
        if ('value' in encoded) return [name, encoded.value];
        throw definitionError(
          `${table} contents[${index}].${name}`,
          `the value is no ${encoded.fault.expected}`,
          'Correct the value.',
        );
      }),
    );
  });
}

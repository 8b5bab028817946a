/** Rows as history keeps them, back to values: no digit of a bigint or a numeric is lost on the way. */
import type { Json, JsonObject } from '../base/index.ts';
import type { TableSpec } from './spec.ts';

/** A number as it was written. */
class Digits {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * Reads `{ "schema.table": [row, ...] }`. Numbers of bigint and numeric columns become text, as everywhere in JSON that
 * varve writes; all others become numbers.
 */
export function readUnitRows(
  text: string,
  specOf: (table: string) => TableSpec | undefined,
): Readonly<Record<string, readonly JsonObject[]>> {
  const tables = parseExact(text) as Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
  return Object.fromEntries(
    Object.entries(tables).map(([table, rows]) => [table, rows.map((row) => readRow(row, specOf(table)))]),
  );
}

/** Reads the columns of one row or key. */
export function readExactRow(text: string, spec: TableSpec): JsonObject {
  return readRow(parseExact(text) as Readonly<Record<string, unknown>>, spec);
}

function parseExact(text: string): unknown {
  const reviver = (_: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' ? new Digits(context?.source ?? String(value)) : value;
  return JSON.parse(text, reviver);
}

function readRow(row: Readonly<Record<string, unknown>>, spec: TableSpec | undefined): JsonObject {
  const typeByName = new Map(spec?.columns.map(({ name, type }) => [name, type]));
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, plain(value, isWide(typeByName.get(name) ?? ''))]),
  );
}

function isWide(type: string): boolean {
  return /^(bigint|numeric)\b/u.test(type);
}

function plain(value: unknown, wide: boolean): Json {
  if (value instanceof Digits) return wide ? value.text : Number(value.text);
  if (Array.isArray(value)) return value.map((item) => plain(item, wide));
  if (typeof value !== 'object' || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member, false)]));
}

/**
 * What varve and an outside command say to each other: JSON in which no digit is lost, in both directions.
 *
 * | value | to the command | from the command |
 * |---|---|---|
 * | bigint, numeric | text | number or text, every digit kept |
 * | bytea | `"\\x00ff"` | the same |
 * | NaN, Infinity, -0 | text: JSON has no such number | refused |
 * | others | as they are | as they are |
 */
import type { Json } from '../../base/index.ts';
import type { Columns } from '../column.ts';
import { fromJson, parseExactly } from '../input/input-value.ts';
import type { AnyTable } from '../table.ts';

/** What a command is told of one key. */
export interface CommandRequest {
  readonly table: string;
  readonly key: Readonly<Record<string, unknown>>;
  /** By the names of the declared reads: a row, null, or a list of rows. */
  readonly reads: Readonly<Record<string, unknown>>;
  /** The time of the run. */
  readonly now: string;
  /** A whole number below 2^32 that the key gives, for random numbers. */
  readonly seed: number;
}

/** A request as one line of JSON, without the line feed. */
export function requestText(request: CommandRequest): string {
  return JSON.stringify(outside(request));
}

function outside(value: unknown): Json {
  if (typeof value === 'bigint') return value.toString();
  if (Object.is(value, -0)) return '-0';
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(outside);
  if (typeof value !== 'object' || value === null) return (value ?? null) as Json;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, outside(member)]));
}

/**
 * The rows that a command printed, as a make would have returned them; what fits no column is handed on as it is.
 *
 * Errors: throws `SyntaxError` for text that is no JSON.
 */
export function readRows(table: AnyTable, text: string): readonly unknown[] {
  return rowsOf(table, parseExactly(text));
}

/** An answer of a command that stays: rows, or what was wrong, or undefined for a line that is no answer. */
export function readAnswer(
  table: AnyTable,
  line: string,
): { readonly rows: readonly unknown[] } | { readonly error: string } | undefined {
  const answer = parsed(line);
  if (typeof answer !== 'object' || answer === null) return undefined;
  if ('rows' in answer) return { rows: rowsOf(table, answer.rows) };
  return 'error' in answer && typeof answer.error === 'string' ? { error: answer.error } : undefined;
}

function parsed(text: string): unknown {
  try {
    return parseExactly(text);
  } catch {
    return undefined;
  }
}

function rowsOf(table: AnyTable, value: unknown): readonly unknown[] {
  return (Array.isArray(value) ? value : [value]).map((piece: unknown) => pieceOf(table, piece));
}

function pieceOf({ spec, definition }: AnyTable, piece: unknown): unknown {
  if (!isObject(piece)) return piece;
  const { parts, ...columns } = piece;
  const row = rowOf(definition.columns, columns);
  if (!isObject(parts)) return parts === undefined ? row : { ...row, parts };
  const typed = Object.entries(parts).map(([label, list]) => {
    const part = definition.parts.find((each) => each.spec.name === spec.parts[label]);
    if (part === undefined || !Array.isArray(list)) return [label, list] as const;
    const rows = list.map((each: unknown) => (isObject(each) ? rowOf(part.definition.columns, each) : each));
    return [label, rows] as const;
  });
  return { ...row, parts: Object.fromEntries(typed) };
}

function rowOf(columns: Columns, row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const values = Object.entries(row).map(([name, value]) => {
    const column = Object.hasOwn(columns, name) ? columns[name] : undefined;
    return [name, column === undefined ? value : fromJson(column, value)] as const;
  });
  return Object.fromEntries(values);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * From what a file can say to what a column takes. What does not fit is handed on as it is, and refused by its column.
 *
 * | column | JSON | CSV |
 * |---|---|---|
 * | bigint, numeric | number or text, every digit kept | digits |
 * | bytea | `"\\x00ff"` | `\x00ff` |
 * | boolean | true, false | true, false, t, f, 1, 0 |
 * | json | any value | JSON text |
 * | array | array | JSON text of an array |
 * | others | as they are | as they are |
 * | null | null, or left out | an empty field without quotes; `""` is empty text |
 */
import type { Column, ColumnType } from '../column.ts';

/** A number that JavaScript would round, as it was written. */
class Digits {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * Parses JSON without losing a digit: a number that would be rounded is kept as its text until its column is known.
 *
 * Errors: throws `SyntaxError`.
 */
export function parseExactly(text: string): unknown {
  const reviver = (_: string, value: unknown, context?: { readonly source?: string }): unknown => {
    if (typeof value !== 'number') return value;
    const source = context?.source ?? String(value);
    return String(value) === source ? value : new Digits(source);
  };
  return JSON.parse(text, reviver);
}

/** Whether values of this column can hold more digits than a JavaScript number. */
export function isExact({ type }: Column): boolean {
  const element = type.element ?? type;
  return element.value === 'bigint' || element.sqlType.startsWith('numeric');
}

/** A value of parsed JSON as its column takes it. */
export function fromJson({ type }: Column, value: unknown): unknown {
  return value === null || value === undefined ? value : typedJson(type, value);
}

function typedJson(type: ColumnType, value: unknown): unknown {
  if (type.value === 'array') {
    const { element } = type;
    return Array.isArray(value) && element !== undefined
      ? value.map((item: unknown) => (item === null ? null : typedJson(element, item)))
      : rounded(value);
  }
  if (type.value === 'bigint') return toBigint(value);
  if (type.value === 'bytes' && typeof value === 'string') return toBytes(value);
  if (type.sqlType.startsWith('numeric')) {
    if (value instanceof Digits) return value.text;
    return typeof value === 'number' ? String(value) : value;
  }
  return rounded(value);
}

function toBigint(value: unknown): unknown {
  const text = value instanceof Digits ? value.text : value;
  if (typeof text === 'string') return /^[-+]?\d+$/u.test(text) ? BigInt(text) : text;
  return typeof text === 'number' && Number.isSafeInteger(text) ? BigInt(text) : text;
}

function toBytes(text: string): unknown {
  return /^\\x(?:[0-9a-f]{2})*$/iu.test(text) ? new Uint8Array(Buffer.from(text.slice(2), 'hex')) : text;
}

/** Numbers again, where the column has no use for more digits. */
function rounded(value: unknown): unknown {
  if (value instanceof Digits) return Number(value.text);
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, rounded(member)]));
}

const NUMBER = /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/iu;
const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  1: true,
  false: false,
  f: false,
  0: false,
};

/** A field of CSV as its column takes it; null: an empty field without quotes. */
export function fromText(column: Column, text: string | null): unknown {
  if (text === null) return null;
  switch (column.type.value) {
    case 'integer':
    case 'number':
      return NUMBER.test(text) ? Number(text) : text;
    case 'bigint':
      return toBigint(text);
    case 'boolean':
      return BOOLEANS[text.toLowerCase()] ?? text;
    case 'bytes':
      return toBytes(text);
    case 'json':
      return parsed(text, (value) => rounded(value), Symbol('no JSON'));
    case 'object':
      return parsed(text, (value) => value, text);
    case 'array':
      return parsed(text, (value) => fromJson(column, value), text);
    case 'string':
      return text;
  }
}

/** Text that is no JSON becomes what no column takes: a json column would else take it as a string. */
function parsed(text: string, take: (value: unknown) => unknown, otherwise: unknown): unknown {
  try {
    return take(parseExactly(text));
  } catch {
    return otherwise;
  }
}

/**
 * How a column that stands in a database is written in a definition.
 *
 * | PostgreSQL | written |
 * |---|---|
 * | types that `t` has | `t.integer()`, `t.numeric(10, 2)`, `t.array(t.text())` |
 * | text with `check (c in ('a', 'b'))` | `t.enum('a', 'b')` |
 * | an enum type | `t.custom<'a' | 'b'>('lab.mood')` |
 * | a domain, any other type | `t.custom('lab.positive', 'integer')` |
 */
import type { Json } from '../../base/index.ts';
import type { ValueKind } from '../../pipeline/index.ts';
import type { StandingCheck, StandingColumn } from './standing-table.ts';
import { memberName, quoted } from './source-text.ts';

/** A column as written, and what of it cannot be. */
export interface ColumnText {
  /** The calls of a chain: `t`, `.text()`, `.nullable()`. */
  readonly chain: readonly string[];
  /** How its values look in JavaScript. */
  readonly value: ValueKind;
  /** The type as a definition has it. */
  readonly sqlType: string;
  readonly faults: readonly string[];
}

/** Writes one column; `checks` are those over this column alone. */
export function columnText(
  column: StandingColumn,
  checks: readonly StandingCheck[],
  isUnique: boolean,
): ColumnText {
  const members = column.type === 'text' ? membersOf(column.name, checks) : undefined;
  const type = members === undefined ? typeText(column) : enumText(members.values);
  const others = checks.filter((check) => check !== members?.check);
  const value = defaultText(column, type.value);
  const faults = [
    ...(value.status === 'inexpressible' ? ['its default'] : []),
    ...(column.isGenerated ? ['the database fills it by itself'] : []),
  ];
  const conditions = others.map((each) => withoutParentheses(each.condition));
  const condition =
    conditions.length > 1 ? conditions.map((each) => `(${each})`).join(' and ') : conditions[0];
  const comment = plainComment(column.comment);
  return {
    chain: [
      't',
      type.text,
      ...(column.nullable ? ['.nullable()'] : []),
      ...(value.status === 'literal' ? [`.default(${value.text})`] : []),
      ...(condition === undefined ? [] : [`.checked(${quoted(condition)})`]),
      ...(isUnique ? ['.unique()'] : []),
      ...(comment === undefined ? [] : [`.describe(${quoted(comment)})`]),
    ],
    value: type.value,
    sqlType: type.sqlType,
    faults,
  };
}

interface TypeText {
  readonly text: string;
  readonly value: ValueKind;
  readonly sqlType: string;
}

const PLAIN: Readonly<Record<string, readonly [call: string, value: ValueKind, sqlType?: string]>> = {
  text: ['text', 'string'],
  integer: ['integer', 'integer'],
  smallint: ['smallint', 'integer'],
  bigint: ['bigint', 'bigint'],
  real: ['real', 'number'],
  'double precision': ['double', 'number'],
  numeric: ['numeric', 'string'],
  boolean: ['boolean', 'boolean'],
  jsonb: ['json', 'json'],
  bytea: ['bytea', 'bytes'],
  uuid: ['uuid', 'string'],
  date: ['date', 'string'],
  'time without time zone': ['time', 'string', 'time'],
  'timestamp without time zone': ['timestamp', 'string', 'timestamp'],
  'timestamp with time zone': ['timestamptz', 'string', 'timestamptz'],
  interval: ['interval', 'string'],
};

function typeText({ type, baseType, labels }: StandingColumn): TypeText {
  const plain = PLAIN[type];
  if (plain !== undefined) return { text: `.${plain[0]}()`, value: plain[1], sqlType: plain[2] ?? type };
  const numeric = /^numeric\((?<precision>\d+),(?<scale>\d+)\)$/u.exec(type)?.groups;
  if (numeric !== undefined) {
    return {
      text: `.numeric(${numeric['precision'] ?? ''}, ${numeric['scale'] ?? ''})`,
      value: 'string',
      sqlType: type,
    };
  }
  const element = type.endsWith('[]') ? typeText({ ...NO_COLUMN, type: type.slice(0, -2) }) : undefined;
  // An array of any other type comes from the database as text.
  if (element !== undefined && !element.text.startsWith('.custom')) {
    return { text: `.array(t${element.text})`, value: 'array', sqlType: `${element.sqlType}[]` };
  }
  const union = (labels ?? []).map(quoted).join(' | ');
  if (union !== '' && union.length < 60) {
    return { text: `.custom<${union}>(${quoted(type)})`, value: 'string', sqlType: type };
  }
  return customText(type, baseType);
}

const NO_COLUMN: StandingColumn = {
  name: '',
  type: '',
  baseType: '',
  nullable: false,
  default: null,
  isGenerated: false,
  labels: null,
  comment: null,
};

const TYPESCRIPT: Readonly<Record<ValueKind, string>> = {
  string: 'string',
  number: 'number',
  integer: 'number',
  bigint: 'bigint',
  boolean: 'boolean',
  json: 'unknown',
  bytes: 'Uint8Array',
  object: 'unknown',
  array: 'readonly unknown[]',
};

function customText(type: string, baseType: string): TypeText {
  const value = type === 'json' ? 'json' : (PLAIN[baseType]?.[1] ?? 'string');
  const text =
    value === 'string'
      ? `.custom(${quoted(type)})`
      : `.custom<${TYPESCRIPT[value]}>(${quoted(type)}, ${quoted(value)})`;
  return { text, value, sqlType: type };
}

function enumText(values: readonly string[]): TypeText {
  return { text: `.enum(${values.map(quoted).join(', ')})`, value: 'string', sqlType: 'text' };
}

/** The values of `check (c in ('a', 'b'))`, as PostgreSQL prints it. */
function membersOf(
  column: string,
  checks: readonly StandingCheck[],
): { readonly check: StandingCheck; readonly values: readonly string[] } | undefined {
  const name = /^[a-z_][a-z0-9_]*$/u.test(column) ? column : `"${column.replaceAll('"', '""')}"`;
  for (const check of checks) {
    const start = `${name} = ANY (ARRAY[`;
    const inner = withoutParentheses(check.condition);
    if (!inner.startsWith(start) || !inner.endsWith('])')) continue;
    const values = inner.slice(start.length, -'])'.length).match(/'(?:[^']|'')*'::text/gu);
    if (values === null || `${start}${values.join(', ')}])` !== inner) continue;
    return { check, values: values.map((value) => unquoted(value.slice(0, -'::text'.length))) };
  }
  return undefined;
}

function unquoted(literal: string): string {
  return literal.slice(1, -1).replaceAll("''", "'");
}

type DefaultText =
  | { readonly status: 'none' }
  | { readonly status: 'literal'; readonly text: string }
  | { readonly status: 'inexpressible' };

/** A default that is a constant, in the words of the column's own type. */
function defaultText({ default: expression }: StandingColumn, kind: ValueKind): DefaultText {
  if (expression === null || /^NULL(?:::.*)?$/iu.test(expression)) return { status: 'none' };
  const text = literalText(expression);
  const written = text === undefined ? undefined : valueText(text, kind);
  return written === undefined ? { status: 'inexpressible' } : { status: 'literal', text: written };
}

/** The text of a constant, whatever its type; undefined for an expression. */
function literalText(expression: string): string | undefined {
  const constant = /^\(?(?<number>-?\d+(?:\.\d+)?)\)?(?:::[\w ".(),]+)?$/u.exec(expression)?.groups?.[
    'number'
  ];
  if (constant !== undefined) return constant;
  if (expression === 'true' || expression === 'false') return expression;
  const quotedText = /^(?<text>'(?:[^']|'')*')(?:::[\w ".(),[\]]+)?$/u.exec(expression)?.groups?.['text'];
  return quotedText === undefined ? undefined : unquoted(quotedText);
}

function valueText(text: string, kind: ValueKind): string | undefined {
  switch (kind) {
    case 'string':
      return quoted(text);
    case 'integer':
    case 'number':
      return text.trim() !== '' && Number.isFinite(Number(text)) ? String(Number(text)) : undefined;
    case 'bigint':
      return /^-?\d+$/u.test(text) ? `${text}n` : undefined;
    case 'boolean':
      return { true: 'true', t: 'true', false: 'false', f: 'false' }[text];
    case 'json':
    case 'array':
    case 'bytes':
    case 'object':
      return kind === 'json' ? jsonText(text) : undefined;
  }
}

function jsonText(text: string): string | undefined {
  try {
    return literal(JSON.parse(text) as Json);
  } catch {
    return undefined;
  }
}

function literal(value: Json): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  const members = Object.entries(value).map(([name, member]) => `${memberName(name)}: ${literal(member)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

function withoutParentheses(condition: string): string {
  if (!condition.startsWith('(') || !condition.endsWith(')')) return condition;
  let depth = 0;
  for (let at = 0; at < condition.length; at += 1) {
    const character = condition[at];
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (depth === 0 && at < condition.length - 1) return condition;
  }
  return condition.slice(1, -1);
}

/**
 * A comment without the type that DataJoint puts before it (`:int16:how many`), where the column's own type says it; that
 * of a codec (`:<blob>:`) is kept, for without it DataJoint takes the bytes as they are.
 */
function plainComment(comment: string | null): string | undefined {
  const text = comment === null || /^:<.*>:/u.test(comment) ? comment : comment.replace(/^:[^:]*:/u, '');
  return text === null || text === '' ? undefined : text;
}

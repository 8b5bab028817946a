import type { Json } from '../base/index.ts';
import type { ObjectReference } from '../store/index.ts';
import { definitionError } from './definition-error.ts';

/**
 * A column's type as a value: what PostgreSQL stores, and what TypeScript sees.
 *
 * | written | PostgreSQL | TypeScript |
 * |---|---|---|
 * | `t.text()`, `t.uuid()`, `t.enum('a', 'b')` | text, uuid, text with a check | string, string, 'a' \| 'b' |
 * | `t.integer()`, `t.smallint()`, `t.real()`, `t.double()` | the same | number |
 * | `t.bigint()` | bigint | bigint |
 * | `t.numeric(10, 2)` | numeric(10,2) | string, so no digit is lost |
 * | `t.boolean()` | boolean | boolean |
 * | `t.json<T>()` | jsonb | T |
 * | `t.bytea()` | bytea | Uint8Array |
 * | `t.object()` | jsonb: `{ digest, sizeBytes }` of bytes that stand in the object store | ObjectReference |
 * | `t.date()`, `t.time()`, `t.timestamp()`, `t.timestamptz()`, `t.interval()` | the same | ISO 8601 text with microseconds |
 * | `t.array(t.text())` | text[] | readonly string[] |
 * | `t.custom<T>('geometry(Point,4326)')` | as written | T |
 */
export interface Column<T = unknown> {
  readonly kind: 'column';
  readonly type: ColumnType;
  readonly isNullable: boolean;
  readonly isUnique: boolean;
  /** An SQL expression over this row's columns. */
  readonly check: string | undefined;
  /** Undefined where there is none. */
  readonly defaultValue: Json | undefined;
  readonly comment: string | undefined;
  /** Its name in the set before, where the definition says that it was renamed. */
  readonly formerName: string | undefined;
  /** Carries the TypeScript type; no such member exists at run time. */
  readonly valueType?: T;
}

/** The stored type of a column. */
export interface ColumnType {
  /** As PostgreSQL spells it. */
  readonly sqlType: string;
  /** How its values look in JavaScript, which decides what a make may return. */
  readonly value: ValueKind;
  /** The element type of an array. */
  readonly element?: ColumnType;
  /** The values of an enum. */
  readonly members?: readonly string[];
}

/** The JavaScript side of a stored type. */
export type ValueKind =
  'string' | 'number' | 'integer' | 'bigint' | 'boolean' | 'json' | 'bytes' | 'object' | 'array';

/** A column with the methods that refine it; each returns a new one. */
export interface ColumnBuilder<T> extends Column<T> {
  /** May be null. */
  readonly nullable: () => ColumnBuilder<T | null>;
  /** The value of a row that gives none. */
  readonly default: (value: T & (Json | bigint)) => ColumnBuilder<T>;
  /** An SQL condition over the row that must hold, such as `age >= 0`. */
  readonly checked: (condition: string) => ColumnBuilder<T>;
  /** No two rows with the same value. */
  readonly unique: () => ColumnBuilder<T>;
  /** A sentence for people, kept as the column's comment. */
  readonly describe: (comment: string) => ColumnBuilder<T>;
  /** The column of the set before that this one was: an evolution keeps its values. */
  readonly renamedFrom: (name: string) => ColumnBuilder<T>;
}

/** The columns of a table by name. */
export type Columns = Readonly<Record<string, Column>>;

/** The row type of columns. */
export type RowOf<C extends Columns> = { readonly [N in keyof C]: ValueOf<C[N]> };

/** The TypeScript type of a column's values. */
export type ValueOf<C> = C extends { readonly valueType?: infer T } ? Exclude<T, undefined> : never;

function column<T>(type: ColumnType): ColumnBuilder<T> {
  return refine<T>({
    kind: 'column',
    type,
    isNullable: false,
    isUnique: false,
    check: undefined,
    defaultValue: undefined,
    comment: undefined,
    formerName: undefined,
  });
}

function refine<T>(fields: Omit<Column<T>, 'valueType'>): ColumnBuilder<T> {
  return Object.freeze({
    ...fields,
    nullable: () => refine<T | null>({ ...fields, isNullable: true }),
    default: (value: T & (Json | bigint)) =>
      refine<T>({ ...fields, defaultValue: typeof value === 'bigint' ? value.toString() : (value as Json) }),
    checked: (condition: string) => refine<T>({ ...fields, check: condition }),
    unique: () => refine<T>({ ...fields, isUnique: true }),
    describe: (comment: string) => refine<T>({ ...fields, comment }),
    renamedFrom: (name: string) => refine<T>({ ...fields, formerName: name }),
  });
}

function enumeration<const M extends readonly string[]>(...members: M): ColumnBuilder<M[number]> {
  if (members.length === 0)
    throw definitionError('t.enum', 'an enum without members', 'Name at least one member.');
  return column({ sqlType: 'text', value: 'string', members });
}

function numeric(precision?: number, scale?: number): ColumnBuilder<string> {
  const size = precision === undefined ? '' : `(${precision}${scale === undefined ? '' : `,${scale}`})`;
  return column({ sqlType: `numeric${size}`, value: 'string' });
}

/** Whether a stored type holds references to objects, in an array or by itself. */
export function holdsObjects(type: ColumnType): boolean {
  return type.value === 'object' || (type.element !== undefined && holdsObjects(type.element));
}

/** The column types of a definition. */
export const t: {
  readonly text: () => ColumnBuilder<string>;
  readonly integer: () => ColumnBuilder<number>;
  readonly smallint: () => ColumnBuilder<number>;
  readonly bigint: () => ColumnBuilder<bigint>;
  readonly real: () => ColumnBuilder<number>;
  readonly double: () => ColumnBuilder<number>;
  readonly numeric: (precision?: number, scale?: number) => ColumnBuilder<string>;
  readonly boolean: () => ColumnBuilder<boolean>;
  readonly json: <T = Json>() => ColumnBuilder<T>;
  readonly bytea: () => ColumnBuilder<Uint8Array>;
  readonly object: () => ColumnBuilder<ObjectReference>;
  readonly uuid: () => ColumnBuilder<string>;
  readonly date: () => ColumnBuilder<string>;
  readonly time: () => ColumnBuilder<string>;
  readonly timestamp: () => ColumnBuilder<string>;
  readonly timestamptz: () => ColumnBuilder<string>;
  readonly interval: () => ColumnBuilder<string>;
  readonly array: <T>(element: Column<T>) => ColumnBuilder<readonly T[]>;
  readonly enum: <const M extends readonly string[]>(...members: M) => ColumnBuilder<M[number]>;
  readonly custom: <T = string>(sqlType: string, value?: ValueKind) => ColumnBuilder<T>;
} = {
  text: () => column({ sqlType: 'text', value: 'string' }),
  integer: () => column({ sqlType: 'integer', value: 'integer' }),
  smallint: () => column({ sqlType: 'smallint', value: 'integer' }),
  bigint: () => column({ sqlType: 'bigint', value: 'bigint' }),
  real: () => column({ sqlType: 'real', value: 'number' }),
  double: () => column({ sqlType: 'double precision', value: 'number' }),
  numeric,
  boolean: () => column({ sqlType: 'boolean', value: 'boolean' }),
  json: <T = Json>() => column<T>({ sqlType: 'jsonb', value: 'json' }),
  bytea: () => column({ sqlType: 'bytea', value: 'bytes' }),
  object: () => column({ sqlType: 'jsonb', value: 'object' }),
  uuid: () => column({ sqlType: 'uuid', value: 'string' }),
  date: () => column({ sqlType: 'date', value: 'string' }),
  time: () => column({ sqlType: 'time', value: 'string' }),
  timestamp: () => column({ sqlType: 'timestamp', value: 'string' }),
  timestamptz: () => column({ sqlType: 'timestamptz', value: 'string' }),
  interval: () => column({ sqlType: 'interval', value: 'string' }),
  array: <T>(element: Column<T>) =>
    column<readonly T[]>({ sqlType: `${element.type.sqlType}[]`, value: 'array', element: element.type }),
  enum: enumeration,
  custom: <T = string>(sqlType: string, value: ValueKind = 'string') => column<T>({ sqlType, value }),
};

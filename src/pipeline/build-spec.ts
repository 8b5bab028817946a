/**
 * From the options of a definition to its normal form: which columns a table has, which foreign keys, and what each
 * declared read means.
 *
 * A column that several foreign keys bring under one name stands once, and only when it is the same attribute: both
 * lead to one column of one table at the end of their foreign keys. Two unrelated columns of one name are a mistake that
 * is refused, never a join.
 */
import { nearestName } from '../base/index.ts';
import { holdsObjects, type Column, type Columns } from './column.ts';
import type { DeclaredKey } from './declared-key.ts';
import { definitionError } from './definition-error.ts';
import { asReference } from './reference.ts';
import { resolveReads } from './resolve-reads.ts';
import type { ColumnSpec, ForeignKeySpec, TableSpec, Tier } from './spec.ts';
import type { AnyTable, Parent, ReadSource } from './table.ts';

/** The options of any table, without their types. */
export interface AnyOptions {
  readonly parents?: readonly Parent[];
  readonly key?: Columns;
  readonly references?: Readonly<Record<string, Parent>>;
  readonly columns?: Columns;
  readonly uniques?: readonly (readonly string[])[];
  readonly comment?: string;
  readonly reads?: Readonly<Record<string, ReadSource>>;
}

/** What building gives: the normal form without its making, and the columns with their types. */
export interface Built {
  readonly spec: TableSpec;
  readonly columns: Columns;
}

/** Builds the normal form of one table; `owner` is the master or enclosing part of a part. */
export function buildSpec(name: string, tier: Tier, options: AnyOptions, owner?: AnyTable): Built {
  const parents = (options.parents ?? []).map((parent) => declaredKey(name, parent, 'primary'));
  const owners = owner === undefined ? [] : [declaredKey(name, owner, 'part')];
  const references = Object.entries(options.references ?? {}).map(([label, parent]) =>
    declaredKey(name, parent, 'secondary', label),
  );
  const keyed = [...owners, ...parents];
  const origins = new Map<string, string>();
  const sourceKey = Object.keys(mergeColumns(name, keyed, {}, {}, origins));
  const keyColumns = mergeColumns(name, keyed, {}, options.key ?? {}, origins);
  const columns = mergeColumns(name, references, keyColumns, options.columns ?? {}, origins);
  const { reads, fills } = resolveReads(name, sourceKey, [...keyed, ...references], options.reads ?? {});
  const spec: TableSpec = {
    name,
    tier,
    ...(options.comment === undefined ? {} : { comment: options.comment }),
    columns: Object.entries(columns).map(([column, type]) => columnSpec(column, type)),
    primaryKey: Object.keys(keyColumns),
    sourceKey,
    foreignKeys: [...keyed, ...references].map((key) => withFills(key.spec, fills[key.spec.name])),
    unique: (options.uniques ?? []).map((names) => knownColumns(name, names, columns)),
    parts: {},
    reads,
  };
  if (spec.primaryKey.length === 0) {
    throw definitionError(name, 'it has no primary key', 'Give it a key, or a parent whose key it takes.');
  }
  assertFits(spec);
  assertObjectsStandWell(spec);
  return { spec, columns };
}

function declaredKey(
  table: string,
  declared: Parent,
  kind: ForeignKeySpec['kind'],
  label?: string,
): DeclaredKey {
  const reference = asReference(declared);
  const parent = reference.table;
  if (kind !== 'secondary' && reference.isOptional) {
    throw definitionError(
      table,
      `the parent ${parent.spec.name} is optional, but a primary key is never empty`,
      'Move it to `references`.',
    );
  }
  const columns = Object.fromEntries(
    parent.spec.primaryKey.map((column) => [ownValue(reference.names, column) ?? column, column]),
  );
  const name = label ?? [parent.spec.name, ...Object.values(reference.names)].join(' ');
  return {
    declared,
    reference,
    spec: {
      name,
      to: parent.spec.name,
      columns,
      kind,
      optional: reference.isOptional,
      unique: reference.isUnique,
    },
  };
}

function withFills(key: ForeignKeySpec, fills: ForeignKeySpec['fills']): ForeignKeySpec {
  return fills === undefined ? key : { ...key, fills };
}

/** `origins` is what each column that a foreign key brought so far means, and is added to. */
function mergeColumns(
  table: string,
  keys: readonly DeclaredKey[],
  before: Columns,
  own: Columns,
  origins: Map<string, string>,
): Record<string, Column> {
  const merged: Record<string, Column> = { ...before };
  for (const { spec, reference } of keys) {
    for (const [child, parentColumn] of Object.entries(spec.columns)) {
      const origin = originOf(reference.table, parentColumn);
      assertSameAttribute(table, child, origin, origins, before);
      origins.set(child, origin);
      const column = reference.table.definition.columns[parentColumn];
      if (column === undefined || Object.hasOwn(before, child)) continue;
      assertColumnName(table, child);
      merged[child] = {
        ...foreignColumn(column, spec.optional),
        formerName: ownValue(reference.formerNames, parentColumn) ?? ownValue(merged, child)?.formerName,
      };
    }
  }
  for (const [name, column] of Object.entries(own)) {
    if (Object.hasOwn(merged, name)) {
      throw definitionError(
        `${table}.${name}`,
        'a foreign key brings a column of this name',
        `Rename one of them: \`.as({ ... })\` on the foreign key, or another name for the column.`,
      );
    }
    assertColumnName(table, name);
    merged[name] = column;
  }
  return merged;
}

/** A column of a foreign key: the parent's type, but uniqueness, default and check stay with the parent. */
function foreignColumn(column: Column, optional: boolean): Column {
  return {
    kind: 'column',
    type: column.type,
    isNullable: optional,
    isUnique: false,
    check: undefined,
    defaultValue: undefined,
    comment: undefined,
    formerName: undefined,
  };
}

function assertSameAttribute(
  table: string,
  child: string,
  origin: string,
  origins: ReadonlyMap<string, string>,
  before: Columns,
): void {
  const other = origins.get(child);
  if ((other === undefined || other === origin) && !Object.hasOwn(before, child)) return;
  if (other === origin) return;
  throw definitionError(
    `${table}.${child}`,
    `two foreign keys bring a column of this name: ${[other ?? 'the primary key', origin].join(' and ')}`,
    `Rename one: \`.as({ ${origin.slice(origin.lastIndexOf('.') + 1)}: '...' })\`.`,
  );
}

/** The column at the end of the foreign keys: what this column means. */
function originOf(table: AnyTable, column: string): string {
  const key = table.spec.foreignKeys.find(
    ({ kind, columns }) => kind !== 'secondary' && Object.hasOwn(columns, column),
  );
  if (key === undefined) return `${table.spec.name}.${column}`;
  const parent = [...ancestorsByName(table)].find(({ spec }) => spec.name === key.to);
  const parentColumn = key.columns[column];
  return parent === undefined || parentColumn === undefined
    ? `${table.spec.name}.${column}`
    : originOf(parent, parentColumn);
}

/** The tables that a table's foreign keys name directly. */
function ancestorsByName(table: AnyTable): readonly AnyTable[] {
  return table.definition.parents;
}

function columnSpec(name: string, column: Column): ColumnSpec {
  return {
    name,
    type: column.type.sqlType,
    nullable: column.isNullable,
    ...(column.defaultValue === undefined ? {} : { default: column.defaultValue }),
    ...(column.check === undefined ? {} : { check: column.check }),
    ...(column.type.members === undefined ? {} : { members: column.type.members }),
    ...(column.isUnique ? { unique: true as const } : {}),
    ...(holdsObjects(column.type) ? { object: true as const } : {}),
    ...(column.comment === undefined ? {} : { comment: column.comment }),
  };
}

function knownColumns(table: string, names: readonly string[], columns: Columns): readonly string[] {
  for (const name of names) {
    if (Object.hasOwn(columns, name)) continue;
    const nearest = nearestName(name, Object.keys(columns));
    throw definitionError(
      `${table}.${name}`,
      'no such column',
      nearest === undefined ? 'Name a column of this table.' : `Did you mean "${nearest}"?`,
    );
  }
  return names;
}

function assertColumnName(table: string, name: string): void {
  const reason = whyNoColumnName(name);
  if (reason !== undefined) throw definitionError(`${table}.${name}`, reason, 'Choose another name.');
}

function whyNoColumnName(name: string): string | undefined {
  if (name === 'parts') return 'this name is reserved for part rows';
  if (name === '__proto__') return 'a row in JavaScript cannot have a member of this name';
  if (name.startsWith('#')) return 'names with # at the start are reserved for what varve puts beside a row';
  if (name === '' || new TextEncoder().encode(name).length > 63) return 'a name has 1 to 63 bytes';
  return name.isWellFormed() && !name.includes('\0') ? undefined : 'a name has no lone surrogate and no NUL';
}

/** An object is no name of a row, and code brings no content to an object store. */
function assertObjectsStandWell({ name, tier, columns, primaryKey }: TableSpec): void {
  for (const column of columns.filter(({ object }) => object === true)) {
    const fault = objectFault(tier, column, primaryKey);
    if (fault !== undefined) throw definitionError(`${name}.${column.name}`, ...fault);
  }
}

function objectFault(
  tier: Tier,
  column: ColumnSpec,
  primaryKey: readonly string[],
): readonly [reason: string, hint: string] | undefined {
  if (primaryKey.includes(column.name)) {
    return [
      'an object cannot be part of the primary key',
      'Take its digest as text for the key, and keep the object in a column beside it.',
    ];
  }
  if (tier === 'lookup') {
    return [
      'the rows of a lookup are written in code, which brings no objects',
      'Make it a manual table, or keep the value itself in a column.',
    ];
  }
  return column.default === undefined
    ? undefined
    : ['an object that no row names yet is not kept for a default', 'Leave the default out.'];
}

/** PostgreSQL's limits, said here rather than by the database when the first row of tables is made. */
function assertFits({ name, columns, primaryKey, unique }: TableSpec): void {
  if (columns.length > 1_000) {
    throw definitionError(name, 'a table has 1,000 columns at most', 'Divide it into several tables.');
  }
  if ([primaryKey, ...unique].every(({ length }) => length <= MAX_KEY_COLUMNS)) return;
  throw definitionError(
    name,
    `a key has ${String(MAX_KEY_COLUMNS)} columns at most`,
    'Give it a shorter key, such as one digest of what identifies a row.',
  );
}

/** An index of PostgreSQL has no more. */
const MAX_KEY_COLUMNS = 32;

/** What a column name stands for in a record: names such as `constructor` are inherited by every object. */
function ownValue<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

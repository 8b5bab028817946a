/** Which columns of a rebuilt table come from where, as SQL over an old row and its line in the list. */
import type { ColumnSpec, TableSpec } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import type { ColumnSource } from '../change/change.ts';
import { mayRetire, type Attribution } from '../attribution.ts';
import type { Rebuilding } from './world.ts';

/** The alias of the old row that comes from this source. */
export function oldAlias(source: number): Sql {
  return sql.raw(source === 0 ? 't' : `t${String(source)}`);
}

/** A column of the list: the i-th one of the old primary key. */
export function oldKeyColumn(index: number): Sql {
  return sql.id(`o${String(index)}`);
}

/**
 * The columns whose values stand in the list, in order: those that are found, not copied, and what of the new key is not in
 * the old one, so that a line tells both keys of its row by itself.
 */
export function foundColumns(of: Found): readonly string[] {
  return of.spec.columns.map(({ name }) => name).filter((name) => isFound(of, name));
}

type Found = Pick<Rebuilding, 'operation' | 'world' | 'spec' | 'pair'>;

function isFound({ operation, world, spec, pair }: Found, column: string): boolean {
  const source = operation.columns[column];
  if (source === undefined) return false;
  if (ruleOf(world.attribution, operation.table, column) !== undefined) return true;
  if (source.from === 'same' || source.from === 'cast') {
    if (!spec.primaryKey.includes(column)) return false;
    return (
      source.from === 'cast' || pair.sources[0]?.primaryKey.includes(pair.columns[0]?.[column] ?? '') !== true
    );
  }
  return source.from !== 'default' && source.from !== 'make';
}

/** The new key of the row that a line `l` is about; undefined parts are left to their default. */
export function newKeyOf(of: Rebuilding, l: Sql = sql`l`): readonly Sql[] {
  const found = foundColumns(of);
  const [old] = of.pair.sources;
  return of.spec.primaryKey.map((column) => {
    const place = found.indexOf(column);
    if (place >= 0) return sql`${l}.${foundColumn(place)}`;
    const former = of.pair.columns[0]?.[column];
    const index = former === undefined ? -1 : (old?.primaryKey.indexOf(former) ?? -1);
    return index < 0 ? sql`null` : sql`${l}.${oldKeyColumn(index)}`;
  });
}

/** The SQL expression that a rule gives for a column. */
export function ruleOf(attribution: Attribution, table: string, column: string): string | undefined {
  return attribution[`${table}.${column}`];
}

/** The columns that carried rows are written with; the others take their default. */
export function writtenColumns(of: Rebuilding): readonly string[] {
  return of.spec.columns.map(({ name }) => name).filter((name) => carriedValue(of, name) !== undefined);
}

/** The value of a new column for a line `l` of the list and its old rows; undefined: the default. */
export function carriedValue(of: Rebuilding, column: string): Sql | undefined {
  const place = foundColumns(of).indexOf(column);
  if (place >= 0) return sql`l.${foundColumn(place)}`;
  const source = of.operation.columns[column];
  return source === undefined ? undefined : copiedValue(of, column, source);
}

/** A column of the list: the i-th found value. */
export function foundColumn(index: number): Sql {
  return sql.id(`v${String(index)}`);
}

/** The value of a column that is copied from the old rows. */
export function copiedValue(of: Rebuilding, column: string, source: ColumnSource): Sql | undefined {
  if (source.from !== 'same' && source.from !== 'cast') return undefined;
  const values = of.pair.columns.flatMap((columns, index) => {
    const old = columns[column];
    // In a merge the key stands in each of the rows that are there.
    const counts = index === source.source || of.spec.primaryKey.includes(column);
    return old === undefined || !counts ? [] : [sql`${oldAlias(index)}.${sql.id(old)}`];
  });
  const [first, another] = values;
  if (first === undefined) return undefined;
  const value = another === undefined ? first : sql`coalesce(${sql.join(values)})`;
  return source.from === 'same' ? value : castTo(value, source.was, typeOf(of.spec, column));
}

/** A value in another type; through its text where there is no way from type to type. */
export function castTo(value: Sql, was: string, now: string): Sql {
  if (was === now) return value;
  return isNumeric(was) && isNumeric(now)
    ? sql`(${value})::${sql.raw(now)}`
    : sql`(${value})::text::${sql.raw(now)}`;
}

/** Whether a type is one of the numbers, between which PostgreSQL casts. */
export function isNumeric(type: string): boolean {
  return /^(smallint|integer|bigint|real|double precision|numeric|decimal)/u.test(type);
}

/** The type of a column. */
export function typeOf(spec: TableSpec, column: string): string {
  return columnOf(spec, column)?.type ?? 'text';
}

/** A column by its name. */
export function columnOf(spec: TableSpec, column: string): ColumnSpec | undefined {
  return spec.columns.find(({ name }) => name === column);
}

/** Whether people wrote what a make computes now. Between imported and computed, a make wrote it before too. */
export function becomesMade({ operation, pair, spec }: Rebuilding): boolean {
  const [old] = pair.sources;
  const isOther = operation.changes.some((change) => change.kind === 'change_tier');
  return isOther && old?.form === undefined && spec.form !== undefined;
}

/** Whether a row may have another key than before: rows below must look where it went. */
export function changesKey({ operation, pair, spec, world }: Rebuilding): boolean {
  const [old] = pair.sources;
  if (old === undefined) return false;
  if (operation.from.length > 1 || mayRetire(world.attribution[operation.table])) return true;
  if (old.primaryKey.length !== spec.primaryKey.length) return true;
  return spec.primaryKey.some((column) => operation.columns[column]?.from !== 'same');
}

/** Whether a part of the old key is in the new one no more, so that two old rows may meet on one key. */
export function isNarrower({ pair, spec, operation }: Rebuilding): boolean {
  const [old] = pair.sources;
  const same = spec.primaryKey.flatMap((column) => {
    const source = operation.columns[column];
    return source?.from === 'same' || source?.from === 'cast' ? [source.column] : [];
  });
  return (old?.primaryKey ?? []).some((column) => !same.includes(column));
}

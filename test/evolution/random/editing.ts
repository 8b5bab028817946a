/** What edits of a model are made of. */
import { referenced, type World } from './draw.ts';
import { isUndeclared } from './make.ts';
import {
  primaryKey,
  tableOf,
  withTable,
  withUses,
  type Column,
  type Key,
  type Model,
  type Read,
  type Table,
} from './model.ts';
import type { Random } from './random.ts';

/** One kind of change, made at random; `at` is its place in the sequence, for names that nothing has yet. */
export type Edit = (world: World, random: Random, at: number) => World | undefined;

export const withModel = (world: World, model: Model | undefined): World | undefined =>
  model === undefined ? undefined : { ...world, model };

/** One of the tables that fit. */
export function pickTable(
  { model }: World,
  random: Random,
  fits: (table: Table, model: Model) => boolean,
): Table | undefined {
  const found = model.tables.filter((table) => fits(table, model));
  return found.length === 0 ? undefined : random.pick(found);
}

/**
 * Whether a table has several foreign keys that bring the key of this one: with the names of all their columns changed at
 * once, nothing says which of them is which, and the rows are rightly called ambiguous.
 */
export function isBroughtTwice(model: Model, { key }: Table): boolean {
  const names = new Set(key.map(({ name }) => name));
  return model.tables.some(({ keys }) =>
    keys.some(
      ({ id, to }) =>
        keys.some((other) => other.id !== id && other.to === to) &&
        primaryKey(model, tableOf(model, to)).some((column) =>
          [...names].some((name) => column.startsWith(name)),
        ),
    ),
  );
}

/** What changes in a table that is read without being declared reaches no result until it is. */
export function isReadUnseen({ tables }: Model, id: string): boolean {
  return tables.some(({ reads }) => reads.some((read) => isUndeclared(read) && read.table === id));
}

export const isMade = ({ make }: Table): boolean => make !== undefined;
export const isWritten = ({ tier }: Table): boolean => tier === 'manual';

/** A foreign key of the primary key that brings its columns under their own names. */
export function isStraight({ kind, suffix }: Key): boolean {
  return kind === 'primary' && suffix === undefined;
}

/** Whether a column holds plain numbers. */
export function isPlainInteger({ id, type }: Column): boolean {
  return type === 'integer' && referenced(id) === undefined;
}
/** The undeclared read as a secondary foreign key: filled where a column names the row, else returned by the make. */
export function declared(table: Table): Partial<Table> {
  const known = table.reads.filter((read) => !isUndeclared(read));
  const found = table.reads.filter(isUndeclared);
  const keys = found.map((read): Key => {
    const { name, table: to, namedBy } = read;
    const base = {
      id: `${table.id}.${name}`,
      to,
      kind: 'secondary' as const,
      label: name,
      suffix: name,
      optional: true,
    };
    return namedBy === undefined ? base : { ...base, filledBy: namedBy };
  });
  const reads = found.map(({ name, table: of, namedBy }): Read =>
    namedBy === undefined
      ? { name, table: of, how: 'all' }
      : { name, table: of, how: 'key', by: `${table.id}.${name}` },
  );
  const chosen = Object.fromEntries(
    found.filter(({ namedBy }) => namedBy === undefined).map(({ name }) => [`${table.id}.${name}`, name]),
  );
  const { make } = table;
  return {
    keys: [...table.keys, ...keys],
    reads: [...known, ...reads],
    ...(make === undefined ? {} : { make: { ...make, chosen: { ...make.chosen, ...chosen } } }),
  };
}

/** A table without a foreign key and without what its make read by it. */
export function withoutKey(table: Table, key: Key): Partial<Table> {
  const gone = new Set(table.reads.filter(({ by }) => by === key.id).map(({ name }) => name));
  const make = table.make;
  return {
    keys: table.keys.filter(({ id }) => id !== key.id),
    reads: table.reads.filter(({ name }) => !gone.has(name)),
    ...(make === undefined
      ? {}
      : {
          make: {
            ...withUses(make, (uses) =>
              Object.fromEntries(Object.entries(uses).filter(([name]) => !gone.has(name))),
            ),
            chosen: Object.fromEntries(Object.entries(make.chosen).filter(([id]) => id !== key.id)),
          },
        }),
  };
}

/** A model without a column; undefined where a foreign key is filled from it. */
export function withoutColumn(model: Model, table: Table, column: string): Model | undefined {
  const isNeeded = model.tables.some(
    ({ keys, reads }) =>
      keys.some(({ filledBy }) => filledBy?.column === column) ||
      reads.some(
        ({ namedBy, columns }) =>
          namedBy?.column === column || (columns?.includes(column) === true && columns.length === 1),
      ),
  );
  if (isNeeded) return undefined;
  const without = (list: readonly string[]): readonly string[] => list.filter((id) => id !== column);
  const narrowed = model.tables.map((each): Table => {
    const reads = each.reads.map((read) =>
      read.columns === undefined ? read : { ...read, columns: without(read.columns) },
    );
    if (each.make === undefined) return { ...each, reads };
    const make = withUses(each.make, (uses) =>
      Object.fromEntries(Object.entries(uses).map(([name, ids]) => [name, without(ids)])),
    );
    return { ...each, reads, make };
  });
  return withTable({ tables: narrowed }, table.id, (each) => ({
    ...each,
    columns: each.columns.filter(({ id }) => id !== column),
  }));
}

/** Changes of a model as a person would make them, each by one operation of an evolution; what does not fit is undefined. */
import { changed, drawMade, referenced, withManual, type World } from './draw.ts';
import { isUndeclared } from './make.ts';
import {
  dependencies,
  withTable,
  type Column,
  type Key,
  type Model,
  type Read,
  type Table,
  primaryKey,
  tableOf,
} from './model.ts';
import type { Random } from './random.ts';

/** One kind of change, made at random; `at` is its place in the sequence, for names that nothing has yet. */
export type Edit = (world: World, random: Random, at: number) => World | undefined;

const withModel = (world: World, model: Model | undefined): World | undefined =>
  model === undefined ? undefined : { ...world, model };

function pickTable(
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
function isBroughtTwice(model: Model, { key }: Table): boolean {
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

const isMade = ({ make }: Table): boolean => make !== undefined;
const isWritten = ({ tier }: Table): boolean => tier === 'manual';

/** Every kind of change by name. */
export const EDITS: Readonly<Record<string, Edit>> = {
  comment: (world, random, at) => {
    const table = random.pick(world.model.tables);
    return withModel(world, changed(world.model, table.id, { comment: `said at ${String(at)}` }));
  },

  contents: (world, random, at) => {
    const table = pickTable(
      world,
      random,
      ({ id, tier }, model) => tier === 'lookup' && !isReadUnseen(model, id),
    );
    if (table === undefined) return undefined;
    const contents = (table.contents ?? []).map((row, index) =>
      index > 0
        ? row
        : { ...row, ...Object.fromEntries(table.columns.map(({ id }) => [id, 30 + at + random.upTo(20)])) },
    );
    return withModel(world, changed(world.model, table.id, { contents }));
  },

  code: (world, random, at) => {
    const table = pickTable(world, random, isMade);
    if (table?.make === undefined) return undefined;
    const make = { ...table.make, salt: `${table.make.salt}'${String(at)}` };
    return withModel(world, changed(world.model, table.id, { make }));
  },

  add_table: (world, random, at) => {
    const id = `n${String(at)}`;
    if (random.chance(0.3)) return withManual(world, id, random);
    return withModel(world, { tables: [...world.model.tables, ...drawMade(world, id, random)] });
  },

  remove_table: (world, random) => {
    const table = pickTable(
      world,
      random,
      ({ id, tier }, { tables }) =>
        tier !== 'part' &&
        tables.every((other) => other.master === id || !dependencies(other).has(id)) &&
        tables
          .filter(({ master }) => master === id)
          .every((part) => tables.every((other) => !dependencies(other).has(part.id))),
    );
    if (table === undefined || world.model.tables.length < 3) return undefined;
    const tables = world.model.tables.filter(({ id, master }) => id !== table.id && master !== table.id);
    return withModel(world, { tables });
  },

  rename_table: (world, random, at) => {
    const table = random.pick(world.model.tables);
    return withModel(world, changed(world.model, table.id, { name: `${table.name}_x${String(at)}` }));
  },

  move_table: (world, random) => {
    const table = pickTable(world, random, ({ master }) => master === undefined);
    if (table === undefined) return undefined;
    const schema = random.pick(['one', 'two', 'three'].filter((name) => name !== table.schema));
    return withModel(world, changed(world.model, table.id, { schema }));
  },

  rename_column: (world, random, at) => {
    const table = pickTable(world, random, ({ columns }) => columns.length > 0);
    if (table === undefined) return undefined;
    const { id } = random.pick(table.columns);
    const columns = table.columns.map((each) =>
      each.id === id ? { ...each, name: `${each.name}_x${String(at)}` } : each,
    );
    return withModel(world, changed(world.model, table.id, { columns }));
  },

  rename_key_column: (world, random, at) => {
    const table = pickTable(world, random, ({ key }) => key.length > 0);
    if (table === undefined || isBroughtTwice(world.model, table)) return undefined;
    const key = table.key.map((each) => ({ ...each, name: `${each.name}_x${String(at)}` }));
    return withModel(world, changed(world.model, table.id, { key }));
  },

  rename_reference: (world, random, at) => {
    const table = pickTable(world, random, ({ keys }) => keys.some(({ suffix }) => suffix !== undefined));
    if (table === undefined) return undefined;
    const { id } = random.pick(table.keys.filter(({ suffix }) => suffix !== undefined));
    const keys = table.keys.map((key): Key =>
      key.id === id
        ? { ...key, suffix: `${key.suffix ?? ''}_x${String(at)}`, label: `${key.label}_x${String(at)}` }
        : key,
    );
    return withModel(world, changed(world.model, table.id, { keys }));
  },

  add_column: (world, random, at) => {
    const table = pickTable(world, random, ({ tier }) => tier !== 'lookup');
    if (table === undefined) return undefined;
    const isOpen = random.chance(0.5);
    const column: Column = {
      id: `${table.id}.a${String(at)}`,
      name: `added${String(at)}`,
      type: random.pick(['integer', 'text'] as const),
      ...(isWritten(table) ? (isOpen ? { nullable: true } : { default: 4 }) : {}),
    };
    return withModel(world, changed(world.model, table.id, { columns: [...table.columns, column] }));
  },

  drop_column: (world, random) => {
    const table = pickTable(world, random, ({ columns, tier }) => tier !== 'lookup' && columns.length > 1);
    if (table === undefined) return undefined;
    return withModel(world, withoutColumn(world.model, table, random.pick(table.columns).id));
  },

  retype_column: (world, random) => {
    const table = pickTable(
      world,
      random,
      ({ columns, tier }) => tier !== 'lookup' && columns.some(isPlainInteger),
    );
    if (table === undefined) return undefined;
    const { id } = random.pick(table.columns.filter(isPlainInteger));
    const columns = table.columns.map((each) =>
      each.id === id ? { ...each, type: 'bigint' as const } : each,
    );
    return withModel(world, changed(world.model, table.id, { columns }));
  },

  declare_reference: (world, random) => {
    const table = pickTable(world, random, ({ reads }) => reads.some(isUndeclared));
    if (table === undefined) return undefined;
    return withModel(world, changed(world.model, table.id, declared(table)));
  },

  declare_parent: (world, random) => {
    const table = pickTable(world, random, ({ reads }) => reads.some(isUndeclared));
    if (table === undefined) return undefined;
    const key = (read: Read): Key => ({
      id: `${table.id}.${read.name}`,
      to: read.table,
      kind: 'primary',
      label: read.name,
      suffix: read.name,
    });
    const known = table.reads.filter((read) => !isUndeclared(read));
    const found = table.reads.filter(isUndeclared);
    const reads = found.map(({ name, table: of }): Read => ({
      name,
      table: of,
      how: 'key',
      by: `${table.id}.${name}`,
    }));
    return withModel(
      world,
      changed(world.model, table.id, {
        keys: [...table.keys, ...found.map(key)],
        reads: [...known, ...reads],
      }),
    );
  },

  drop_reference: (world, random) => {
    const table = pickTable(world, random, ({ keys }) => keys.some(({ kind }) => kind === 'secondary'));
    if (table?.make === undefined) return undefined;
    const key = random.pick(table.keys.filter(({ kind }) => kind === 'secondary'));
    return withModel(world, changed(world.model, table.id, withoutKey(table, key)));
  },

  narrow_key: (world, random) => {
    const table = pickTable(
      world,
      random,
      ({ keys, make }) => make !== undefined && keys.filter(({ kind }) => kind === 'primary').length > 1,
    );
    if (table === undefined) return undefined;
    const key = table.keys.filter(({ kind }) => kind === 'primary').at(-1);
    return key === undefined
      ? undefined
      : withModel(world, changed(world.model, table.id, withoutKey(table, key)));
  },

  add_read: (world, random, at) => {
    const table = pickTable(world, random, isMade);
    const known = new Set(table?.reads.map((read) => read.table));
    const target = pickTable(
      world,
      random,
      ({ id, tier }) => (tier === 'manual' || tier === 'lookup') && !known.has(id),
    );
    if (table === undefined || target === undefined) return undefined;
    const read: Read = { name: `more${String(at)}`, table: target.id, how: 'all' };
    return withModel(world, changed(world.model, table.id, { reads: [...table.reads, read] }));
  },

  insert_table: (world, random, at) => {
    const table = pickTable(
      world,
      random,
      ({ keys, make }) =>
        make !== undefined &&
        keys.some((key) => isStraight(key) && keys.filter(({ to }) => to === key.to).length === 1),
    );
    const key = table?.keys.find(
      (each) => isStraight(each) && table.keys.filter(({ to }) => to === each.to).length === 1,
    );
    if (table === undefined || key === undefined) return undefined;
    const id = `n${String(at)}`;
    const up: Key = { id: `${id}.p0`, to: key.to, kind: 'primary', label: 'p0' };
    const between: Table = {
      id,
      schema: table.schema,
      name: id,
      tier: 'computed',
      key: [],
      keys: [up],
      columns: [{ id: `${id}.v0`, name: `${id}_v0`, type: 'integer' }],
      reads: [{ name: 'r_p0', table: key.to, how: 'key', by: up.id }],
      make: { salt: id, uses: {}, chosen: {}, partRows: 0 },
    };
    const reads = table.reads.map((read): Read => {
      if (read.by !== key.id) return read;
      const { by: _, ...rest } = read;
      return { ...rest, how: 'above' };
    });
    const keys = table.keys.map((each): Key =>
      each === key ? { ...key, id: `${table.id}.b${String(at)}`, to: id } : each,
    );
    const index = world.model.tables.indexOf(table);
    const tables = world.model.tables.map((each) => (each === table ? { ...table, keys, reads } : each));
    return withModel(world, { tables: [...tables.slice(0, index), between, ...tables.slice(index)] });
  },

  split_table: (world, random, at) => {
    const { model } = world;
    const table = pickTable(
      world,
      random,
      ({ id, columns, keys, tier }) =>
        columns.length > 1 &&
        (tier === 'manual' || tier === 'computed' || tier === 'imported') &&
        keys.every(({ kind }) => kind === 'primary') &&
        model.tables.every(({ master }) => master !== id),
    );
    if (table === undefined || table.reads.some(isUndeclared)) return undefined;
    const moved = random.pick(table.columns);
    const isUsed = model.tables.some(
      (other) =>
        other.keys.some(({ filledBy }) => filledBy?.column === moved.id) ||
        other.reads.some(
          ({ name, namedBy, columns }) =>
            namedBy?.column === moved.id ||
            columns?.includes(moved.id) === true ||
            other.make?.uses[name]?.includes(moved.id) === true,
        ),
    );
    if (isUsed || referenced(moved.id) !== undefined) return undefined;
    const id = `n${String(at)}`;
    const off: Table = { ...table, id, name: id, columns: [moved], splitFrom: table.id };
    const rest = { ...table, columns: table.columns.filter((column) => column !== moved) };
    return withModel(world, {
      tables: model.tables.flatMap((each) => (each === table ? [rest, off] : [each])),
    });
  },

  to_computed: (world, random) => {
    const table = pickTable(
      world,
      random,
      ({ tier, key, columns, keys }) =>
        tier === 'manual' &&
        key.length === 0 &&
        keys.length > 0 &&
        columns.every(({ id }) => referenced(id) === undefined),
    );
    const [key] = table?.keys ?? [];
    if (table === undefined || key === undefined) return undefined;
    const read: Read = { name: 'r_p', table: key.to, how: 'key', by: key.id };
    const make = { salt: table.id, uses: {}, chosen: {}, partRows: 0 };
    return withModel(world, changed(world.model, table.id, { tier: 'computed', reads: [read], make }));
  },

  to_manual: (world, random) => {
    const table = pickTable(
      world,
      random,
      ({ id, tier, reads, keys }, { tables }) =>
        tier === 'computed' &&
        !reads.some(isUndeclared) &&
        // Of a read that is declared in the same step, only the record knows the value.
        keys.every(({ label }) => label !== 'side') &&
        tables.every(({ master }) => master !== id),
    );
    if (table === undefined) return undefined;
    const { make: _, ...rest } = table;
    const keys = table.keys.map((key): Key => {
      const { filledBy: __, ...bare } = key;
      return bare;
    });
    return withModel(
      world,
      withTable(world.model, table.id, () => ({ ...rest, tier: 'manual', keys, reads: [] })),
    );
  },
};

/** A foreign key of the primary key that brings its columns under their own names. */
function isStraight({ kind, suffix }: Key): boolean {
  return kind === 'primary' && suffix === undefined;
}

function isPlainInteger({ id, type }: Column): boolean {
  return type === 'integer' && referenced(id) === undefined;
}
/** The undeclared read as a secondary foreign key: filled where a column names the row, else returned by the make. */
function declared(table: Table): Partial<Table> {
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
function withoutKey(table: Table, key: Key): Partial<Table> {
  const gone = new Set(table.reads.filter(({ by }) => by === key.id).map(({ name }) => name));
  const make = table.make;
  return {
    keys: table.keys.filter(({ id }) => id !== key.id),
    reads: table.reads.filter(({ name }) => !gone.has(name)),
    ...(make === undefined
      ? {}
      : {
          make: {
            ...make,
            uses: Object.fromEntries(Object.entries(make.uses).filter(([name]) => !gone.has(name))),
            chosen: Object.fromEntries(Object.entries(make.chosen).filter(([id]) => id !== key.id)),
          },
        }),
  };
}

/** A model without a column; undefined where a foreign key is filled from it. */
function withoutColumn(model: Model, table: Table, column: string): Model | undefined {
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
    const uses = Object.fromEntries(
      Object.entries(each.make.uses).map(([name, ids]) => [name, without(ids)]),
    );
    return { ...each, reads, make: { ...each.make, uses } };
  });
  return withTable({ tables: narrowed }, table.id, (each) => ({
    ...each,
    columns: each.columns.filter(({ id }) => id !== column),
  }));
}

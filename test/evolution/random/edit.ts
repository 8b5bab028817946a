/** Changes of a model as a person would make them, each by one operation of an evolution; what does not fit is undefined. */
import { changed, drawMade, referenced, withManual } from './draw.ts';
import {
  declared,
  isBroughtTwice,
  isMade,
  isPlainInteger,
  isReadUnseen,
  isStraight,
  isWritten,
  pickTable,
  withModel,
  withoutColumn,
  withoutKey,
  type Edit,
} from './editing.ts';
import { isUndeclared } from './make.ts';
import { dependencies, withTable, type Column, type Key, type Read, type Table } from './model.ts';
import { RESHAPES } from './reshape.ts';

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
      ({ id, tier, key, columns, keys }, model) =>
        tier === 'manual' &&
        !isReadUnseen(model, id) &&
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

  ...RESHAPES,
};

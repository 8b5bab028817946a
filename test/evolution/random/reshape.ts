/** Changes of which tables there are and what makes are given: merges, parts that become tables and back, other columns read. */
import { changed, referenced } from './draw.ts';
import { isMade, isReadUnseen, isStraight, pickTable, withModel, type Edit } from './editing.ts';
import { isUndeclared } from './make.ts';
import { dependencies, type Key, type Make, type Model, type Read, type Table } from './model.ts';

/** These kinds of change by name. */
export const RESHAPES: Readonly<Record<string, Edit>> = {
  merge_tables: (world, random, at) => {
    const { model } = world;
    const pairs = model.tables.flatMap((left, index) =>
      model.tables
        .slice(index + 1)
        .filter((right) => isMergeable(world.model, left, right))
        .map((right) => [left, right] as const),
    );
    if (pairs.length === 0) return undefined;
    const [left, right] = random.pick(pairs);
    const id = `n${String(at)}`;
    const merged = mergedTable(left, right, { id, isAsBefore: random.chance(0.7) });
    const tables = model.tables.flatMap((each) => {
      if (each === left) return [];
      return [each === right ? merged : leadingTo(each, [left.id, right.id], id)];
    });
    return withModel(world, { tables: inOrder(tables) });
  },

  part_to_table: (world, random, at) => {
    const { model } = world;
    const part = pickTable(world, random, ({ master }) => master !== undefined);
    const master = model.tables.find(({ id }) => id === part?.master);
    if (part === undefined || master === undefined) return undefined;
    const { master: _, ...rest } = part;
    const key: Key = { id: `${part.id}.m`, to: master.id, kind: 'primary', label: 'm' };
    const table: Table = {
      ...rest,
      tier: 'manual',
      schema: master.schema,
      name: `${part.id}_x${String(at)}`,
      keys: [key],
    };
    // People write its rows from now on, and its master's make gives none any more.
    const tables = model.tables.map((each) => {
      if (each === part) return table;
      if (each !== master || each.make === undefined) return each;
      return { ...each, make: { ...each.make, partRows: 0 } };
    });
    return withModel(world, { tables });
  },

  table_to_part: (world, random, at) => {
    const { model } = world;
    const table = pickTable(
      world,
      random,
      ({ id, tier, key, keys, columns }) =>
        tier === 'manual' &&
        key.length > 0 &&
        keys.length === 1 &&
        keys.every(isStraight) &&
        columns.every((column) => referenced(column.id) === undefined) &&
        model.tables.some((owner) => owner.id === keys[0]?.to && owner.tier === 'manual') &&
        model.tables.every((other) => other.id === id || !dependencies(other).has(id)),
    );
    const master = model.tables.find(({ id }) => id === table?.keys[0]?.to);
    if (table === undefined || master === undefined) return undefined;
    const part: Table = {
      ...table,
      tier: 'part',
      schema: master.schema,
      name: `${table.id}_x${String(at)}`,
      keys: [],
      master: master.id,
    };
    return withModel(world, { tables: model.tables.map((each) => (each === table ? part : each)) });
  },

  read_columns: (world, random) => {
    const { model } = world;
    const table = pickTable(world, random, (each) => isMade(each) && readsOf(model, each).length > 0);
    if (table?.make === undefined) return undefined;
    const read = random.pick(readsOf(model, table));
    const all = ownColumns(model, read);
    const some = all.filter(() => random.chance(0.5));
    const columns = random.chance(0.3) || some.length === 0 ? undefined : some;
    if ((columns ?? []).join() === (read.columns ?? []).join()) return undefined;
    const { columns: _, ...bare } = read;
    const now: Read = columns === undefined ? bare : { ...bare, columns };
    const used = table.make.uses[read.name] ?? [];
    const make: Make = {
      ...table.make,
      uses: { ...table.make.uses, [read.name]: used.filter((id) => (columns ?? all).includes(id)) },
    };
    const reads = table.reads.map((each) => (each === read ? now : each));
    return withModel(world, changed(model, table.id, { reads, make }));
  },
};

/** Reads that may name columns: the row that the one foreign key to its table leads to, or all rows. */
function readsOf(model: Model, table: Table): readonly Read[] {
  return table.reads.filter(
    (read) =>
      !isUndeclared(read) &&
      ownColumns(model, read).length > 1 &&
      (read.how !== 'key' || table.keys.filter(({ to }) => to === read.table).length === 1) &&
      Object.values(table.make?.chosen ?? {}).every((name) => name !== read.name) &&
      table.make?.asBefore === undefined,
  );
}

function ownColumns(model: Model, read: Read): readonly string[] {
  return model.tables.find(({ id }) => id === read.table)?.columns.map(({ id }) => id) ?? [];
}

/** Whether two tables have their key of the same tables above, and nothing else has to do with both. */
function isMergeable(model: Model, left: Table, right: Table): boolean {
  const isPlain = ({ id, key, keys, reads, tier }: Table): boolean =>
    (tier === 'manual' || tier === 'computed' || tier === 'imported') &&
    key.length === 0 &&
    keys.every(isStraight) &&
    !reads.some(isUndeclared) &&
    !isReadUnseen(model, id) &&
    model.tables.every(({ master }) => master !== id);
  const leadsTo = ({ keys }: Table): string => keys.map(({ to }) => to).join();
  return (
    isPlain(left) &&
    isPlain(right) &&
    (left.make === undefined) === (right.make === undefined) &&
    leadsTo(left) === leadsTo(right) &&
    new Set(left.keys.map(({ to }) => to)).size === left.keys.length &&
    !dependencies(right).has(left.id) &&
    model.tables.every((other) => !dependencies(other).has(left.id) || !dependencies(other).has(right.id)) &&
    // Rows without a partner go, and would take those below along.
    (left.make !== undefined ||
      model.tables.every((other) => !dependencies(other).has(left.id) && !dependencies(other).has(right.id)))
  );
}

interface Merging {
  readonly id: string;
  /** Whether its make gives what the two gave. */
  readonly isAsBefore: boolean;
}

function mergedTable(left: Table, right: Table, { id, isAsBefore }: Merging): Table {
  const keyOf = new Map(
    right.keys.map((key) => [key.id, left.keys.find(({ to }) => to === key.to)?.id ?? key.id]),
  );
  const renamed = (name: string): string => `${name}_r`;
  const reads = right.reads.map((read): Read => ({
    ...read,
    name: renamed(read.name),
    ...(read.by === undefined ? {} : { by: keyOf.get(read.by) ?? read.by }),
  }));
  const { make: one, comment: _, ...rest } = left;
  const other = right.make;
  const table: Table = {
    ...rest,
    id,
    name: id,
    columns: [...left.columns, ...right.columns],
    reads: [...left.reads, ...reads],
    mergedFrom: [left.id, right.id],
  };
  if (one === undefined || other === undefined) return table;
  const uses = Object.fromEntries(Object.entries(other.uses).map(([name, ids]) => [renamed(name), ids]));
  const make: Make = { salt: id, uses: { ...one.uses, ...uses }, chosen: {}, partRows: 0 };
  const each = [
    ...left.columns.map((column) => [column.id, one.asBefore?.[column.id] ?? one] as const),
    ...right.columns.map((column) => [column.id, { salt: other.salt, uses }] as const),
  ];
  const asBefore = Object.fromEntries(
    each.map(([column, made]) => [column, { salt: made.salt, uses: made.uses }]),
  );
  return { ...table, make: isAsBefore ? { ...make, asBefore } : make };
}

/** A table whose foreign keys and reads lead to another one now. */
function leadingTo(table: Table, olds: readonly string[], id: string): Table {
  const to = (of: string): string => (olds.includes(of) ? id : of);
  return {
    ...table,
    keys: table.keys.map((key) => ({
      ...key,
      to: to(key.to),
      ...(key.filledBy === undefined ? {} : { filledBy: { ...key.filledBy, table: to(key.filledBy.table) } }),
    })),
    reads: table.reads.map((read) => ({
      ...read,
      table: to(read.table),
      ...(read.namedBy === undefined ? {} : { namedBy: { ...read.namedBy, table: to(read.namedBy.table) } }),
    })),
  };
}

/** Each after all that it names. */
function inOrder(tables: readonly Table[]): readonly Table[] {
  const placed: Table[] = [];
  for (;;) {
    const known = new Set(placed.map(({ id }) => id));
    const next = tables.find(
      (table) => !known.has(table.id) && [...dependencies(table)].every((id) => known.has(id)),
    );
    if (next === undefined) return placed;
    placed.push(next);
  }
}

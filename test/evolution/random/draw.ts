import { keySource, settle, type Data } from './compute.ts';
import { written, type Value, type Values } from './make.ts';
import {
  keyColumns,
  primaryKey,
  tableOf,
  withTable,
  type Column,
  type Key,
  type Make,
  type Model,
  type Read,
  type Table,
} from './model.ts';
import type { Random } from './random.ts';

/** A model with what people wrote into it. */
export interface World {
  readonly model: Model;
  readonly written: Data;
}

/** More keys than this make a case slow and show nothing new. */
const MAX_KEYS = 12;
/** Before edits; a part may come on top, and an edit may add one. */
const MAX_TABLES = 10;
const SCHEMAS = ['one', 'two'];

/** Draws a pipeline of up to 12 tables and its data. */
export function drawWorld(random: Random): World {
  let world: World = { model: { tables: [] }, written: new Map() };
  const manual = 2 + random.upTo(3);
  for (let at = 0; at < manual; at += 1) world = withManual(world, `m${String(at)}`, random);
  // Most faults show in a few tables, and those cases cost half as much.
  const made = random.chance(0.3) ? 2 + random.upTo(6) : 1 + random.upTo(4);
  for (let at = 0; at < made && world.model.tables.length < MAX_TABLES; at += 1) {
    const table = drawMade(world, `c${String(at)}`, random);
    world = { ...world, model: { tables: [...world.model.tables, ...table] } };
  }
  return world;
}

/** A column by which a row of one table names a row of another; its id says which. */
function referenceColumn(id: string, to: string): Column {
  return { id: `${id}.ref:${to}`, name: `${id}_wants_${to}`, type: 'integer', nullable: true };
}

/** The table that such a column names. */
export function referenced(column: string): string | undefined {
  return column.split('.ref:')[1];
}

/** A column of its own of a table. */
export function drawColumn(table: string, at: number, random: Random): Column {
  const type = random.pick(['integer', 'integer', 'bigint', 'text'] as const);
  return {
    id: `${table}.v${String(at)}`,
    name: `${table}_v${String(at)}`,
    type,
    nullable: random.chance(0.3),
  };
}

/** Adds a table that people fill, with 2 to 6 rows; a lookup where nothing leads out of it. */
export function withManual({ model, written: data }: World, id: string, random: Random): World {
  const others = model.tables.filter(({ tier }) => tier === 'manual' || tier === 'lookup');
  const roots = others.filter((table) => table.keys.length === 0 && (data.get(table.id) ?? []).length > 0);
  const parent = random.chance(0.3) && roots.length > 0 ? random.pick(roots) : undefined;
  // One row for each row of the parent: what a make could fill as well.
  const isNote = parent !== undefined && random.chance(0.5);
  const wants = random.chance(0.5) && roots.length > 0 ? random.pick(roots) : undefined;
  const isLookup = parent === undefined && wants === undefined && random.chance(0.25);
  const columns = Array.from({ length: 1 + random.upTo(2) }, (_, at) => drawColumn(id, at, random));
  const table: Table = {
    id,
    schema: random.pick(SCHEMAS),
    name: id,
    tier: isLookup ? 'lookup' : 'manual',
    key: isNote ? [] : [{ id: `${id}.k`, name: `${id}_k`, type: 'integer' }],
    keys: parent === undefined ? [] : [{ id: `${id}.p`, to: parent.id, kind: 'primary', label: 'p' }],
    columns: wants === undefined ? columns : [...columns, referenceColumn(id, wants.id)],
    reads: [],
  };
  const numbers = Array.from({ length: 2 + random.upTo(3) }, (_, k) =>
    drawNumbers(table, k + 1, data, random),
  );
  if (isLookup) {
    const next = { tables: [...model.tables, { ...table, contents: numbers }] };
    return { model: next, written: new Map([...data, [id, settle(next, data).data.get(id) ?? []]]) };
  }
  const next = { tables: [...model.tables, table] };
  const drawn = numbers.flatMap((row) => drawRow(next, table, { row, data, random }));
  const rows = isNote ? oneEach(next, table, drawn) : drawn;
  return { model: next, written: new Map([...data, [id, rows]]) };
}

function drawNumbers(
  table: Table,
  k: number,
  data: Data,
  random: Random,
): Readonly<Record<string, number | null>> {
  const values = table.columns.map(({ id, nullable }): [string, number | null] => {
    const target = referenced(id);
    if (nullable === true && random.chance(0.25)) return [id, null];
    if (target === undefined) return [id, random.upTo(20)];
    const rows = data.get(target) ?? [];
    return [id, rows.length === 0 ? null : Number(Object.values(random.pick(rows))[0])];
  });
  return { ...Object.fromEntries(table.key.map(({ id }) => [id, k])), ...Object.fromEntries(values) };
}

/** A row with its parent's key; none where the parent has no rows. */
function drawRow(
  model: Model,
  table: Table,
  {
    row,
    data,
    random,
  }: { readonly row: Readonly<Record<string, number | null>>; readonly data: Data; readonly random: Random },
): readonly Values[] {
  const brought: Values = Object.assign(
    {},
    ...table.keys.map((key): Values => {
      const parent = random.pick(data.get(key.to) ?? []);
      return Object.fromEntries(
        Object.entries(keyColumns(model, key)).map(([child, column]) => [child, parent[column] ?? null]),
      );
    }),
  ) as Values;
  const own = [...table.key, ...table.columns].map((column): [string, Value] => [
    column.name,
    written(column, row[column.id] ?? null),
  ]);
  return [{ ...brought, ...Object.fromEntries(own) }];
}

/** The first row of each key. */
function oneEach(model: Model, table: Table, rows: readonly Values[]): readonly Values[] {
  const key = primaryKey(model, table);
  const byKey = Map.groupBy(rows, (row) => key.map((column) => String(row[column])).join());
  return [...byKey.values()].flatMap(([first]) => (first === undefined ? [] : [first]));
}

/** A new row for a manual table, as people write it later. */
export function drawNewRow({ model, written: data }: World, id: string, random: Random): Values | undefined {
  const table = tableOf(model, id);
  const isPlaced = table.keys.every(({ to }) => (data.get(to) ?? []).length > 0);
  if (table.key.length === 0 || !isPlaced) return undefined;
  return drawRow(model, table, {
    row: drawNumbers(table, 50 + random.upTo(50), data, random),
    data,
    random,
  })[0];
}

/** A made table over those there are, with its parts. */
export function drawMade(world: World, id: string, random: Random): readonly Table[] {
  const { model } = world;
  const settled = settle(model, world.written).data;
  const parents = drawParents(model, random);
  let keys = parents.map((key, at): Key => ({
    ...key,
    ...(key.suffix === undefined ? {} : { suffix: `${key.suffix}_${id}` }),
    id: `${id}.p${String(at)}`,
    label: `p${String(at)}`,
  }));
  const schema = random.pick(SCHEMAS);
  const shell = (): Table => ({
    id,
    schema,
    name: id,
    tier: random.chance(0.85) ? 'computed' : 'imported',
    key: [],
    keys,
    columns: [],
    reads: [],
  });
  if (keySource(model, shell(), settled).length > MAX_KEYS) keys = keys.slice(0, 1);
  let table: Table = {
    ...shell(),
    columns: Array.from({ length: 1 + random.upTo(2) }, (_, at) => drawColumn(id, at, random)),
  };
  table = { ...table, reads: drawReads(model, table, random) };
  table = withChoice(model, table, random);
  table = withUndeclared(model, table, random);
  const hasPart = random.chance(0.2);
  const uses = Object.fromEntries(
    table.reads.map((read) => [
      read.name,
      someOf(random, read.columns ?? readable(tableOf(model, read.table))),
    ]),
  );
  const make: Make = { salt: id, uses, chosen: {}, partRows: hasPart ? random.upTo(3) : 0 };
  table = { ...table, make };
  return hasPart ? [table, drawPart(table, random)] : [table];
}

function drawPart({ id, schema }: Table, random: Random): Table {
  return {
    id: `${id}p`,
    schema,
    name: 'piece',
    tier: 'part',
    key: [{ id: `${id}p.n`, name: `${id}p_n`, type: 'integer' }],
    keys: [],
    columns: [{ ...drawColumn(`${id}p`, 0, random), nullable: false }],
    reads: [],
    master: id,
  };
}

/** One parent or two; now and then the same one twice, or one under other names. */
function drawParents(model: Model, random: Random): readonly Omit<Key, 'id' | 'label'>[] {
  const narrow = model.tables.filter((table) => primaryKey(model, table).length <= 3);
  const first = random.pick(narrow);
  const one = { to: first.id, kind: 'primary' as const, ...(random.chance(0.25) ? { suffix: 'a' } : {}) };
  if (random.chance(0.6)) return [one];
  const second = random.pick(narrow.filter((table) => primaryKey(model, table).length <= 2));
  const isTwice = second.id === first.id || random.chance(0.2);
  return [one, { to: second.id, kind: 'primary' as const, ...(isTwice ? { suffix: 'b' } : {}) }];
}

/** The own columns that a make may use. */
function readable({ columns }: Table): readonly string[] {
  return columns.map(({ id }) => id);
}

function someOf(random: Random, list: readonly string[]): readonly string[] {
  return list.filter(() => random.chance(0.7));
}

function drawReads(model: Model, table: Table, random: Random): readonly Read[] {
  const wanted = table.keys.filter((_, at) => at === 0 || random.chance(0.7));
  const reads = wanted.map((key): Read => {
    const target = tableOf(model, key.to);
    const isOnly = table.keys.filter(({ to }) => to === key.to).length === 1;
    const isNarrow = isOnly && readable(target).length > 0 && random.chance(0.3);
    return {
      name: `r_${key.label}`,
      table: key.to,
      how: 'key',
      by: key.id,
      ...(isNarrow ? { columns: [random.pick(readable(target))] } : {}),
    };
  });
  const small = model.tables.filter(({ tier }) => tier === 'manual' || tier === 'lookup');
  if (!random.chance(0.2)) return reads;
  return [...reads, { name: 'everything', table: random.pick(small).id, how: 'all' }];
}

/** Where a row that is read names another, it may be a reference that is filled from there. */
function withChoice(model: Model, table: Table, random: Random): Table {
  const [choice] = choices(model, table);
  if (choice === undefined || !random.chance(0.4)) return table;
  const key: Key = {
    id: `${table.id}.choice`,
    to: choice.to,
    kind: 'secondary',
    label: 'choice',
    suffix: 'choice',
    optional: true,
    filledBy: { table: choice.table, column: choice.column },
  };
  const read: Read = { name: 'chosen', table: choice.to, how: 'key', by: key.id };
  return {
    ...table,
    keys: [...table.keys, key],
    reads: random.chance(0.8) ? [...table.reads, read] : table.reads,
  };
}

/** The columns of single reads that name a row of another table. */
export function choices(
  model: Model,
  table: Table,
): readonly { readonly table: string; readonly column: string; readonly to: string }[] {
  const singles = table.reads.filter(({ how }) => how === 'key' || how === 'above');
  return singles
    .filter((read) => singles.filter((other) => other.table === read.table).length === 1)
    .flatMap((read) =>
      (read.columns ?? readable(tableOf(model, read.table))).flatMap((column) => {
        const to = referenced(column);
        // A name that leads to a table that is read by key already would make two reads of it.
        if (to === undefined || singles.some((other) => other.table === to)) return [];
        return [{ table: read.table, column, to }];
      }),
    );
}

/** Something that the make reads without saying so. */
function withUndeclared(model: Model, table: Table, random: Random): Table {
  if (!random.chance(0.35)) return table;
  const known = new Set([...table.reads.map((read) => read.table), ...table.keys.map(({ to }) => to)]);
  const [choice] = choices(model, table).filter(({ to }) => !known.has(to));
  if (choice !== undefined && random.chance(0.7)) {
    const namedBy = { table: choice.table, column: choice.column };
    return { ...table, reads: [...table.reads, { name: 'side', table: choice.to, how: 'named', namedBy }] };
  }
  const others = model.tables.filter(
    ({ id, tier }) => !known.has(id) && (tier === 'manual' || tier === 'lookup'),
  );
  if (others.length === 0) return table;
  return {
    ...table,
    reads: [...table.reads, { name: 'side', table: random.pick(others).id, how: 'newest' }],
  };
}

/** Gives a table other content. */
export function changed(model: Model, id: string, change: Partial<Table>): Model {
  return withTable(model, id, (table) => ({ ...table, ...change }));
}

/**
 * What a pipeline holds when everything in it is computed from what people wrote: slowly, in memory, from the model alone.
 */
import { isUndeclared, compareKeys, partsOf, runMake, written, type Inputs, type Values } from './make.ts';
import { namedValue } from './build.ts';
import {
  columnName,
  isByPeople,
  keyColumns,
  primaryKey,
  tableOf,
  type Model,
  type Read,
  type Table,
} from './model.ts';

/** Rows by table id. */
export type Data = ReadonlyMap<string, readonly Values[]>;

/** One run of a make, and what it saw. */
export interface Unit {
  readonly key: Values;
  readonly inputs: Inputs;
  /** What the columns are that are on record of an input, where that is less than it has by now. */
  readonly known?: ReadonlyMap<string, ReadonlySet<string>>;
}

/** All rows, and the runs of each made table. */
export interface Settled {
  readonly data: Data;
  readonly units: ReadonlyMap<string, readonly Unit[]>;
}

/** Computes every made table from what stands in the others. */
export function settle(model: Model, written: Data): Settled {
  const data = new Map<string, readonly Values[]>();
  const units = new Map<string, readonly Unit[]>();
  for (const table of model.tables) {
    if (isByPeople(model, table)) data.set(table.id, written.get(table.id) ?? []);
    if (table.tier === 'lookup') data.set(table.id, contentsOf(table));
    if (table.make === undefined) continue;
    const made = computeTable(model, table, data);
    units.set(table.id, made.units);
    for (const [id, rows] of made.rows) data.set(id, rows);
  }
  return { data, units };
}

function contentsOf(table: Table): readonly Values[] {
  return (table.contents ?? []).map((row) =>
    Object.fromEntries(
      [...table.key, ...table.columns].map((column) => [
        column.name,
        written(column, row[column.id] ?? null),
      ]),
    ),
  );
}

function computeTable(model: Model, table: Table, data: Data) {
  const parts = partsOf(model, table);
  const rows = new Map<string, Values[]>([table, ...parts].map(({ id }) => [id, []]));
  const units: Unit[] = [];
  for (const key of keySource(model, table, data)) {
    const inputs = inputsOf(model, table, { key, data });
    if (inputs === undefined) continue;
    units.push({ key, inputs });
    const { parts: made, ...own } = runMake(model, table, inputs);
    rows.get(table.id)?.push({ ...key, ...fills(model, table, inputs), ...own });
    for (const each of parts)
      rows.get(each.id)?.push(...(made?.[each.name] ?? []).map((row) => ({ ...key, ...row })));
  }
  return { rows, units };
}

/** The combinations of parent rows that agree where they share a column. */
export function keySource(model: Model, table: Table, data: Data): readonly Values[] {
  let found: readonly Values[] = [{}];
  for (const key of table.keys.filter(({ kind }) => kind === 'primary')) {
    const columns = Object.entries(keyColumns(model, key));
    const parents = (data.get(key.to) ?? []).map((row) =>
      Object.fromEntries(columns.map(([child, parent]) => [child, row[parent] ?? null])),
    );
    found = found.flatMap((left) =>
      parents
        .filter((right) =>
          columns.every(([child]) => !Object.hasOwn(left, child) || left[child] === right[child]),
        )
        .map((right) => ({ ...left, ...right })),
    );
  }
  const columns = found[0] === undefined ? [] : Object.keys(found[0]);
  return found.toSorted((left, right) => compareKeys(left, right, columns));
}

/** What a make is given for a key; undefined where a row that it needs is not there. */
export function inputsOf(
  model: Model,
  table: Table,
  given: { readonly key: Values; readonly data: Data },
): Inputs | undefined {
  const inputs: Record<string, Values | null | readonly Values[]> = {};
  for (const read of table.reads) {
    const value = isUndeclared(read)
      ? undeclaredRow(model, table, { ...given, read, inputs })
      : declaredValue(model, table, { ...given, read, inputs });
    if (value === undefined) return undefined;
    inputs[read.name] = value;
  }
  return inputs;
}

interface Asked {
  readonly key: Values;
  readonly data: Data;
  readonly read: Read;
  readonly inputs: Inputs;
}

function declaredValue(model: Model, table: Table, { key, data, read, inputs }: Asked) {
  const rows = data.get(read.table) ?? [];
  if (read.how === 'all') return rows.map((row) => projected(model, read, row));
  if (read.how === 'above') {
    const names = primaryKey(model, tableOf(model, read.table));
    const row = rows.find((each) => names.every((name) => each[name] === key[name]));
    return row === undefined ? undefined : projected(model, read, row);
  }
  const by = table.keys.find(({ id }) => id === read.by);
  if (by === undefined) throw new TypeError(`${table.id} reads ${read.name} by no foreign key`);
  const filling = by.filledBy === undefined ? undefined : namedValue(model, table, by.filledBy, inputs);
  const row = rows.find((each) =>
    Object.entries(keyColumns(model, by)).every(
      ([child, parent]) => each[parent] === (by.filledBy === undefined ? key[child] : filling),
    ),
  );
  return row === undefined ? (by.optional === true ? null : undefined) : projected(model, read, row);
}

function undeclaredRow(model: Model, table: Table, { data, read, inputs }: Asked): Values | null {
  const key = primaryKey(model, tableOf(model, read.table));
  const rows = (data.get(read.table) ?? []).toSorted((left, right) => compareKeys(left, right, key));
  if (read.namedBy === undefined) return rows.at(-1) ?? null;
  const wanted = namedValue(model, table, read.namedBy, inputs);
  return (wanted === null ? undefined : rows.find((row) => row[key[0] ?? ''] === wanted)) ?? null;
}

function projected(model: Model, { table, columns }: Read, row: Values): Values {
  if (columns === undefined) return row;
  return Object.fromEntries(
    columns.map((column) => columnName(model, { table, column })).map((name) => [name, row[name] ?? null]),
  );
}

/** The columns of foreign keys that are filled from what was read. */
function fills(model: Model, table: Table, inputs: Inputs): Values {
  return Object.fromEntries(
    table.keys.flatMap((key) => {
      const { filledBy } = key;
      if (filledBy === undefined) return [];
      const value = namedValue(model, table, filledBy, inputs);
      return Object.keys(keyColumns(model, key)).map((child) => [child, value]);
    }),
  );
}

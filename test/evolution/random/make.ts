import {
  columnName,
  keyColumns,
  primaryKey,
  type Column,
  type Make,
  type Model,
  type Table,
} from './model.ts';

export type Value = number | bigint | string | null;
export type Values = Readonly<Record<string, Value>>;
/** What a make gets: a row, no row, or rows. */
export type Inputs = Readonly<Record<string, Values | null | undefined | readonly Values[]>>;
/** What a make returns: its row, and the rows of its parts. */
export type Made = Values & { readonly parts?: Readonly<Record<string, readonly Values[]>> };

/** Small results, so that a change above often leaves what is computed from it as it was. */
const MODULUS = 5;

/** What the make of a table computes, as data in present names: equal where its text would be. */
export function codeOf(model: Model, table: Table): string {
  const { make } = table;
  if (make === undefined) return '';
  const named = (given: Make['uses']): unknown =>
    Object.entries(given).map(([name, ids]) => {
      const read = table.reads.find((each) => each.name === name);
      return [name, ids.map((column) => columnName(model, { table: read?.table ?? '', column }))];
    });
  const parts = partsOf(model, table);
  const outputs = [table, ...parts].map(({ columns, key }) =>
    [...key, ...columns].map(({ name, type, id }) => [name, type, id]),
  );
  const chosen = Object.entries(make.chosen).map(([key, read]) => [chosenColumns(model, table, key), read]);
  const undeclared = table.reads.filter(isUndeclared).map(({ name, how, table: read }) => [name, how, read]);
  return JSON.stringify({
    salt: make.salt,
    parts: [make.partRows, ...parts.map(({ name }) => name)],
    uses: named(make.uses),
    outputs,
    chosen,
    undeclared,
    ...(make.asBefore === undefined
      ? {}
      : {
          asBefore: Object.entries(make.asBefore).map(([id, { salt, uses }]) => [id, salt, named(uses)]),
        }),
  });
}

/** Whether a read is one that the definition does not know of. */
export function isUndeclared({ how }: Table['reads'][number]): boolean {
  return how === 'newest' || how === 'named';
}

/** The parts of a table. */
export function partsOf(model: Model, { id }: Table): readonly Table[] {
  return model.tables.filter(({ master }) => master === id);
}

function chosenColumns(model: Model, table: Table, keyId: string): Readonly<Record<string, string>> {
  const key = table.keys.find(({ id }) => id === keyId);
  return key === undefined ? {} : keyColumns(model, key);
}

/** Runs the make of a table on its inputs. */
export function runMake(model: Model, table: Table, inputs: Inputs): Made {
  const make = table.make as Make;
  const seedsFor = ({ uses }: Pick<Make, 'uses'>): readonly Value[] =>
    Object.entries(uses).flatMap(([name, ids]) => seedsOf(model, table, { name, ids, inputs }));
  const seeds = seedsFor(make);
  const own = Object.fromEntries(
    table.columns.map((column) => {
      const before = make.asBefore?.[column.id];
      return [
        column.name,
        before === undefined ? output(make, column, seeds) : output(before, column, seedsFor(before)),
      ];
    }),
  );
  const chosen = Object.entries(make.chosen).flatMap(([key, name]): readonly [string, Value][] => {
    const row = newest(model, table, { name, inputs });
    return Object.entries(chosenColumns(model, table, key)).map(([child, parent]) => [
      child,
      row?.[parent] ?? null,
    ]);
  });
  const parts = partsOf(model, table).map(({ name, key, columns }): [string, readonly Values[]] => {
    const rows = Array.from({ length: make.partRows }, (_, n) => ({
      ...Object.fromEntries(key.map((column) => [column.name, written(column, n)])),
      ...Object.fromEntries(columns.map((column) => [column.name, output(make, column, [...seeds, n])])),
    }));
    return [name, rows];
  });
  const row: Values = { ...own, ...Object.fromEntries(chosen) };
  return (parts.length === 0 ? row : { ...row, parts: Object.fromEntries(parts) }) as Made;
}

interface Use {
  readonly name: string;
  readonly ids?: readonly string[];
  readonly inputs: Inputs;
}

/** The values that count: of the one row, of the newest of many, or of all, in an order of their own. */
function seedsOf(model: Model, table: Table, { name, ids = [], inputs }: Use): readonly Value[] {
  const read = table.reads.find((each) => each.name === name);
  const names = ids.map((column) => columnName(model, { table: read?.table ?? '', column }));
  const given = inputs[name];
  const valuesOf = (row: Values | null | undefined) => names.map((column) => row?.[column] ?? null);
  if (!Array.isArray(given)) return valuesOf(given as Values | null);
  if (Object.values(table.make?.chosen ?? {}).includes(name))
    return valuesOf(newest(model, table, { name, inputs }));
  const rows = (given as readonly Values[]).map((row) => valuesOf(row).map(numberOf));
  return rows.toSorted((left, right) => compareNumbers(left, right)).flat();
}

function newest(model: Model, table: Table, { name, inputs }: Use): Values | undefined {
  const read = table.reads.find((each) => each.name === name);
  const target = model.tables.find(({ id }) => id === read?.table);
  const key = target === undefined ? [] : primaryKey(model, target);
  return (inputs[name] as readonly Values[]).toSorted((left, right) => compareKeys(left, right, key)).at(-1);
}

function compareNumbers(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((value, index) => value !== right[index]);
  return at < 0 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}

/** By the columns in turn, numbers as numbers. */
export function compareKeys(left: Values, right: Values, key: readonly string[]): number {
  for (const column of key) {
    const difference = numberOf(left[column] ?? null) - numberOf(right[column] ?? null);
    if (difference !== 0) return difference;
  }
  return 0;
}

function output({ salt }: Pick<Make, 'salt'>, column: Column, seeds: readonly Value[]): Value {
  let sum = Array.from(`${salt}.${column.id}`).reduce(
    (total, letter) => (total * 31 + letter.charCodeAt(0)) % 9973,
    7,
  );
  for (const seed of seeds) sum = (sum * 13 + numberOf(seed) + 1) % 9973;
  return written(column, sum % MODULUS);
}

/** A number as a column of this type holds it. */
export function written({ type }: Column, number: number | null): Value {
  if (number === null) return null;
  return type === 'integer' ? number : type === 'bigint' ? BigInt(number) : String(number);
}

/** The number that a value stands for. */
export function numberOf(value: Value): number {
  return value === null ? -3 : Number(value);
}

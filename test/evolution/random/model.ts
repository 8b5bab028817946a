/**
 * A pipeline as plain data, so that a program can draw one, edit it, and say what it means without a database.
 *
 * Tables, columns and foreign keys have ids that no edit changes; names are what they are called in this version. Two
 * versions of one model therefore say by themselves what was renamed or moved, and `build` declares exactly that.
 *
 * | member of a make | what it does |
 * |---|---|
 * | `salt` | makes its numbers its own; another salt is another code |
 * | `uses` | the columns of its inputs that reach the result: often fewer than are declared |
 * | `chosen` | columns of a reference that it returns itself: of the newest row of a read of many |
 * | `asBefore` | columns that come from a make of another salt and other uses: of tables that were merged |
 */

/** What a column holds: a number, written as this type. */
export type ValueType = 'integer' | 'bigint' | 'text';

export interface Column {
  readonly id: string;
  readonly name: string;
  readonly type: ValueType;
  readonly nullable?: boolean;
  /** The number that rows which give none have. */
  readonly default?: number;
}

/** A foreign key; the column names are the parent's, with `_suffix` where there is one. */
export interface Key {
  readonly id: string;
  readonly to: string;
  readonly kind: 'primary' | 'secondary';
  /** Its name in the definition, where it is secondary. */
  readonly label: string;
  readonly suffix?: string;
  readonly optional?: boolean;
  /** The column of a single read that fills it; absent: the make returns its columns. */
  readonly filledBy?: ColumnId;
}

export interface ColumnId {
  readonly table: string;
  readonly column: string;
}

/**
 * One input of a make.
 *
 * `key`: the row that foreign key `by` of this table leads to; `above`: the row of an ancestor that the key leads to by the
 * same names; `all`: the whole table. What an observed make reads without saying so: `newest`, the last row of a table;
 * `named`, the one that a column of a declared read names.
 */
export interface Read {
  readonly name: string;
  readonly table: string;
  readonly how: 'key' | 'above' | 'all' | 'newest' | 'named';
  readonly by?: string;
  readonly namedBy?: ColumnId;
  /** Own columns of the table; absent: all. */
  readonly columns?: readonly string[];
}

export interface Make {
  readonly salt: string;
  /** Input name to the own columns of its table that reach the result. */
  readonly uses: Readonly<Record<string, readonly string[]>>;
  /** Foreign key to the input of which the newest row is returned. */
  readonly chosen: Readonly<Record<string, string>>;
  /** Rows of each part. */
  readonly partRows: number;
  /** Own columns that are computed as another make did, by their ids. */
  readonly asBefore?: Readonly<Record<string, Pick<Make, 'salt' | 'uses'>>>;
}

export type Tier = 'manual' | 'lookup' | 'imported' | 'computed' | 'part';

export interface Table {
  readonly id: string;
  readonly schema: string;
  readonly name: string;
  readonly tier: Tier;
  readonly comment?: string;
  readonly key: readonly Column[];
  readonly keys: readonly Key[];
  readonly columns: readonly Column[];
  readonly reads: readonly Read[];
  readonly make?: Make;
  /** The table whose rows these belong to, of a part. */
  readonly master?: string;
  /** The rows of a lookup, as numbers by column id. */
  readonly contents?: readonly Readonly<Record<string, number | null>>[];
  /** Ids of the tables before that it takes rows of, where that is not the one with its own id. */
  readonly splitFrom?: string;
  readonly mergedFrom?: readonly string[];
}

export interface Model {
  /** Each after all that it names. */
  readonly tables: readonly Table[];
}

/** The table with this id. */
export function tableOf(model: Model, id: string): Table {
  const table = model.tables.find((each) => each.id === id);
  if (table === undefined) throw new TypeError(`no table ${id}`);
  return table;
}

/** Whether people write its rows: of a table of theirs, or of a part of one. */
export function isByPeople(model: Model, { tier, master }: Table): boolean {
  return tier === 'manual' || (master !== undefined && tableOf(model, master).tier === 'manual');
}

/** Its full name; a part carries that of its master. */
export function nameOf(model: Model, { schema, name, master }: Table): string {
  if (master === undefined) return `${schema}.${name}`;
  const owner = tableOf(model, master);
  return `${owner.schema}.${owner.name}__${name}`;
}

/** The model with one table changed. */
export function withTable(model: Model, id: string, change: (table: Table) => Table): Model {
  return { tables: model.tables.map((table) => (table.id === id ? change(table) : table)) };
}

/** A make of which each column takes something else of its inputs. */
export function withUses(make: Make, change: (uses: Make['uses']) => Make['uses']): Make {
  const { asBefore } = make;
  return {
    ...make,
    uses: change(make.uses),
    ...(asBefore === undefined
      ? {}
      : {
          asBefore: Object.fromEntries(
            Object.entries(asBefore).map(([id, one]) => [id, { ...one, uses: change(one.uses) }]),
          ),
        }),
  };
}

/** The columns that a foreign key brings: name here to name there. */
export function keyColumns(model: Model, { to, suffix }: Key): Readonly<Record<string, string>> {
  return Object.fromEntries(
    primaryKey(model, tableOf(model, to)).map((column) => [
      suffix === undefined ? column : `${column}_${suffix}`,
      column,
    ]),
  );
}

/** The columns of a table's primary key, in no particular order. */
export function primaryKey(model: Model, table: Table): readonly string[] {
  const owner = table.master === undefined ? [] : primaryKey(model, tableOf(model, table.master));
  const brought = table.keys
    .filter(({ kind }) => kind === 'primary')
    .flatMap((key) => Object.keys(keyColumns(model, key)));
  return [...new Set([...owner, ...brought, ...table.key.map(({ name }) => name)])];
}

/** The name of an own column of a table. */
export function columnName(model: Model, { table, column }: ColumnId): string {
  const own = [...tableOf(model, table).columns, ...tableOf(model, table).key];
  const found = own.find(({ id }) => id === column);
  if (found === undefined) throw new TypeError(`no column ${table}.${column}`);
  return found.name;
}

/** Ids of the tables that one names: by foreign key, read or master. */
export function dependencies(table: Table): ReadonlySet<string> {
  return new Set([
    ...table.keys.map(({ to }) => to),
    ...table.reads.map((read) => read.table),
    ...(table.master === undefined ? [] : [table.master]),
  ]);
}

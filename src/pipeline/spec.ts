import type { Json, JsonObject } from '../base/index.ts';

/**
 * The normal form of definitions: plain JSON, the same for equal definitions however they are written, kept in the
 * catalog by its digest and compared by an evolution. Functions are not part of it; their code has a digest of its own.
 *
 * | member | holds |
 * |---|---|
 * | `name` | `schema.table`; a part's table is `schema.master__part` |
 * | `primaryKey`, `sourceKey` | columns that identify a row; those of them that come from parents and so name one make |
 * | `foreignKeys[].columns` | child column to parent column: the only thing that ever matches rows of two tables |
 * | `reads[].match` | column of the table read to the place its value comes from |
 */
export interface TableSpec {
  readonly name: string;
  readonly tier: Tier;
  readonly comment?: string;
  readonly columns: readonly ColumnSpec[];
  readonly primaryKey: readonly string[];
  readonly sourceKey: readonly string[];
  readonly foreignKeys: readonly ForeignKeySpec[];
  readonly unique: readonly (readonly string[])[];
  /** The part tables of a master, by part name. */
  readonly parts: Readonly<Record<string, string>>;
  /** The master of a part. */
  readonly master?: string;
  readonly form?: MakeForm;
  readonly strict?: Strictness;
  readonly reads: readonly ReadSpec[];
  /** The text of a `query`. */
  readonly query?: string;
  /** The rows of a lookup. */
  readonly contents?: readonly JsonObject[];
  /** Output column to the `read.column` it is made from, where the make says so. */
  readonly derives?: Readonly<Record<string, readonly string[]>>;
}

/** Who fills a table. */
export type Tier = 'manual' | 'lookup' | 'imported' | 'computed' | 'part';

/** How a table is computed. */
export type MakeForm = 'make' | 'makeWith' | 'query';

/** Whether an undeclared read is refused, or let through and recorded. */
export type Strictness = 'enforce' | 'observe';

/** One column as stored. */
export interface ColumnSpec {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly default?: Json;
  readonly check?: string;
  readonly members?: readonly string[];
  readonly unique?: true;
  /** Its values are references to objects, one or an array of them: what they name is kept as long as a row or history does. */
  readonly object?: true;
  readonly comment?: string;
}

/** One foreign key. */
export interface ForeignKeySpec {
  /** Its name in the definition: of the reference, or of the parent's table. */
  readonly name: string;
  readonly to: string;
  /** Child column to parent column. */
  readonly columns: Readonly<Record<string, string>>;
  /** `primary`: its columns are part of the primary key; `part`: it leads to the master. */
  readonly kind: 'primary' | 'secondary' | 'part';
  readonly optional: boolean;
  readonly unique: boolean;
  /** Child column to where varve takes its value from; absent where the make returns it. */
  readonly fills?: Readonly<Record<string, Origin>>;
}

/** Where a matched value comes from: the key of the make, or a column of another read. */
export type Origin =
  | { readonly kind: 'key'; readonly column: string }
  | { readonly kind: 'read'; readonly read: string; readonly column: string };

/** One declared read. */
export interface ReadSpec {
  readonly name: string;
  readonly table: string;
  /** `one`: exactly one row, or the key cannot be computed; `optional`: one row or null; `many`: any number. */
  readonly cardinality: 'one' | 'optional' | 'many';
  /** The columns that are read, in the table's order: what the input digest covers. */
  readonly columns: readonly string[];
  /** Empty: the whole table. */
  readonly match: Readonly<Record<string, Origin>>;
}

/** `schema.table` taken apart. */
export function splitName(name: string): { readonly schema: string; readonly table: string } {
  const dot = name.indexOf('.');
  return { schema: name.slice(0, dot), table: name.slice(dot + 1) };
}

/** The tables that rows of this one depend on: by foreign key and by declared read, without itself. */
export function dependenciesOf(spec: TableSpec): ReadonlySet<string> {
  const names = [...spec.foreignKeys.map(({ to }) => to), ...spec.reads.map(({ table }) => table)];
  return new Set(names.filter((name) => name !== spec.name));
}

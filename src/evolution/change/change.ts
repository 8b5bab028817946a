/**
 * A change: one thing that is different about a table, as the definitions on either side say it, and where the values of the
 * columns come from that it brings. All changes of one table are carried out together by one rebuild (`../rebuild/`), so
 * that any combination of them is one pass over the rows.
 *
 * | member | says |
 * |---|---|
 * | `find` | which changes of this kind lie between the two definitions |
 * | `describe` | one of them in words |
 * | `values` | where the values of its columns come from |
 */
import type { DefinitionSet, TableSpec } from '../../pipeline/index.ts';
import type { Naming, Pair } from '../naming.ts';
import type { Attribution } from '../attribution.ts';

/** A read that becomes a secondary foreign key, or a further secondary foreign key. */
export interface DeclareReference {
  readonly kind: 'declare_reference';
  /** Its name in the definition. */
  readonly reference: string;
  readonly to: string;
  /** Child column to parent column. */
  readonly columns: Readonly<Record<string, string>>;
}

/** A foreign key whose columns join the primary key. */
export interface WidenKey {
  readonly kind: 'widen_key';
  /** The table that it leads to; undefined: own columns of the table. */
  readonly to?: string;
  readonly reference?: string;
  readonly columns: readonly string[];
}

/** Columns that leave the primary key. */
export interface NarrowKey {
  readonly kind: 'narrow_key';
  readonly columns: readonly string[];
}

/** The key follows that of a table above. */
export interface FollowKey {
  readonly kind: 'follow_key';
  readonly to: string;
}

/** A foreign key that is no more; the columns may stay. */
export interface DropReference {
  readonly kind: 'drop_reference';
  readonly to: string;
}

/** Columns that were there lead to another table now. */
export interface RepointReference {
  readonly kind: 'repoint_reference';
  readonly reference: string;
  readonly to: string;
}

/** One column. */
export interface AddColumn {
  readonly kind: 'add_column';
  readonly column: string;
}

/** One column. */
export interface DropColumn {
  readonly kind: 'drop_column';
  readonly column: string;
}

/** One column under another name. */
export interface RenameColumn {
  readonly kind: 'rename_column';
  readonly column: string;
  readonly was: string;
}

/** One column of another type. */
export interface RetypeColumn {
  readonly kind: 'retype_column';
  readonly column: string;
  readonly was: string;
  readonly now: string;
}

/** Uniqueness, checks, defaults, whether columns may be empty. */
export interface Constrain {
  readonly kind: 'constrain';
  readonly what: readonly string[];
}

/** Another tier. */
export interface ChangeTier {
  readonly kind: 'change_tier';
  readonly was: TableSpec['tier'];
  readonly now: TableSpec['tier'];
}

/** What the make reads, without a change of structure. */
export interface ChangeReads {
  readonly kind: 'change_reads';
  readonly reads: readonly string[];
}

/** One of several tables that take over the rows of one. */
export interface SplitTable {
  readonly kind: 'split_table';
  readonly of: string;
}

/** A table that takes over the rows of several. */
export interface MergeTables {
  readonly kind: 'merge_tables';
  readonly of: readonly string[];
}

/** A table of another name, schema, or a part that becomes a table. */
export interface MoveTable {
  readonly kind: 'move_table';
  readonly was: string;
}

/** A new table whose rows rows of other tables are given. */
export interface InsertTable {
  readonly kind: 'insert_table';
}

/** A part goes with its master, which is built anew. */
export interface GoWithMaster {
  readonly kind: 'go_with_master';
  readonly master: string;
}

/** Every kind of change. */
export type Change =
  | DeclareReference
  | WidenKey
  | NarrowKey
  | FollowKey
  | DropReference
  | RepointReference
  | AddColumn
  | DropColumn
  | RenameColumn
  | RetypeColumn
  | Constrain
  | ChangeTier
  | ChangeReads
  | SplitTable
  | MergeTables
  | MoveTable
  | InsertTable
  | GoWithMaster;

/** Where the values of a new column come from, for one old row. */
export type ColumnSource =
  /** A column of the old row; `source` counts the tables that rows come from. */
  | { readonly from: 'same'; readonly source: number; readonly column: string }
  /** The same in another type, where nothing is lost by it. */
  | { readonly from: 'cast'; readonly source: number; readonly column: string; readonly was: string }
  /** A column that the row above got, found by the old foreign key. */
  | {
      readonly from: 'parent';
      readonly source: number;
      /** Old child column to old parent column. */
      readonly key: Readonly<Record<string, string>>;
      readonly old: string;
      readonly table: string;
      readonly column: string;
      readonly optional: boolean;
    }
  /** The key of the one row that is recorded to have been read. */
  | {
      readonly from: 'recorded';
      readonly table: string;
      readonly reference: string;
      readonly column: string;
    }
  /** The one row of a table that is new itself. */
  | {
      readonly from: 'inserted';
      readonly table: string;
      readonly reference: string;
      readonly column: string;
    }
  /** The rows of the lookup as the code says them. */
  | { readonly from: 'contents' }
  /** Its default, or nothing. */
  | { readonly from: 'default' }
  /** Only the make knows. */
  | { readonly from: 'make' };

/** What finding changes may look at. */
export interface ChangeWorld {
  readonly from: DefinitionSet;
  readonly to: DefinitionSet;
  readonly naming: Naming;
  readonly attribution: Attribution;
}

/** The members of one kind of change. */
export interface ChangeType<C> {
  readonly kind: string;
  readonly find: (pair: Pair, world: ChangeWorld) => readonly C[];
  readonly describe: (change: C, table: string) => string;
  readonly values?: (change: C, pair: Pair, world: ChangeWorld) => Readonly<Record<string, ColumnSource>>;
}

/** A word and what it is about, in columns. */
export function words(verb: string, rest: string): string {
  return `${verb.padEnd(10)} ${rest}`;
}

import type { Kysely } from 'kysely';
import type { Column, Columns, RowOf } from './column.ts';
import type { HintOptions, TableHint } from './hint.ts';
import type { MakeContext } from './make-context.ts';
import type { RetryPolicy } from './retry-policy.ts';
import type { Sql } from '../store/index.ts';
import type { Strictness, TableSpec, Tier } from './spec.ts';

/** Any defined table, without its types. */
export interface AnyTable extends Readable<unknown>, Keyed<unknown> {
  readonly kind: 'table';
  readonly spec: TableSpec;
  readonly definition: TableDefinition;
}

/**
 * A defined table: what a definition gives back, and what later definitions name as parent, reference or read.
 *
 * `K` is its primary key, `R` a whole row, `P` its part tables. The phantom members exist for the compiler only.
 */
export interface Table<K, R, P> extends AnyTable {
  readonly keyType?: K;
  readonly readType?: R;
  /** Its part tables, for reads, parents and queries. */
  readonly parts: P;
  /** A foreign key to it whose columns are named otherwise here: `{ parent column: column here }`. */
  readonly as: <const M extends Partial<Record<keyof K & string, string>>>(
    names: M,
  ) => Reference<Renamed<K, M>, R>;
  /** A foreign key whose columns were called otherwise in the set before: `{ parent column: column here before }`. */
  readonly renamedFrom: (names: Partial<Readonly<Record<keyof K & string, string>>>) => Reference<K, R>;
  /** A foreign key that may be empty. */
  readonly optional: () => Reference<Nullable<K>, R | null>;
  /** A foreign key of which no two rows hold the same value. */
  readonly unique: () => Reference<K, R>;
  /** Fills the columns of a secondary foreign key from declared reads: `{ parent column: Other.column('x') }`. */
  readonly from: (sources: Fills<K>) => Reference<K, R, true>;
  /** One column, as a source for `from` and `matching`. */
  readonly column: <N extends keyof R & string>(name: N) => ColumnReference<R[N]>;
  /** A read of these columns only: a change of any other column reaches no result. */
  readonly columns: <const N extends readonly (keyof R & string)[]>(
    ...names: N
  ) => ColumnsRead<R, Pick<R, N[number]>>;
  /** A read of the whole table: a change of any of its rows reaches every result that read it. */
  readonly all: () => Read<readonly R[]>;
  /** A read of the rows whose columns equal these columns of the key or of other reads. */
  readonly matching: (match: Matching<R>) => Read<readonly R[]>;
}

/** A read of some columns; of the row that the key leads to, unless it says otherwise. */
export interface ColumnsRead<R, V> extends Read<V> {
  readonly all: () => Read<readonly V[]>;
  readonly matching: (match: Matching<R>) => Read<readonly V[]>;
}

/** The columns of a match: `{ column: 'column of the key' }` or `{ column: Other.column('x') }`. */
export type Matching<R> = { readonly [N in keyof R]?: string | ColumnReference };

/** Where the columns of a filled foreign key come from. */
export type Fills<K> = { readonly [N in keyof K]: ColumnReference<K[N] | null> };

/** One column of one table. */
export interface ColumnReference<T = unknown> {
  readonly kind: 'column-reference';
  readonly table: string;
  readonly column: string;
  readonly valueType?: T;
}

/** Any foreign key in the making, without its types. */
export interface AnyReference extends Readable<unknown>, Keyed<unknown> {
  readonly kind: 'reference';
  readonly table: AnyTable;
  /** Parent column to child column, for those that differ. */
  readonly names: Readonly<Record<string, string>>;
  /** Parent column to the child column of the set before. */
  readonly formerNames: Readonly<Record<string, string>>;
  readonly isOptional: boolean;
  readonly isUnique: boolean;
  readonly fills: Readonly<Record<string, ColumnReference>> | undefined;
  readonly filledType?: boolean;
}

/** A foreign key in the making: to which table, under which column names, how. */
export interface Reference<K, R, F extends boolean = false> extends AnyReference {
  readonly keyType?: K;
  readonly readType?: R;
  readonly filledType?: F;
  readonly as: <const M extends Partial<Record<keyof K & string, string>>>(
    names: M,
  ) => Reference<Renamed<K, M>, R, F>;
  /** By the parent's own names: what its columns were called here before. */
  readonly renamedFrom: (names: Readonly<Record<string, string>>) => Reference<K, R, F>;
  readonly optional: () => Reference<Nullable<K>, R | null, F>;
  readonly unique: () => Reference<K, R, F>;
  /** By the parent's own names, whatever they are called here. */
  readonly from: (sources: Readonly<Record<string, ColumnReference>>) => Reference<K, R, true>;
}

/** A declared read other than a plain table or reference. */
export interface Read<V = unknown> extends Readable<V> {
  readonly kind: 'read';
  readonly table: AnyTable;
  /** Undefined: all columns. */
  readonly names: readonly string[] | undefined;
  /** Undefined: the row that the key leads to. */
  readonly match: Readonly<Record<string, string | ColumnReference>> | undefined;
}

/** Carries the type of a read's value. */
export interface Readable<V> {
  readonly readType?: V;
}

/** Carries the type of a key. */
export interface Keyed<K> {
  readonly keyType?: K;
}

/** What may stand under `parents`. */
export type Parent = AnyTable | AnyReference;
/** What may stand under `reads`. */
export type ReadSource = AnyTable | AnyReference | Read;

export type Renamed<K, M> = {
  readonly [N in keyof K as N extends keyof M ? (M[N] extends string ? M[N] : N) : N]: K[N];
};
export type Nullable<K> = { readonly [N in keyof K]: K[N] | null };
/** Flattens an intersection; asked as a condition, so that editors and errors show its members and not this name. */
export type Plain<T> = T extends infer O ? { readonly [N in keyof O]: O[N] } : never;

type Union<T> = (T extends unknown ? (value: T) => void : never) extends (value: infer I) => void ? I : never;
export type KeyOf<P> = P extends { readonly keyType?: infer K } ? Exclude<K, undefined> : never;
export type ReadOf<R> = R extends { readonly readType?: infer V } ? Exclude<V, undefined> : never;
/** The key that parents bring. */
export type ParentKey<Ps extends readonly unknown[]> = Ps extends readonly []
  ? object
  : Plain<Union<KeyOf<Ps[number]>>>;
/** The columns that references bring. */
export type ReferenceRow<Refs> = keyof Refs extends never ? object : Plain<Union<KeyOf<Refs[keyof Refs]>>>;
/** The reference columns that make returns itself. */
export type UnfilledRow<Refs> = ReferenceRow<{
  readonly [
    N in keyof Refs as Refs[N] extends { readonly filledType?: infer F } ? (true extends F ? never : N) : N
  ]: Refs[N];
}>;
/** What `make` is given. */
export type Inputs<Reads> = Plain<{ readonly [N in keyof Reads]: ReadOf<Reads[N]> }>;
/** The columns that may be left out are those that may be null. */
export type Writable<R> = Plain<
  { readonly [N in keyof R as null extends R[N] ? never : N]: R[N] } & {
    readonly [N in keyof R as null extends R[N] ? N : never]?: R[N];
  }
>;

/** The options of every table and part. */
interface SharedOptions<
  Ps extends readonly Parent[],
  Refs extends Readonly<Record<string, Parent>>,
  Key extends Columns,
  Cols extends Columns,
> extends HintOptions {
  /** Foreign keys whose columns are part of the primary key. */
  readonly parents?: Ps;
  /** Columns of the primary key that no parent brings. */
  readonly key?: Key;
  /** Foreign keys outside the primary key. */
  readonly references?: Refs;
  readonly columns?: Cols;
  readonly comment?: string;
}

/** The options of every table. */
export interface TableOptions<
  Ps extends readonly Parent[],
  Refs extends Readonly<Record<string, Parent>>,
  Key extends Columns,
  Cols extends Columns,
> extends SharedOptions<Ps, Refs, Key, Cols> {
  /** Sets of columns of which no two rows hold the same values. */
  readonly uniques?: readonly (readonly NoInfer<
    ColumnName<ParentKey<Ps> & RowOf<Key> & ReferenceRow<Refs> & RowOf<Cols>>
  >[])[];
}

type ColumnName<Row> = keyof Row & string;
/** `read.column` for every column of every declared read. */
type ReadColumn<Reads> = {
  readonly [N in keyof Reads & string]: `${N}.${ColumnName<Element<ReadOf<Reads[N]>>>}`;
}[keyof Reads & string];
/** Which columns of reads the columns of a result depend on. */
type Derives<Row, Reads> = { readonly [N in keyof Row]?: readonly ReadColumn<Reads>[] };

/** The options of a part, inside those of its master. */
export interface PartOptions<
  Ps extends readonly Parent[],
  Refs extends Readonly<Record<string, Parent>>,
  Key extends Columns,
  Cols extends Columns,
  Within extends string = string,
> extends SharedOptions<Ps, Refs, Key, Cols> {
  /** Sets of columns of which no two rows hold the same values; columns of the master's key may be among them. */
  readonly uniques?: readonly (readonly string[])[];
  /** The sibling part whose rows these belong to: a part of a part. Its whole key becomes part of this one's. */
  readonly within?: Within;
}

/** A part as its master declares it. */
export interface Part<K = unknown, R = unknown, W = unknown> {
  readonly kind: 'part';
  readonly options: PartOptions<readonly Parent[], Readonly<Record<string, Parent>>, Columns, Columns>;
  readonly keyType?: K;
  readonly rowType?: R;
  readonly withinType?: W;
}
export type Parts = Readonly<Record<string, Part>>;
type PartKey<P> = P extends { readonly keyType?: infer K } ? Exclude<K, undefined> : never;
type PartRow<P> = P extends { readonly rowType?: infer R } ? Exclude<R, undefined> : never;
/** The name of the part that encloses a part; never, where its master does. */
type Within<P> = P extends { readonly withinType?: infer W } ? Exclude<W, undefined> : never;
/** The key that the parts enclosing a part bring, from the inside out. */
type EnclosingKey<Pts, P> = [Within<P>] extends [never]
  ? object
  : Within<P> extends keyof Pts
    ? PartKey<Pts[Within<P>]> & EnclosingKey<Pts, Pts[Within<P>]>
    : object;
/** The part tables of a master with this key. */
export type PartTables<MasterKey, Pts> = {
  readonly [N in keyof Pts]: Table<
    Plain<MasterKey & EnclosingKey<Pts, Pts[N]> & PartKey<Pts[N]>>,
    Plain<MasterKey & EnclosingKey<Pts, Pts[N]> & PartRow<Pts[N]>>,
    object
  >;
};

/** One row as make returns it; the key may be left out where the parents' key is the whole key. */
export type MadeRow<K, Row, Pts> = Plain<
  Writable<Without<Row, K>> &
    Partial<K> &
    (keyof Pts extends never ? object : { readonly parts?: MadeParts<K, Pts> })
>;
/** The part rows of one result. The key of the make may be left out; that of an enclosing part may not. */
export type MadeParts<K, Pts> = {
  readonly [N in keyof Pts]?: Iterable<
    Plain<Writable<Without<EnclosingKey<Pts, Pts[N]> & PartRow<Pts[N]>, K>> & Partial<K>>
  >;
};
/** What foreign keys share with the key of the make is known before it runs. */
type Without<R, K> = { readonly [N in keyof R as N extends keyof K ? never : N]: R[N] };
/** A generator may give the row first and part rows in pieces after it. */
export type MadePiece<K, Row, Pts> = MadeRow<K, Row, Pts> | { readonly parts: MadeParts<K, Pts> };
/** What a make may return: the row of its key, or, where the key has columns of its own, any number of rows. */
export type Made<K, Row, Pts> =
  | MadeRow<K, Row, Pts>
  | Promise<MadeRow<K, Row, Pts> | readonly MadeRow<K, Row, Pts>[]>
  | Iterable<MadePiece<K, Row, Pts>>
  | AsyncIterable<MadePiece<K, Row, Pts>>;

/**
 * The ways to compute a table; exactly one of them, which is asked when the table is defined: were the others forbidden
 * here (`make?: never`), the compiler would no longer say which column of a result is wrong.
 */
export type Making<K, Reads, Row, Pts> =
  | {
      /** A pure function from the declared reads to the row of one key. */
      readonly make: (inputs: Inputs<Reads>, context: MakeContext<K>) => Made<K, Row, Pts>;
      /** Runs it in a process without database address, network, file system and environment. Default false. */
      readonly isolate?: boolean;
    }
  | {
      /** Reads through a typed Kysely over the declared reads, by their names; for what is too large or odd to declare. */
      readonly makeWith: (db: Kysely<Database<Reads>>, context: MakeContext<K>) => Made<K, Row, Pts>;
      readonly isolate?: never;
    }
  | {
      /** One SELECT keyed like the table, over the declared reads by their names. */
      readonly query: Sql;
      readonly isolate?: never;
    };

/** The tables that `makeWith` sees: each declared read under its own name. */
export type Database<Reads> = Plain<{ readonly [N in keyof Reads]: Element<ReadOf<Reads[N]>> }>;
type Element<V> = V extends readonly (infer E)[] ? E : Exclude<V, null>;

/** The options of a table that is computed or imported. */
export type MadeOptions<
  Ps extends readonly Parent[],
  Refs extends Readonly<Record<string, Parent>>,
  Key extends Columns,
  Cols extends Columns,
  Pts extends Parts,
  Reads extends Readonly<Record<string, ReadSource>>,
> = TableOptions<Ps, Refs, Key, Cols> & {
  readonly parents: Ps;
  readonly parts?: Pts;
  readonly reads: Reads;
  /** Default `enforce`. `observe` lets undeclared reads of a `makeWith` through and records them. */
  readonly strict?: Strictness;
  /** Output column to the `read.column` names it depends on. */
  readonly derives?: Derives<NoInfer<RowOf<Key> & RowOf<Cols> & UnfilledRow<Refs>>, NoInfer<Reads>>;
  /** Seconds that one key may take. Default 600. */
  readonly timeoutSeconds?: number;
  /** How a key that failed is tried again by itself. Default: not at all. */
  readonly retry?: Partial<RetryPolicy>;
} & Making<ParentKey<Ps>, Reads, RowOf<Key> & RowOf<Cols> & UnfilledRow<Refs>, Pts>;

/** The options of a lookup. */
export type LookupOptions<
  Ps extends readonly Parent[],
  Refs extends Readonly<Record<string, Parent>>,
  Key extends Columns,
  Cols extends Columns,
> = TableOptions<Ps, Refs, Key, Cols> & {
  readonly contents: readonly Writable<ParentKey<Ps> & RowOf<Key> & RowOf<Cols> & ReferenceRow<Refs>>[];
};

/** A make without its types, as populate calls it. */
export type AnyMake = (inputs: never, context: never) => unknown;

/** What a table is at run time: its normal form, its functions, where it was written. */
export interface TableDefinition {
  readonly spec: TableSpec;
  readonly tier: Tier;
  readonly columns: Readonly<Record<string, Column>>;
  readonly make: AnyMake | undefined;
  readonly makeWith: AnyMake | undefined;
  readonly query: Sql | undefined;
  readonly timeoutSeconds: number;
  readonly retry: RetryPolicy;
  /** Whether its make runs in a process of its own that reaches nothing but its inputs. */
  readonly isolate: boolean;
  /** The file that holds the definition, as a file URL or path; undefined where the engine does not tell. */
  readonly file: string | undefined;
  /** What its author says of where its rows come from. */
  readonly hint: TableHint | undefined;
  /** The tables that its foreign keys name. */
  readonly parents: readonly AnyTable[];
  /** The parts, in the order of declaration. */
  readonly parts: readonly AnyTable[];
}

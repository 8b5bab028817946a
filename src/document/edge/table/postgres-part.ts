/** Pieces of statements over one column of PostgreSQL. */
import type { RowKey } from './document-table.ts';
import { quoted, type SqlParameter } from './sql-session.ts';

/** Which column, and what identifies its rows. */
export interface ColumnPlace {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
}

/** The column's type, and the columns of the primary key. */
export interface Shape {
  readonly type: string;
  readonly keys: readonly { readonly name: string; readonly type: string }[];
}

/** Pieces of statements over one column. */
export interface Parts {
  readonly source: string;
  readonly column: string;
  readonly type: string;
  readonly keys: Shape['keys'];
  readonly names: readonly string[];
  readonly text: string;
  readonly digest: string;
  readonly keyOf: (alias: string) => string;
  readonly sameKey: (left: string, right: string) => string;
  readonly keysOf: (alias: string) => string;
}

export function partsOf(place: ColumnPlace, { type, keys }: Shape): Parts {
  const names = keys.map((_, at) => `k${at + 1}`);
  const column = quoted(place.column);
  const columnIn = (alias: string, at: number): string =>
    alias === 't' ? `t.${quoted(keys[at]?.name ?? '')}` : `${alias}.${names[at] ?? ''}`;
  const list = (alias: string): readonly string[] => names.map((_, at) => columnIn(alias, at));
  return {
    source: quoted(place.schema, place.table),
    column,
    type,
    keys,
    names,
    text: `t.${column}::text`,
    digest: `sha256(convert_to(t.${column}::text, 'UTF8'))`,
    keyOf: (alias) =>
      `jsonb_build_array(${list(alias)
        .map((each) => `${each}::text`)
        .join(', ')})::text`,
    keysOf: (alias) => list(alias).join(', '),
    sameKey: (left, right) =>
      names.map((_, at) => `${columnIn(left, at)} = ${columnIn(right, at)}`).join(' and '),
  };
}

/** Rows behind a key, which `keyValues` gives the parameters of: the first ones. */
export function behind({ keys, keysOf }: Parts, alias: string, after: RowKey | undefined): string {
  if (after === undefined) return '';
  return `and (${keysOf(alias)}) > (${keys.map(({ type }, at) => `$${at + 1}::${type}`).join(', ')})`;
}

export function keyValues(after: RowKey | undefined): readonly SqlParameter[] {
  return after === undefined ? [] : partsOfKey(after);
}

function partsOfKey(key: RowKey): readonly string[] {
  return JSON.parse(key) as readonly string[];
}

/** The keys as one array for each of their columns. */
export function keyArrays({ keys }: Parts, all: readonly RowKey[]): readonly (readonly string[])[] {
  const split = all.map(partsOfKey);
  return keys.map((_, at) => split.map((parts) => parts[at] ?? ''));
}

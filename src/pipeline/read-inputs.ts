/**
 * The inputs of a batch of keys: one statement for all reads of one row and the digests of every read, and one more for
 * each read of many rows. All of them see one snapshot, so a value and its digest belong together.
 *
 * `offset 0` keeps a look-up a look-up. A table that was analyzed while its first batch was not yet committed counts as
 * empty, and a join to it is planned as a loop over all of its rows: 5000 keys against 60,000 rows took 55 s that way.
 */
import { sql, type Queryable, type Row } from '../store/index.ts';
import { encodeKey } from './encode-row.ts';
import type { Key } from './key-source.ts';
import { readPlan } from './read-plan.ts';
import { relationOf, tableId, type Relation, type Relations } from './relation.ts';
import type { ReadSpec } from './spec.ts';
import { keysRecordset, ORDINAL } from './write-rows.ts';

/** What a make is called with, and the digests of it as the database's text (`\x...`). */
export interface KeyInputs {
  readonly key: Key;
  readonly inputs: string;
  /** By read name: a row, null, or rows. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** A key whose declared read of one row found none. */
export interface IncompleteKey {
  readonly key: Key;
  readonly incomplete: true;
}

/** Reads the inputs of these keys; keys that have a row by now are left out where `onlyMissing` is set. */
export async function readInputs(
  transaction: Queryable,
  relation: Relation,
  relations: Relations,
  options: { readonly keys: readonly Key[]; readonly onlyMissing: boolean },
): Promise<readonly (KeyInputs | IncompleteKey)[]> {
  const { spec } = relation;
  const found = await transaction.query(singleRowsStatement(relation, relations, options));
  // In the order of the keys, as makes are called: sorting here spares the database a sort of wide rows.
  const rows = found.toSorted((left, right) => (left[ORDINAL] as number) - (right[ORDINAL] as number));
  const lists = new Map<string, ReadonlyMap<number, readonly Row[]>>();
  for (const read of spec.reads) {
    if (read.cardinality !== 'many') continue;
    lists.set(read.name, await readMany(transaction, relation, relations, read, options.keys));
  }
  const readers = spec.reads.map((read, index) => readerOf(read, index, lists.get(read.name)));
  return rows.map((row) => {
    const ordinal = row[ORDINAL] as number;
    const key = options.keys[ordinal] as Key;
    if (row['#complete'] !== true) return { key, incomplete: true as const };
    const values: Record<string, unknown> = {};
    for (const { name, read } of readers) values[name] = read(row, ordinal);
    return { key, inputs: row['#inputs'] as string, values };
  });
}

interface Reader {
  readonly name: string;
  readonly read: (row: Row, ordinal: number) => unknown;
}

/** What is the same for every key is found once. */
function readerOf(
  read: ReadSpec,
  index: number,
  lists: ReadonlyMap<number, readonly Row[]> | undefined,
): Reader {
  const { name } = read;
  if (read.cardinality === 'many') {
    const isWhole = Object.keys(read.match).length === 0;
    return { name, read: (_, ordinal) => lists?.get(isWhole ? 0 : ordinal) ?? [] };
  }
  const present = presentName(index);
  const columns = read.columns.map((column, at) => ({ column, from: valueName(index, at) }));
  return { name, read: (row) => (row[present] === true ? pick(row, columns) : null) };
}

function pick(row: Row, columns: readonly { readonly column: string; readonly from: string }[]): Row {
  const picked: Record<string, unknown> = {};
  for (const { column, from } of columns) picked[column] = row[from];
  return picked;
}

function singleRowsStatement(
  relation: Relation,
  relations: Relations,
  options: { readonly keys: readonly Key[]; readonly onlyMissing: boolean },
) {
  const { spec } = relation;
  const plan = readPlan(spec, relations);
  const columns = spec.reads.flatMap((read, index) => {
    if (read.cardinality === 'many') return [];
    const alias = plan.aliasByRead.get(read.name) ?? sql`k`;
    const [present] = relationOf(relations, read.table).spec.primaryKey;
    return [
      sql`, ${alias}.${sql.id(present ?? '')} is not null as ${sql.id(presentName(index))}`,
      ...read.columns.map(
        (column, at) => sql`, ${alias}.${sql.id(column)} as ${sql.id(valueName(index, at))}`,
      ),
    ];
  });
  const same = spec.sourceKey.map((column) => sql`t.${sql.id(column)} = k.${sql.id(column)}`);
  const where = options.onlyMissing
    ? sql`where not exists (select from ${tableId(relation.placement)} t where ${sql.join(same, sql` and `)} offset 0)`
    : sql``;
  return sql`select k.${sql.id(ORDINAL)}, (${plan.inputs})::text as "#inputs", ${plan.complete} as "#complete"
    ${sql.join(columns, sql``)} from (${keysRecordset(spec, options.keys)}) k ${plan.joins} ${where}`;
}

function presentName(index: number): string {
  return `#present ${String(index)}`;
}

/** By place: a column's own name may be as long as a name can be. */
function valueName(index: number, column: number): string {
  return `#${String(index)} ${String(column)}`;
}

/** The rows of one read of many, by the ordinal of their key; of the whole table, all under 0. */
async function readMany(
  transaction: Queryable,
  relation: Relation,
  relations: Relations,
  read: ReadSpec,
  keys: readonly Key[],
): Promise<ReadonlyMap<number, readonly Row[]>> {
  const target = relationOf(relations, read.table);
  const table = tableId(target.placement);
  const columns = sql.join(read.columns.map((column) => sql`x.${sql.id(column)}`));
  const order = sql.join(target.spec.primaryKey.map((column) => sql`x.${sql.id(column)}`));
  if (Object.keys(read.match).length === 0) {
    return new Map([[0, await transaction.query(sql`select ${columns} from ${table} x order by ${order}`)]]);
  }
  const plan = readPlan(relation.spec, relations);
  const on = Object.entries(read.match).map(([column, origin]) =>
    origin.kind === 'key'
      ? sql`x.${sql.id(column)} = k.${sql.id(origin.column)}`
      : sql`x.${sql.id(column)} = ${plan.aliasByRead.get(origin.read) ?? sql`k`}.${sql.id(origin.column)}`,
  );
  const rows = await transaction.query(sql`
    select k.${sql.id(ORDINAL)}, ${columns}
    from (${keysRecordset(relation.spec, keys)}) k ${plan.joins} join ${table} x on ${sql.join(on, sql` and `)}
    order by k.${sql.id(ORDINAL)}, ${order}`);
  const byOrdinal = new Map<number, Row[]>();
  for (const { [ORDINAL]: ordinal, ...row } of rows) {
    const list = byOrdinal.get(ordinal as number);
    if (list === undefined) byOrdinal.set(ordinal as number, [row]);
    else list.push(row);
  }
  return byOrdinal;
}

/** A key as text, for messages that only its owner sees and for seeds. */
export function keyText(key: Key): string {
  return JSON.stringify(encodeKey(key));
}

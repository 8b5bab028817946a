/**
 * How much memory the inputs of keys take, before they are read: a batch counts keys, but rows may be of any size.
 *
 * The database tells the size of a stored value without reading the value. What it says of compressed documents and
 * arrays is what they take on disk, so that is taken several times.
 */
import { sql, type Queryable, type Sql } from '../store/index.ts';
import type { Key } from './key-source.ts';
import { HELD_BYTES } from './populate/batch-size.ts';
import { readPlan, type ReadPlan } from './read-plan.ts';
import { relationOf, tableId, type Relation, type Relations } from './relation.ts';
import type { ReadSpec } from './spec.ts';
import { keysRecordset, ORDINAL } from './write-rows.ts';

/** Cuts keys into slices whose inputs take {@link HELD_BYTES} at most, or are of one key. */
export async function slicesBySize(
  store: Queryable,
  relation: Relation,
  relations: Relations,
  keys: readonly Key[],
): Promise<readonly (readonly Key[])[]> {
  const size = inputSize(relation, relations);
  if (size === undefined || keys.length === 1) return [keys];
  const rows = await store.query<{ bytes: number }>(sql`
    select (${size.bytes})::double precision as bytes from (${keysRecordset(relation.spec, keys)}) k ${size.joins}
    order by k.${sql.id(ORDINAL)}`);
  const slices: Key[][] = [];
  let room = 0;
  for (const [index, key] of keys.entries()) {
    const bytes = rows[index]?.bytes ?? 0;
    const last = slices.at(-1);
    if (last === undefined || bytes > room) {
      slices.push([key]);
      room = HELD_BYTES - bytes;
    } else {
      last.push(key);
      room -= bytes;
    }
  }
  return slices;
}

/** What it takes to ask; undefined where every input is of a fixed small size. */
function inputSize(
  relation: Relation,
  relations: Relations,
): { readonly bytes: Sql; readonly joins: Sql } | undefined {
  const plan = readPlan(relation.spec, relations);
  const sizes = relation.spec.reads.flatMap((read) => readSize(read, plan, relations));
  return sizes.length === 0 ? undefined : { bytes: sql.join(sizes, sql` + `), joins: plan.joins };
}

function readSize(read: ReadSpec, plan: ReadPlan, relations: Relations): readonly Sql[] {
  const { spec, placement } = relationOf(relations, read.table);
  const typeByName = new Map(spec.columns.map(({ name, type }) => [name, type]));
  const wide = read.columns.filter((column) => !isNarrow(typeByName.get(column) ?? 'text'));
  const of = (alias: Sql): Sql =>
    sql.join(
      wide.map((column) => columnSize(sql`${alias}.${sql.id(column)}`, typeByName.get(column) ?? 'text')),
      sql` + `,
    );
  if (read.cardinality !== 'many') {
    return wide.length === 0 ? [] : [of(plan.aliasByRead.get(read.name) ?? sql`k`)];
  }
  // A whole table is read once for all keys, however they are cut.
  const match = Object.entries(read.match);
  if (match.length === 0) return [];
  const on = match.map(([column, origin]) => {
    const from = origin.kind === 'key' ? sql`k` : (plan.aliasByRead.get(origin.read) ?? sql`k`);
    return sql`x.${sql.id(column)} = ${from}.${sql.id(origin.column)}`;
  });
  const row = wide.length === 0 ? sql`${ROW_BYTES}::integer` : sql`${ROW_BYTES}::integer + ${of(sql`x`)}`;
  return [
    sql`(select coalesce(sum(${row}), 0) from ${tableId(placement)} x where ${sql.join(on, sql` and `)})`,
  ];
}

/** What a row of a list takes beside its long values. */
const ROW_BYTES = 100;

function isNarrow(type: string): boolean {
  return NARROW.test(type);
}

const NARROW =
  /^(smallint|integer|bigint|real|double precision|boolean|uuid|date|time|timestamp|interval|numeric)\b(?!.*\[)/u;

function columnSize(column: Sql, type: string): Sql {
  const bytes = /^(text|bytea|character varying|varchar)$/u.test(type)
    ? sql`octet_length(${column})`
    : sql`4 * pg_column_size(${column})`;
  return sql`coalesce(${bytes}, 0)`;
}

/**
 * How the declared reads of a table become SQL, once, for every use: handing inputs to a make, comparing them again in
 * the transaction that writes, finding what is stale, attributing inputs in an evolution.
 *
 * For keys `k` with the columns of the source key:
 *
 * | read | joined as | digest of its input (32 bytes) |
 * |---|---|---|
 * | one, optional | `left join lateral (select * from lab.mouse r0 where r0.mouse = k.mouse offset 0) r0 on true` | `digest_1(columns)`; that of nothing where there is no row |
 * | many | `left join lateral (select digest ... where x.c = k.c) r1` | sha256 over the rows' digests, ordered by primary key |
 * | whole table | `cross join (select digest ...) r2`, computed once | the same |
 *
 * The input of a key is the concatenation over its reads, in their order. A read of one row found through another read
 * joins on that read's columns, so the order of joins follows the origins.
 */
import { sql, type Sql } from '../store/index.ts';
import { relationOf, tableId, type Relations } from './relation.ts';
import type { ColumnSpec, ForeignKeySpec, Origin, ReadSpec, TableSpec } from './spec.ts';

/** The pieces of SQL for the reads of one table. */
export interface ReadPlan {
  /** The joins, to stand after `from ... k`. */
  readonly joins: Sql;
  /** `bytea`: the digests of all reads in order, null where a row that must be there is not. */
  readonly inputs: Sql;
  /** One digest each, in order: which read moved. */
  readonly digests: readonly Sql[];
  /** `rN` by read name. */
  readonly aliasByRead: ReadonlyMap<string, Sql>;
  /** SQL of the value that fills a child column of a filled foreign key. */
  readonly fillByColumn: ReadonlyMap<string, Sql>;
  /** A condition that holds when every read of cardinality `one`, and every required fill, found its row. */
  readonly complete: Sql;
}

/** The digest of a row's columns; faster where the columns are known, see `digestOfValues`. */
export function rowDigest(alias: Sql, columns: readonly string[], known: readonly ColumnSpec[] = []): Sql {
  return digestOfValues(
    columns.map((column) => ({ column, value: sql`${alias}.${sql.id(column)}` })),
    known,
  );
}

/**
 * The digest of values of these columns. Where all their types are known, and none has a text that JSON would write
 * otherwise, the text is put together at once: the same bytes in two thirds of the time.
 */
export function digestOfValues(
  values: readonly { readonly column: string; readonly value: Sql }[],
  known: readonly ColumnSpec[] = [],
): Sql {
  const plain = values.flatMap(({ column, value }) => {
    const spec = known.find(({ name }) => name === column);
    return spec === undefined || !PLAIN_TEXT.test(spec.type) ? [] : [{ value, nullable: spec.nullable }];
  });
  if (plain.length > 0 && plain.length === values.length)
    // Such a text is ASCII, the same bytes in every encoding; `convert_to` would look up the encoding by its name each time.
    return sql`sha256(textsend(${plainText(plain)}))`;
  // Past a hundred arguments a function call is refused; an array constructor has no such bound.
  return sql`varve.digest_1(variadic array[${sql.join(values.map(({ value }) => sql`(${value})::text`))}]::text[])`;
}

/** The JSON array of such values as text, with as few pieces to put together as there can be. */
function plainText(values: readonly { readonly value: Sql; readonly nullable: boolean }[]): Sql {
  const quoted = values.map(({ value, nullable }) => ({
    text: nullable ? sql`coalesce('"' || (${value})::text || '"', 'null')` : sql`(${value})::text`,
    quote: nullable ? '' : '"',
  }));
  const pieces = quoted.map(({ text, quote }, index) => {
    const before = index === 0 ? '[' : `${quoted[index - 1]?.quote ?? ''},`;
    return sql`${sql.raw(`'${before}${quote}'`)} || ${text}`;
  });
  return sql`${sql.join(pieces, sql` || `)} || ${sql.raw(`'${quoted.at(-1)?.quote ?? ''}]'`)}`;
}

/** Types whose values have texts of digits, letters and signs only, whatever the settings are. */
const PLAIN_TEXT =
  /^(smallint|integer|bigint|boolean|uuid|date|real|double precision|numeric(\(\d+(, ?-?\d+)?\))?)$/u;

/** The first 16 bytes of the digest of a key: what computations are found by. */
export function keyHash(alias: Sql, columns: readonly string[], known: readonly ColumnSpec[] = []): Sql {
  return sql`substr(${rowDigest(alias, columns, known)}, 1, 16)`;
}

/** The digest of a set of rows: order-independent input, ordered by primary key before hashing. */
export function rowsDigest(alias: Sql, columns: readonly string[], primaryKey: readonly string[]): Sql {
  const order = sql.join(primaryKey.map((column) => sql`${alias}.${sql.id(column)}`));
  return sql`sha256(coalesce(string_agg(${rowDigest(alias, columns)}, ''::bytea order by ${order}), ''::bytea))`;
}

/** The input of a read that found no row, whatever columns it asks for. */
export const NOTHING: Sql = sql`sha256(''::bytea)`;

/** Builds the pieces for a table whose reads stand where `relations` says. */
export function readPlan(spec: TableSpec, relations: Relations, key: Sql = sql`k`): ReadPlan {
  const aliasByRead = new Map(spec.reads.map((read, index) => [read.name, sql.raw(`r${String(index)}`)]));
  const source = (origin: Origin): Sql =>
    origin.kind === 'key'
      ? sql`${key}.${sql.id(origin.column)}`
      : sql`${aliasByRead.get(origin.read) ?? key}.${sql.id(origin.column)}`;
  const pieces = orderedReads(spec.reads).map((read) =>
    joinRead(read, aliasByRead.get(read.name) ?? key, relations, source),
  );
  const fills = spec.foreignKeys.flatMap((foreignKey) => fillsOf(spec, foreignKey, aliasByRead, source));
  const digests = spec.reads.map((read) => readDigest(read, aliasByRead.get(read.name) ?? key, relations));
  const needed = [
    ...spec.reads
      .filter(({ cardinality }) => cardinality === 'one')
      .map((read) => sql`${presence(read, aliasByRead.get(read.name) ?? key, relations)} is not null`),
    sql`true`,
  ];
  return {
    joins: sql.join(pieces, sql` `),
    inputs: digests.length === 0 ? sql`''::bytea` : sql.join(digests, sql` || `),
    digests,
    aliasByRead,
    fillByColumn: new Map(fills),
    complete: sql.join(needed, sql` and `),
  };
}

/** Reads whose origins are other reads come after them. */
function orderedReads(reads: readonly ReadSpec[]): readonly ReadSpec[] {
  const placed = new Set<string>();
  const ordered: ReadSpec[] = [];
  let open = [...reads];
  while (open.length > 0) {
    const ready = open.filter(({ match }) =>
      Object.values(match).every((origin) => origin.kind === 'key' || placed.has(origin.read)),
    );
    // A circle of origins cannot be written with constants; if one arrives, the join fails in the database by name.
    const next = ready.length === 0 ? open : ready;
    next.forEach((read) => placed.add(read.name));
    ordered.push(...next);
    open = open.filter((read) => !placed.has(read.name));
  }
  return ordered;
}

function joinRead(read: ReadSpec, alias: Sql, relations: Relations, source: (origin: Origin) => Sql): Sql {
  const relation = relationOf(relations, read.table);
  const table = tableId(relation.placement);
  const { primaryKey } = relation.spec;
  if (read.cardinality !== 'many') {
    const on = Object.entries(read.match).map(
      ([column, origin]) => sql`${alias}.${sql.id(column)} = ${source(origin)}`,
    );
    // A look-up by index, whatever the statistics say; see read-inputs.ts.
    return sql`left join lateral (select * from ${table} ${alias} where ${sql.join(on, sql` and `)} offset 0) ${alias} on true`;
  }
  const digest = sql`${rowsDigest(sql`x`, read.columns, primaryKey)} as digest`;
  const where = Object.entries(read.match).map(
    ([column, origin]) => sql`x.${sql.id(column)} = ${source(origin)}`,
  );
  // Without a match the subquery depends on nothing, so it is computed once for all keys.
  return where.length === 0
    ? sql`cross join (select ${digest} from ${table} x) ${alias}`
    : sql`cross join lateral (select ${digest} from ${table} x where ${sql.join(where, sql` and `)}) ${alias}`;
}

function readDigest(read: ReadSpec, alias: Sql, relations: Relations): Sql {
  if (read.cardinality === 'many') return sql`${alias}.digest`;
  return sql`case when ${presence(read, alias, relations)} is null then ${NOTHING} else ${rowDigest(alias, read.columns)} end`;
}

/** A column that is never null in a row that is there. */
function presence(read: ReadSpec, alias: Sql, relations: Relations): Sql {
  const [first] = relationOf(relations, read.table).spec.primaryKey;
  return sql`${alias}.${sql.id(first ?? '')}`;
}

/** A filled foreign key takes its columns from the row that is read through it, so that it is null when that row is not there. */
function fillsOf(
  spec: TableSpec,
  key: ForeignKeySpec,
  aliasByRead: ReadonlyMap<string, Sql>,
  source: (origin: Origin) => Sql,
): readonly (readonly [string, Sql])[] {
  const { fills } = key;
  if (fills === undefined) return [];
  // A read of several rows gives their digest and no columns, though it may be matched in the same way.
  const read = spec.reads.find(
    (candidate) =>
      candidate.table === key.to && candidate.cardinality !== 'many' && sameMatch(candidate, key),
  );
  const alias = read === undefined ? undefined : aliasByRead.get(read.name);
  return Object.entries(key.columns).map(([child, parent]) => {
    const origin = fills[child];
    const value =
      alias === undefined
        ? origin === undefined
          ? sql`null`
          : source(origin)
        : sql`${alias}.${sql.id(parent)}`;
    return [child, value] as const;
  });
}

function sameMatch(read: ReadSpec, key: ForeignKeySpec): boolean {
  return Object.entries(key.columns).every(([child, parent]) => {
    const wanted = key.fills?.[child];
    return wanted !== undefined && JSON.stringify(read.match[parent]) === JSON.stringify(wanted);
  });
}

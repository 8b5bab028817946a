/**
 * The measured state of the tables that an evolution may touch, algorithm `pipeline/3`: each table's columns and
 * constraints by name (names of constraints left out, for they are the database's own choice), its number of rows and
 * the digest of its rows (the store's row sum; in `pipeline/2` and `pipeline/1`, of earlier releases, a sum of sha256 and
 * the rows in the order of their keys).
 */
import { digestOf, type Baseline, type BaselineTable } from '../evidence/index.ts';
import type { Json } from '../base/index.ts';
import {
  loadRelations,
  rowsDigest,
  splitName,
  tableId,
  type Placement,
  type Relation,
  type TableSpec,
} from '../pipeline/index.ts';
import { keptSum, sumRowsEarlier } from './row-sum.ts';
import { sql, sumDigest, sumRows, type Queryable } from '../store/index.ts';
import { regclass } from './regclass.ts';

/** How to measure. */
export interface Measuring {
  /** That of an earlier release where a baseline of it is compared with this one. */
  readonly algorithm?: string | undefined;
  /** The run whose kept sums stand for measuring what it built. */
  readonly decidingRun?: string | undefined;
}

/**
 * Measures these tables, by name; a table that is not there is left out. One that does not stand under its own name, as an
 * adopted one may not, is looked for where it stands.
 */
export async function measure(
  transaction: Queryable,
  specs: readonly TableSpec[],
  measuring: Measuring = {},
): Promise<Baseline> {
  const found = [];
  const live = await loadRelations(transaction);
  for (const spec of specs.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
    const placement = live.get(spec.name)?.placement ?? splitName(spec.name);
    const state = await measureTable(transaction, { spec, placement, live: live.get(spec.name) }, measuring);
    if (state !== undefined) found.push(state);
  }
  const [server] = await transaction.query<{ version: string }>(sql`
    select current_setting('server_version_num')::integer / 10000 || '' as version`);
  const strict = found.map(({ table, shape }) => ({ table: table.table, ...shape }));
  const logical = strict.map(({ columns, ...rest }) => ({
    ...rest,
    columns: columns.toSorted((left, right) => (left.name < right.name ? -1 : 1)),
  }));
  return {
    baseline_version: 'v1',
    algorithm: algorithmOf(measuring),
    server_version: server?.version ?? '',
    object_counts: { table: found.length },
    schema_fingerprint: { strict: digestOf(strict), logical: digestOf(logical) },
    tables: found.map(({ table }) => table),
  };
}

/** An earlier one where it is asked for, else that of this release. */
function algorithmOf({ algorithm }: Measuring): 'pipeline/1' | 'pipeline/2' | 'pipeline/3' {
  return algorithm === 'pipeline/1' || algorithm === 'pipeline/2' ? algorithm : 'pipeline/3';
}

interface TableState {
  readonly table: BaselineTable;
  readonly shape: Shape;
}

/** See `shapeOf`. */
export interface Shape {
  readonly columns: readonly {
    readonly name: string;
    readonly type: string;
    readonly default: Json;
    readonly notNull: boolean;
  }[];
  readonly constraints: readonly string[];
  readonly indexes: readonly string[];
}

/** A table that is measured, with its relation where it has one. */
interface Measured {
  readonly spec: TableSpec;
  readonly placement: Placement;
  readonly live: Relation | undefined;
}

async function measureTable(
  transaction: Queryable,
  { spec, placement, live }: Measured,
  measuring: Measuring,
): Promise<TableState | undefined> {
  const [there] = await transaction.query<{ oid: string | null }>(
    sql.kept(sql`select to_regclass(${regclass(placement)})::text as oid`),
  );
  if (there?.oid === null || there === undefined) return undefined;
  const shape = await shapeOf(transaction, placement, measuring);
  const names = shape.columns.map(({ name }) => name);
  const rows = await digestRows(transaction, { spec, placement, live, names }, measuring);
  return { table: { table: spec.name, ...rows }, shape };
}

/** What a table is made of: columns, constraints and indexes, in one order. */
export async function shapeOf(
  transaction: Queryable,
  placement: Placement,
  measuring: Measuring = {},
): Promise<Shape> {
  const columns = await transaction.query<Shape['columns'][number] & Record<string, unknown>>(
    sql.kept(sql`
    select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type, pg_get_expr(d.adbin, d.adrelid) as "default",
      a.attnotnull as "notNull"
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = ${regclass(placement)}::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum`),
  );
  // NOT NULL stands with the columns; only some major versions also store it as a constraint.
  const definition = sql`regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', '')`;
  const constraints = await transaction.query<{ text: string }>(
    sql.kept(sql`
    select contype::text || ' ' || ${measuring.algorithm === 'pipeline/1' ? definition : sql`case when contype = 'f' then ${PAIRS} else ${definition} end`} as text
    from pg_constraint where conrelid = ${regclass(placement)}::regclass and contype <> 'n' order by 1`),
  );
  const indexes = await transaction.query<{ text: string }>(
    sql.kept(sql`
    select (case when i.indisunique then 'unique ' else '' end) ||
      array_to_string(array(select pg_get_indexdef(i.indexrelid, k, true) from generate_series(1, i.indnkeyatts) k), ',') as text
    from pg_index i where i.indrelid = ${regclass(placement)}::regclass order by 1`),
  );
  return {
    columns,
    constraints: constraints.map(({ text }) => text),
    indexes: indexes.map(({ text }) => text),
  };
}

/** In which order a foreign key lists its pairs of columns says nothing, and is lost where definitions are kept as jsonb. */
const PAIRS = sql`(
  select string_agg(quote_ident(c.attname) || ' = ' || quote_ident(p.attname), ', ' order by c.attname, p.attname)
  from unnest(conkey, confkey) k (child, parent)
  join pg_attribute c on c.attrelid = conrelid and c.attnum = k.child
  join pg_attribute p on p.attrelid = confrelid and p.attnum = k.parent)
  || ' of ' || confrelid::regclass::text || concat_ws(' ', '', confupdtype, confdeltype, confmatchtype, condeferrable, condeferred)`;

interface Rows {
  readonly rows: number;
  readonly digest: string;
}

async function digestRows(
  transaction: Queryable,
  { spec, placement, live, names }: Measured & { readonly names: readonly string[] },
  measuring: Measuring,
): Promise<Rows> {
  const { decidingRun } = measuring;
  const algorithm = algorithmOf(measuring);
  if (algorithm === 'pipeline/1') return digestInOrder(transaction, { spec, placement, names });
  if (algorithm === 'pipeline/2') {
    const earlier = await sumRowsEarlier(transaction, tableId(placement), names);
    return { rows: earlier.rows, digest: sumDigest(earlier) };
  }
  const isBuilt =
    decidingRun !== undefined && live !== undefined && (await isBuiltBy(transaction, live, decidingRun));
  const sum =
    (isBuilt ? await keptSum(transaction, live) : undefined) ??
    (await sumRows(transaction, { from: tableId(placement), columns: names }));
  return { rows: sum.rows, digest: sumDigest(sum) };
}

/** Whether a run has just put this structure in place. */
async function isBuiltBy(transaction: Queryable, { id }: Relation, run: string): Promise<boolean> {
  const [row] = await transaction.query<{ own: boolean }>(
    sql`select since_run = ${run} as own from varve.relation where id = ${id}`,
  );
  return row?.own === true;
}

async function digestInOrder(
  transaction: Queryable,
  {
    spec,
    placement,
    names,
  }: { readonly spec: TableSpec; readonly placement: Placement; readonly names: readonly string[] },
): Promise<Rows> {
  const key = spec.primaryKey.filter((column) => names.includes(column));
  const [rows] = await transaction.query<{ count: bigint; digest: string }>(sql`
    select count(*) as count, 'sha256:' || encode(${rowsDigest(sql`t`, names, key)}, 'hex') as digest
    from ${tableId(placement)} t`);
  return { rows: Number(rows?.count ?? 0n), digest: rows?.digest ?? '' };
}

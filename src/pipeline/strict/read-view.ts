/**
 * The generated views that a `makeWith` reads: one schema per computed table, one view per declared read.
 *
 * A view shows the declared columns of the rows that the key in hand leads to. The key comes from `varve.make_key` by a
 * scalar subselect without a reference to the row, which PostgreSQL evaluates once per statement and then uses like a
 * constant, indexes included. Views of reads that take a value from another read select it from that read's view.
 *
 * The schema's comment holds the digest of the views' SQL and of the OIDs of the tables below, so an unchanged set is
 * found by one query, and a table that was replaced under its name is noticed.
 *
 * No view is a security barrier: what an error of a pushed-down condition could tell of other rows ends the make anyway,
 * and a barrier would keep joins from using indexes.
 */
import { createHash } from 'node:crypto';
import { VarveError } from '../../base/index.ts';
import {
  compileSql,
  quoteLiteral,
  sql,
  type Queryable,
  type Sql,
  type Transaction,
} from '../../store/index.ts';
import { splitName, type Origin, type ReadSpec, type TableSpec } from '../spec.ts';

/** Where the rows of a table stand. */
export interface Placement {
  readonly schema: string;
  readonly table: string;
}

/** The views of one computed table. */
export interface ReadViews {
  readonly schema: string;
  /** In an order in which each comes after those it selects from. */
  readonly views: readonly { readonly read: ReadSpec; readonly statement: Sql }[];
}

/** How the schemas begin through which makes read. */
export const READ_SCHEMA_PREFIX = 'varve_read_';

/** Where the table's rows stand: at its own name unless the map says otherwise. */
export function placementOf(placementByTable: ReadonlyMap<string, Placement>, name: string): Placement {
  return placementByTable.get(name) ?? splitName(name);
}

/** The views of a table's declared reads, as SQL. */
export function readViewsOf(
  spec: TableSpec,
  specByName: ReadonlyMap<string, TableSpec>,
  placementByTable: ReadonlyMap<string, Placement>,
): ReadViews {
  const reads = inOrder(spec);
  const placed = reads.map((read) => placementOf(placementByTable, read.table));
  const schema = schemaName(spec.name, placed);
  const views = reads.map((read) => {
    if (!specByName.has(read.table)) throw missingTable(read.table);
    return { read, statement: viewStatement(schema, spec, read, placementOf(placementByTable, read.table)) };
  });
  return { schema, views };
}

/**
 * Makes the views unless they stand already.
 *
 * Errors: throws `unknown_table` where a table that is read does not stand where it should.
 */
export async function ensureReadViews(
  transaction: Transaction,
  views: ReadViews,
  placed: readonly Placement[],
): Promise<void> {
  await transaction.query(sql`select pg_advisory_xact_lock(hashtextextended(${`varve:${views.schema}`}, 0))`);
  const digest = await digestOfViews(transaction, views, placed);
  const [found] = await transaction.query<{ comment: string | null }>(sql`
    select obj_description(oid, 'pg_namespace') as comment from pg_namespace where nspname = ${views.schema}`);
  if (found?.comment === digest) return;
  if (found !== undefined) await transaction.execute(sql`drop schema ${sql.id(views.schema)} cascade`);
  await transaction.execute(sql`create schema ${sql.id(views.schema)}`);
  for (const { statement } of views.views) await transaction.execute(statement);
  await transaction.execute(
    sql`comment on schema ${sql.id(views.schema)} is ${sql.raw(quoteLiteral(digest))}`,
  );
}

/**
 * Drops all generated views, of all tables; those still needed are made again by the next `openStrictReads`. A change of
 * a table's columns or its removal has to call this first: PostgreSQL keeps a column that a view shows from changing.
 */
export async function dropReadViews(store: Queryable): Promise<void> {
  const schemas = await store.query<{ name: string }>(sql`
    select nspname::text as name from pg_namespace
    where starts_with(nspname::text, ${READ_SCHEMA_PREFIX}) and starts_with(obj_description(oid, 'pg_namespace'), 'varve reads ')
    order by nspname`);
  for (const { name } of schemas) await store.execute(sql`drop schema ${sql.id(name)} cascade`);
}

/** 63 bytes at most, different for different tables and placements, and readable as far as it goes. */
function schemaName(table: string, placed: readonly Placement[]): string {
  const identity = [table, ...placed.map(({ schema, table: name }) => JSON.stringify([schema, name]))].join(
    '\n',
  );
  const readable = table
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase()
    .slice(0, 35);
  return `${READ_SCHEMA_PREFIX}${readable}_${sha256(identity).slice(0, 16)}`;
}

/** Each read after the reads that its match takes values from. */
function inOrder(spec: TableSpec): readonly ReadSpec[] {
  const sorted: ReadSpec[] = [];
  let open = spec.reads;
  while (open.length > 0) {
    const ready = open.filter((read) =>
      readsUnder(read).every((name) => sorted.some((before) => before.name === name)),
    );
    if (ready.length === 0) {
      throw new VarveError('definition_cycle', {
        detail: { table: spec.name, reads: open.map(({ name }) => name) },
        hint: 'Match one of these reads by columns of the key: each takes its value from another.',
      });
    }
    sorted.push(...ready);
    open = open.filter((read) => !ready.includes(read));
  }
  return sorted;
}

function readsUnder(read: ReadSpec): readonly string[] {
  return Object.values(read.match).flatMap((origin) => (origin.kind === 'read' ? [origin.read] : []));
}

function viewStatement(schema: string, spec: TableSpec, read: ReadSpec, placed: Placement): Sql {
  const columns = sql.join(read.columns.map((column) => sql`t.${sql.id(column)}`));
  const conditions = [...originsOf(read)].map(([source, matched]) => {
    const left = sql.join(matched.map(({ column }) => sql`t.${sql.id(column)}`));
    const from = matched.map(({ origin }) => origin.column);
    const right = source === undefined ? keyOf(spec, from) : valuesOf(schema, source, from);
    return sql`(${left}) = (${right})`;
  });
  const where = conditions.length === 0 ? sql`` : sql` where ${sql.join(conditions, sql` and `)}`;
  return sql`create view ${sql.id(schema, read.name)} as
    select ${columns} from ${sql.id(placed.schema, placed.table)} t${where}`;
}

/** The matched columns by the read that their values come from; undefined stands for the key. */
function originsOf(
  read: ReadSpec,
): ReadonlyMap<string | undefined, readonly { readonly column: string; readonly origin: Origin }[]> {
  return Map.groupBy(
    Object.entries(read.match).map(([column, origin]) => ({ column, origin })),
    ({ origin }) => (origin.kind === 'read' ? origin.read : undefined),
  );
}

/** Members of the key in hand, each read by its column type's own input. */
function keyOf(spec: TableSpec, names: readonly string[]): Sql {
  const values = sql.join(names.map((name) => keyValue(spec, name)));
  return sql`select ${values} from varve.make_key m where m.backend = pg_backend_pid()`;
}

function keyValue(spec: TableSpec, name: string): Sql {
  const type = spec.columns.find((column) => column.name === name)?.type;
  if (type === undefined) {
    throw new VarveError('unknown_column', {
      detail: { table: spec.name, column: name },
      hint: 'Match by a column of the key.',
    });
  }
  const member = sql.raw(quoteLiteral(name));
  // An array's or a document's text is no input of its type; the record costs 20 us more than a cast.
  if (/\]$|^jsonb?$/i.test(type)) {
    return sql`(select k.${sql.id(name)} from jsonb_to_record(m.key) as k(${sql.id(name)} ${sql.raw(type)}))`;
  }
  return sql`(m.key ->> ${member})::${sql.raw(type)}`;
}

function valuesOf(schema: string, read: string, columns: readonly string[]): Sql {
  return sql`select ${sql.join(columns.map((column) => sql`o.${sql.id(column)}`))} from ${sql.id(schema, read)} o`;
}

async function digestOfViews(
  transaction: Transaction,
  views: ReadViews,
  placed: readonly Placement[],
): Promise<string> {
  const oids: number[] = [];
  for (const { schema, table } of placed) {
    const [row] = await transaction.query<{ oid: number }>(sql`
      select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and c.relname = ${table}`);
    if (row === undefined) throw missingTable(`${schema}.${table}`);
    oids.push(row.oid);
  }
  const text = views.views.map(({ statement }) => compileSql(statement).text).join('\n');
  return `varve reads sha256:${sha256(`${text}\n${oids.join(' ')}`)}`;
}

function missingTable(name: string): VarveError {
  return new VarveError('unknown_table', {
    detail: { table: name },
    hint: 'Deploy the definitions first: `varve plan`, then `varve apply`.',
  });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

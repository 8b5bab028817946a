/** Foreign keys that lead to a table which another one takes the place of. */
import { VarveError } from '../base/index.ts';
import { tableId, type Placement } from '../pipeline/index.ts';
import { executeAll, sql, type Queryable, type Sql } from '../store/index.ts';
import { HISTORY } from './building.ts';
import { regclass } from './regclass.ts';

/** A foreign key of some table to the one in hand. */
export interface IncomingKey extends Record<string, unknown> {
  readonly name: string;
  /** Of the table that has it, which may be called otherwise by the time it is made again. */
  readonly oid: string;
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly referenced: readonly string[];
  /** What stands behind the referenced columns: match, actions, deferral, validity. */
  readonly options: string | null;
}

/**
 * The foreign keys of other tables that lead to this one. A partition's copy of its parent's key is not listed: it comes
 * and goes with that.
 */
export async function incomingKeys(
  transaction: Queryable,
  placement: Placement,
): Promise<readonly IncomingKey[]> {
  const keys = await transaction.query<IncomingKey>(
    sql.kept(sql`
    select name, oid, schema, "table", columns, referenced,
      case when starts_with(definition, prefix) then substr(definition, length(prefix) + 1) end as options
    from (
      select f.conname as name, f.conrelid::text as oid, n.nspname as schema, c.relname as "table", own.names as columns,
        theirs.names as referenced,
        pg_get_constraintdef(f.oid) as definition,
        'FOREIGN KEY (' || own.quoted || ') REFERENCES ' || f.confrelid::regclass::text || '(' || theirs.quoted || ')' as prefix
      from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace
      cross join lateral (${columnNames(sql`f.conrelid`, sql`f.conkey`)}) own
      cross join lateral (${columnNames(sql`f.confrelid`, sql`f.confkey`)}) theirs
      where f.contype = 'f' and f.confrelid = ${regclass(placement)}::regclass and f.conrelid <> f.confrelid
        and f.conparentid = 0) k
    order by schema, "table", name`),
  );
  const unread = keys.find(({ options }) => options === null);
  if (unread === undefined) return keys;
  throw new VarveError('internal', {
    detail: { table: `${unread.schema}.${unread.table}`, constraint: unread.name },
    hint: 'Report this: the definition of a foreign key was not understood. Nothing was changed.',
  });
}

function columnNames(relation: Sql, key: Sql): Sql {
  return sql`select array_agg(a.attname::text order by k.ord) as names,
      string_agg(quote_ident(a.attname), ', ' order by k.ord) as quoted
    from unnest(${key}) with ordinality k(num, ord)
    join pg_attribute a on a.attrelid = ${relation} and a.attnum = k.num`;
}

/** Takes them off their old target; what was held by them is held again by `pointAt`. */
export async function dropIncoming(transaction: Queryable, keys: readonly IncomingKey[]): Promise<void> {
  await executeAll(
    transaction,
    keys.map((key) => sql`alter table ${sql.id(key.schema, key.table)} drop constraint ${sql.id(key.name)}`),
  );
}

/**
 * Makes them lead to another table, as they were; those of tables that went to history in between lead nowhere any more. New rows are held to them at once; that the rows which are there hold, as
 * they did before, is looked at by `validateKeys`, when writers no longer wait.
 */
export async function pointAt(
  transaction: Queryable,
  keys: readonly IncomingKey[],
  target: Placement,
): Promise<void> {
  if (keys.length === 0) return;
  const children = await presentNames(transaction, keys);
  const added = keys.flatMap((key) => {
    const child = children.get(key.oid);
    if (child === undefined) return [];
    const own = sql.join(key.columns.map((column) => sql.id(column)));
    const theirs = sql.join(key.referenced.map((column) => sql.id(column)));
    return [
      sql`alter table ${tableId(child)}
      add constraint ${sql.id(key.name)} foreign key (${own}) references ${tableId(target)} (${theirs})
      ${sql.raw((key.options ?? '').replace(/ NOT VALID$/u, ''))} ${sql.raw(child.isPartitioned ? '' : 'not valid')}`,
    ];
  });
  await executeAll(transaction, added);
}

interface Child extends Placement, Record<string, unknown> {
  /** Before PostgreSQL 18 a partitioned table has no foreign key that is not looked at at once. */
  readonly isPartitioned: boolean;
}

/** What the tables of these keys are called by now, by their oid; not those that went to history. */
async function presentNames(
  transaction: Queryable,
  keys: readonly IncomingKey[],
): Promise<ReadonlyMap<string, Child>> {
  const rows = await transaction.query<Child & { readonly oid: string }>(
    sql.kept(sql`
    select c.oid::text as oid, n.nspname as schema, c.relname as "table", c.relkind = 'p' as "isPartitioned"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = any(${keys.map(({ oid }) => oid)}::oid[]) and n.nspname <> ${HISTORY}`),
  );
  return new Map(rows.map(({ oid, ...child }) => [oid, child]));
}

/** Looks at the rows behind foreign keys that lead to these tables and were not looked at yet. */
export async function validateKeys(transaction: Queryable, placements: readonly Placement[]): Promise<void> {
  const rows = await transaction.query<{ name: string; schema: string; table: string }>(sql`
    select f.conname as name, n.nspname as schema, c.relname as "table"
    from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace
    where f.contype = 'f' and not f.convalidated and f.conparentid = 0
      and f.confrelid = any(${placements.map((placement) => regclass(placement))}::regclass[])
    order by 2, 3, 1`);
  await executeAll(
    transaction,
    rows.map(
      ({ name, schema, table }) =>
        sql`alter table ${sql.id(schema, table)} validate constraint ${sql.id(name)}`,
    ),
  );
}

/** Foreign keys that lead to a table which another one takes the place of. */
import { tableId, type Placement } from '../pipeline/index.ts';
import { sql, type Queryable } from '../store/index.ts';
import { regclass } from './retire.ts';

/** A foreign key of some table to the one in hand. */
interface IncomingKey extends Record<string, unknown> {
  readonly name: string;
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly referenced: readonly string[];
}

/** The foreign keys of other tables that lead to this one. */
export async function incomingKeys(
  transaction: Queryable,
  placement: Placement,
): Promise<readonly IncomingKey[]> {
  return transaction.query<IncomingKey>(sql`
    select f.conname as name, n.nspname as schema, c.relname as table,
      array(select a.attname::text from unnest(f.conkey) with ordinality k(num, ord)
        join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.num order by k.ord) as columns,
      array(select a.attname::text from unnest(f.confkey) with ordinality k(num, ord)
        join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.num order by k.ord) as referenced
    from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace
    where f.contype = 'f' and f.confrelid = ${regclass(placement)}::regclass and f.conrelid <> f.confrelid
    order by n.nspname, c.relname, f.conname`);
}

/** Takes them off their old target; what was held by them is held again by `pointAt`. */
export async function dropIncoming(transaction: Queryable, keys: readonly IncomingKey[]): Promise<void> {
  for (const key of keys) {
    await transaction.execute(
      sql`alter table ${sql.id(key.schema, key.table)} drop constraint ${sql.id(key.name)}`,
    );
  }
}

/** Makes them lead to another table, and checks every row. */
export async function pointAt(
  transaction: Queryable,
  keys: readonly IncomingKey[],
  target: Placement,
): Promise<void> {
  for (const key of keys) {
    const own = sql.join(key.columns.map((column) => sql.id(column)));
    const theirs = sql.join(key.referenced.map((column) => sql.id(column)));
    await transaction.execute(sql`alter table ${sql.id(key.schema, key.table)}
      add constraint ${sql.id(key.name)} foreign key (${own}) references ${tableId(target)} (${theirs})`);
  }
}

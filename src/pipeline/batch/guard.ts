/** What has to hold before anything is written: the keys are ours, and the table is the one that was read. */
import { VarveError } from '../../base/index.ts';
import { quoteIdentifier, sql, type Queryable, type Store, type Transaction } from '../../store/index.ts';
import { tableId, type Relation } from '../relation.ts';
import type { Batch, BatchContext } from './batch.ts';

/** Why nothing was written: others have the keys by now, or the table has another structure. */
export async function assertOurs(context: BatchContext, batch: Batch): Promise<void> {
  await assertLive(context);
  await assertHeld(context.store, batch);
}

/** Until the end of the transaction, or of the statement, nobody else can take the keys. */
export async function assertHeld(queryable: Queryable, { fence }: Batch): Promise<void> {
  if (fence === undefined) return;
  const rows = await queryable.query(fence);
  if (rows.length > 0) return;
  throw new VarveError('lease_lost', {
    hint: 'This worker gave no sign of life for a lease, so others took its keys; it wrote nothing of them. Give a longer lease where machines stall.',
  });
}

/** A worker with old definitions stops at once instead of trying each key in vain. */
export async function assertLive({
  store,
  relation,
}: Pick<BatchContext, 'store' | 'relation'>): Promise<void> {
  const [row] = await store.query<{ state: string }>(
    sql`select state from varve.relation where id = ${relation.id}`,
  );
  if (row === undefined || row.state === 'retired' || row.state === 'let_go') throw retired(relation);
}

export async function standingOid(store: Store, relation: Relation): Promise<number> {
  const [row] = await store.query<{ oid: number }>(sql`
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${relation.placement.schema} and c.relname = ${relation.placement.table}`);
  // Asked for after the number: while the relation is live, the number is that of its table.
  await assertLive({ store, relation });
  return row?.oid ?? 0;
}

/**
 * To be called before the first write of a transaction with a snapshot of its own: such a snapshot shows a relation as
 * live that was retired after it was taken, while its name is another table's already. From here on nobody can retire
 * it until the transaction ends.
 */
export async function assertStands(transaction: Transaction, { relation, oid }: BatchContext): Promise<void> {
  const { schema, table } = relation.placement;
  await transaction.execute(sql`lock table ${tableId(relation.placement)} in row exclusive mode`);
  // Names are looked up in the present, whatever the snapshot; tables are not.
  const name = `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
  const [row] = await transaction.query<{ stands: boolean }>(
    sql.kept(sql`
    select coalesce(to_regclass(${name})::oid = ${oid}::oid, false) and exists (
      select from varve.relation where id = ${relation.id} and state not in ('retired', 'let_go')) as stands`),
  );
  if (row?.stands !== true) throw retired(relation);
}

function retired(relation: Relation): VarveError {
  return new VarveError('relation_retired', {
    detail: { table: relation.name },
    hint: 'The table has another structure now. Load the present definitions and populate again; nothing was written with the old ones.',
  });
}

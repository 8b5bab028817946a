import { tableId, type Placement } from '../pipeline/index.ts';
import { sql, type Queryable } from '../store/index.ts';

/** How many rows a table holds. */
export async function countRows(transaction: Queryable, placement: Placement): Promise<number> {
  const [row] = await transaction.query<{ count: bigint }>(
    sql`select count(*) as count from ${tableId(placement)}`,
  );
  return Number(row?.count ?? 0n);
}

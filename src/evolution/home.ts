import { splitName, type Placement } from '../pipeline/index.ts';
import { sql, type Queryable } from '../store/index.ts';

/**
 * Where the table of this name is to stand: where its name says, or, of one that was adopted, where it stood before varve
 * was, so that programs which know it by that name find it after every evolution.
 */
export async function homeOf(transaction: Queryable, name: string): Promise<Placement> {
  const [row] = await transaction.query<{ schema: string; table: string }>(sql`
    select physical_schema as schema, physical_name as "table" from varve.adoption
    where name = ${name} order by relation desc limit 1`);
  return row === undefined ? splitName(name) : { schema: row.schema, table: row.table };
}

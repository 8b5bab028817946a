import { tableId, type Placement, type Relation } from '../../pipeline/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import { forgetRelation } from '../copy.ts';

const HISTORY = 'varve_history';

/**
 * Takes an adoption back: the table stays where it stands, with all its rows. Where varve recorded anything of it since,
 * a copy of the rows goes to history with that, for the record speaks of rows that others may change from now on.
 */
export async function letGo(transaction: Queryable, relation: Relation, runId: string): Promise<void> {
  await transaction.execute(sql`delete from varve.adoption where relation = ${relation.id}`);
  if (!(await hasRecord(transaction, relation))) return forgetRelation(transaction, relation.id);
  const copy: Placement = { schema: HISTORY, table: `${relation.name.slice(0, 40)}@${String(relation.id)}` };
  const key = sql.join(relation.spec.primaryKey.map((column) => sql.id(column)));
  await transaction.execute(sql`create schema if not exists ${sql.id(HISTORY)}`);
  await transaction.execute(
    sql`create table ${tableId(copy)} as select * from ${tableId(relation.placement)}`,
  );
  await transaction.execute(sql`alter table ${tableId(copy)} add primary key (${key})`);
  await transaction.execute(sql`
    update varve.relation set state = 'retired', until_run = ${runId}, until_at = now(),
      physical_schema = ${copy.schema}, physical_name = ${copy.table} where id = ${relation.id}`);
}

async function hasRecord(transaction: Queryable, { id }: Relation): Promise<boolean> {
  const [row] = await transaction.query<{ found: boolean }>(sql`
    select exists (select from varve.computation where relation = ${id})
      or exists (select from varve.superseded where relation = ${id})
      or exists (select from varve.ingestion where relation = ${id}) as found`);
  return row?.found === true;
}

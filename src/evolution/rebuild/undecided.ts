/** Rows that only turned out to be ambiguous once what they hang on was there. */
import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { tableId } from '../../pipeline/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import { listedKey, listedKeys, NAMED_KEYS } from './plan.ts';
import { builtOf, listPlacement, type Rebuilding } from './world.ts';

/** Why, and of how many rows of this table that holds. */
export async function undecidedRows(store: Queryable, of: Rebuilding): Promise<readonly Finding[]> {
  const rows = await store.query<{ why: string; rows: bigint }>(sql`
    select "#why" as why, count(*) as rows from ${tableId(listPlacement(builtOf(of)))}
    where "#class" = 'ambiguous' group by 1 order by 1`);
  if (rows.length === 0) return [];
  const keys = await store.query<{ key: JsonObject }>(sql`
    select ${listedKey(of)} as key from ${tableId(listPlacement(builtOf(of)))}
    where "#class" = 'ambiguous' order by ${sql.join(listedKeys(of).map(({ column }) => column))} limit ${NAMED_KEYS}::integer`);
  return [
    refusal('rows_ambiguous', of.operation.table, {
      detail: {
        rows: rows.reduce((sum, each) => sum + Number(each.rows), 0),
        keys: keys.map(({ key }) => key),
        reasons: rows.map(({ why, rows: count }) => ({ why, rows: Number(count) })),
      },
      hint: `Say what becomes of these rows: plan again with --attribute ${of.operation.table}=recompute or =retire, or with an expression for a column.`,
    }),
  ];
}

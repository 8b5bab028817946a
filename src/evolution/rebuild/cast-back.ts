/**
 * Values of the new type in the old one, where it holds them as they are: asked before, since a cast that fails ends the
 * transaction, and one that rounds or cuts off says nothing.
 */
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import { judgesText } from './facts.ts';
import { castTo, isNumeric } from './values.ts';

/** Gives this session a way to ask; before release 16 the server has none of its own. */
export async function prepareCastBack(transaction: Queryable): Promise<void> {
  const body = (await judgesText(transaction))
    ? sql`language sql as $fits$ select pg_input_is_valid(value, type) $fits$`
    : sql`language plpgsql as $fits$ begin
        execute format('select %L::%s', value, type);
        return true;
      exception when data_exception or integrity_constraint_violation then
        return false;
      end $fits$`;
  await transaction.execute(
    sql`create or replace function pg_temp.varve_fits(value text, type text) returns boolean ${body}`,
  );
}

/** The value in its old type; null where that cannot hold it as it is. */
export function castBack(value: Sql, now: string, was: string): Sql {
  const isNumber = isNumeric(now) && isNumeric(was);
  // Of a number its digits count, not how many zeros stand behind them.
  const text = isNumber ? sql`trim_scale((${value})::numeric)::text` : sql`(${value})::text`;
  const old = castTo(value, now, was);
  const again = castTo(old, was, now);
  const same = isNumber ? sql`${again} = ${value}` : sql`(${again})::text = (${value})::text`;
  return sql`case when pg_temp.varve_fits(${text}, ${was}::text) then case when ${same} then ${old} end end`;
}

/** What others wrote while a run was under way. */
import type { NewWrites } from '../migration/index.ts';
import { sql, type Queryable } from '../store/index.ts';

/**
 * Rows of live tables that were computed, replaced or deleted by others since a run was opened. A populate that was under
 * way when it was opened counts whole: which of its rows came later is not recorded.
 */
export async function computedSince(
  transaction: Queryable,
  tables: readonly string[],
  runId: string,
): Promise<readonly NewWrites[]> {
  return transaction.query<NewWrites>(sql`
    select w.name as "table", count(distinct w.key_hash)::integer as rows
    from (select (at::timestamptz) as began from varve.ledger where run_id = ${runId} and phase = 'opened') o
    cross join lateral (
      select l.name, c.key_hash from varve.relation l
      join varve.computation c on c.relation = l.id
      join varve.computation_spec s on s.id = c.spec and s.origin = 'computed'
      join varve.run r on r.id = s.run and r.kind not in ('evolution', 'verify')
      where l.state = 'live' and l.name = any(${tables}::text[]) and coalesce(r.finished_at, 'infinity') >= o.began
      union all
      select l.name, h.key_hash from varve.relation l
      join varve.superseded h on h.relation = l.id
      where l.state = 'live' and l.name = any(${tables}::text[]) and h.superseded_at >= o.began) w
    group by 1 order by 1`);
}

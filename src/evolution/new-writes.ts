/** What others wrote while a run was under way. */
import type { NewWrites } from '../migration/index.ts';
import { sql, type Queryable } from '../store/index.ts';

/**
 * Rows that were computed, replaced or deleted by others since run `since` was opened, in the tables as they are live now
 * and in the structures that run `until` retired. A populate that was under way when it was opened counts whole: which of
 * its rows came later is not recorded.
 */
export async function computedSince(
  transaction: Queryable,
  tables: readonly string[],
  { since, until }: { readonly since: string; readonly until: string },
): Promise<readonly NewWrites[]> {
  return transaction.query<NewWrites>(sql`
    with o as (select at::timestamptz as began from varve.ledger where run_id = ${since} and phase = 'opened'),
    l as (select id, name from varve.relation
      where name = any(${tables}::text[]) and (state = 'live' or until_run = ${until}))
    select w.name as "table", count(distinct w.key_hash)::integer as rows
    from (
      select l.name, c.key_hash from o, l
      join varve.computation c on c.relation = l.id
      join varve.computation_spec s on s.id = c.spec and s.origin = 'computed'
      join varve.run r on r.id = s.run and r.kind not in ('evolution', 'verify')
      where coalesce(r.finished_at, 'infinity') >= o.began
      union all
      select l.name, h.key_hash from o, l join varve.superseded h on h.relation = l.id
      where h.superseded_at >= o.began) w
    group by 1 order by 1`);
}

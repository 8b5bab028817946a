/** What others wrote while a run was under way. */
import type { NewWrites } from '../migration/index.ts';
import { sql, type Queryable } from '../store/index.ts';
import { countNotes } from './capture.ts';
import type { RunScope } from './operation/operation.ts';
import { markOf } from './rebuild/mark.ts';
import { listPlacement, rebuilding, rebuildsOf, runWorld } from './rebuild/world.ts';

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

/** The same, with the tables in which changes were noted that no computation tells of. */
export async function writtenSince(
  transaction: Queryable,
  tables: readonly string[],
  {
    since,
    until,
    noted,
  }: { readonly since: string; readonly until: string; readonly noted: ReadonlyMap<string, number> },
): Promise<readonly NewWrites[]> {
  const computed = await computedSince(transaction, tables, { since, until });
  const more = [...noted].filter(
    ([table, rows]) => rows > 0 && !computed.some((each) => each.table === table),
  );
  return [...computed, ...more.map(([table, rows]) => ({ table, rows }))].toSorted((left, right) =>
    left.table < right.table ? -1 : 1,
  );
}

/** How many changes were noted of the tables that a run builds from, those that it carried over included. */
export async function notedTables(
  scope: RunScope,
  transaction: Queryable,
): Promise<ReadonlyMap<string, number>> {
  const noted = new Map<string, number>();
  const world = await runWorld(transaction, scope);
  for (const operation of rebuildsOf(scope)) {
    const next = world.next.get(operation.table);
    // Notes come with the structure: before that, nobody looked.
    if (next?.state !== 'building' || operation.from.length === 0) continue;
    const isChanged = ['changed', 'open'].includes((await markOf(transaction, listPlacement(next))) ?? '');
    for (const { name, ...relation } of rebuilding(operation, world).sources) {
      const notes = await countNotes(transaction, [{ name, ...relation }]);
      noted.set(name, Math.max(noted.get(name) ?? 0, notes + (isChanged ? 1 : 0)));
    }
  }
  return noted;
}

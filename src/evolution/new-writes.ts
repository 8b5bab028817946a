/** What others wrote while a run was under way. */
import type { NewWrites } from '../migration/index.ts';
import { sql, type Queryable } from '../store/index.ts';
import { countNotes } from './capture.ts';
import { marksOf } from './rebuild/mark.ts';
import { listPlacement, rebuilding, rebuildsOf, type RebuildWorld } from './rebuild/world.ts';

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
  world: RebuildWorld,
  transaction: Queryable,
): Promise<ReadonlyMap<string, number>> {
  const built = rebuildsOf(world).flatMap((operation) => {
    const next = world.next.get(operation.table);
    // Notes come with the structure: before that, nobody looked.
    const isNoted = next?.state === 'building' && operation.from.length > 0;
    return isNoted ? [{ place: listPlacement(next), sources: rebuilding(operation, world).sources }] : [];
  });
  const marks = await marksOf(
    transaction,
    built.map(({ place }) => place),
  );
  const sources = built.flatMap((each, index) =>
    each.sources.map((relation) => ({
      relation,
      isChanged: ['changed', 'open'].includes(marks[index] ?? ''),
    })),
  );
  const counts = await countNotes(
    transaction,
    sources.map(({ relation }) => relation),
  );
  const noted = new Map<string, number>();
  for (const [index, { relation, isChanged }] of sources.entries()) {
    const notes = (counts[index] ?? 0) + (isChanged ? 1 : 0);
    noted.set(relation.name, Math.max(noted.get(relation.name) ?? 0, notes));
  }
  return noted;
}

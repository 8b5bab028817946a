import { sql, type Queryable } from '../store/index.ts';

/** By which run a table was taken over that others had made. */
export interface Adoption {
  readonly run: string;
  readonly at: string;
}

/**
 * The adoptions of these relations, or of those that they were built from: a row of one of them that nothing is recorded
 * of was there before varve, or was written by another program since.
 */
export async function loadAdoptions(
  store: Queryable,
  relations: ReadonlySet<number>,
): Promise<ReadonlyMap<number, Adoption>> {
  if (relations.size === 0) return new Map();
  const rows = await store.query<{ start: number; run: string; at: string }>(sql`
    with recursive lineage(start, relation) as (
      select id, id from varve.relation where id = any(${[...relations]}::integer[])
      union
      select l.start, s.source from lineage l join varve.relation_source s on s.relation = l.relation)
    select l.start, a.run, a.adopted_at as at from lineage l join varve.adoption a on a.relation = l.relation`);
  return new Map(rows.map(({ start, run, at }) => [start, { run, at }]));
}

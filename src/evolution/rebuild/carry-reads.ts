/**
 * Reads that were recorded and are still not declared go along with the rows that are carried: the next evolution finds in
 * them what it needs to attribute these rows, and `why` goes on telling them.
 */
import { loadNamePeriods, namesOf, tableId } from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import { builtOf, listPlacement, type Rebuilding } from './world.ts';

/**
 * Copies them for the lines `l` of a list that are meant; `hash` is the new one of a line, `relation` the one that
 * computed.
 */
export async function carryReads(
  transaction: Queryable,
  of: Rebuilding,
  {
    relation,
    hash,
    lines,
  }: {
    readonly relation: number;
    readonly hash: Sql;
    readonly lines: Sql;
  },
): Promise<void> {
  const declared = await declaredNames(transaction, of);
  if (!(await hasOtherReads(transaction, relation, declared))) return;
  const next = builtOf(of);
  await transaction.execute(sql`
    insert into varve.recorded_read (relation, key_hash, spec, ordinal, subject, declared, columns, keys, row_count, digest)
    select distinct on (w.key_hash, w.spec, w.ordinal) w.* from (
      select ${next.id}::integer, ${hash} as key_hash, a.id as spec, r.ordinal, r.subject, r.declared, r.columns, r.keys,
        r.row_count, r.digest
      from ${tableId(listPlacement(next))} l
      join varve.computation_spec a on a.relation = ${next.id} and a.origin = 'attributed'
        and (a.attribution ->> 'spec')::integer = l."#spec"
      join varve.recorded_read r on r.relation = ${relation} and r.key_hash = l."#hash" and r.spec = l."#spec"
      where ${lines} and not r.declared and r.subject <> all(${declared}::text[])) w
    on conflict (relation, key_hash, spec, ordinal) do update set subject = excluded.subject, columns = excluded.columns,
      keys = excluded.keys, row_count = excluded.row_count, digest = excluded.digest`);
}

/** What the tables that are declared now were ever called, where no other table was called so. */
async function declaredNames(store: Queryable, { spec, world }: Rebuilding): Promise<readonly string[]> {
  const periods = await loadNamePeriods(store);
  return spec.reads.flatMap(({ table }) => {
    const [old] = world.naming.pairs.get(table)?.sources ?? [];
    const relation = old === undefined ? undefined : world.old.get(old.name);
    return [table, ...(relation === undefined ? [] : namesOf(periods, relation.id).own)];
  });
}

/**
 * Whether any table was read that is not declared now. Of each table that was read, one look in the index is enough; looking
 * through the reads would take as long as writing a batch.
 */
async function hasOtherReads(
  transaction: Queryable,
  relation: number,
  declared: readonly string[],
): Promise<boolean> {
  const [some] = await transaction.query<{ open: boolean }>(sql`
    with recursive read (subject) as (
      (select subject from varve.recorded_read where relation = ${relation} order by subject limit 1)
      union all
      select (select r.subject from varve.recorded_read r
        where r.relation = ${relation} and r.subject > read.subject order by r.subject limit 1)
      from read where read.subject is not null)
    select exists (select from read where subject <> all(${declared}::text[]) and exists (
      select from varve.recorded_read r where r.relation = ${relation} and r.subject = read.subject and not r.declared)) as open`);
  return some?.open === true;
}

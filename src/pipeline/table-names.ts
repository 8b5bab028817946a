/**
 * What tables were called when. A recorded read names its table as it was called then: after a rename it means the table of
 * another name, and where the name was given to another table since, it means that one only from then on.
 */
import { sql, type Queryable, type Sql } from '../store/index.ts';

/** A name that a table had, for a while. */
export interface NamePeriod {
  /** The relation that stands for the table now, or did last. */
  readonly relation: number;
  /** What it is called. */
  readonly now: string;
  readonly isLive: boolean;
  readonly name: string;
  /** Seconds since 1970; null: from the beginning, or until now. */
  readonly since: number | null;
  readonly until: number | null;
}

/** The names of all tables, those of the structures that their rows came from included. */
export async function loadNamePeriods(store: Queryable): Promise<readonly NamePeriod[]> {
  return store.query<NamePeriod & Record<string, unknown>>(
    sql.kept(sql`
    with recursive known as (select * from varve.relation where state in ('live', 'retired', 'let_go')),
    source (relation, source) as (
      select relation, source from varve.relation_source
      union select id, predecessor from varve.relation where predecessor is not null),
    family (root, id) as (
      select k.id, k.id from known k where k.state = 'live'
        or not exists (select from source s join known n on n.id = s.relation where s.source = k.id)
      union select f.root, s.source from family f join source s on s.relation = f.id),
    named (id, name, since, until) as (
      select v.relation, v.name, coalesce(lag(v.until_at) over (partition by v.relation order by v.until_at, v.id), k.since_at), v.until_at
      from varve.relation_version v join known k on k.id = v.relation
      union all
      select k.id, k.name, coalesce((select max(v.until_at) from varve.relation_version v where v.relation = k.id), k.since_at), k.until_at
      from known k)
    select f.root as relation, r.name as now, r.state = 'live' as "isLive", n.name,
      extract(epoch from n.since)::float8 as since, extract(epoch from n.until)::float8 as until
    from family f join varve.relation r on r.id = f.root join named n on n.id = f.id
    order by f.root, n.since, n.name`),
  );
}

/** When computations with these specs, `s`, ran that were recorded: one that was carried ran before that. Seconds since 1970. */
export async function loadRecordingTimes(store: Queryable, which: Sql): Promise<ReadonlyMap<number, number>> {
  const rows = await store.query<{ spec: number; at: number }>(sql`
    with recursive chain (spec, at) as (
      select s.id, s.id from varve.computation_spec s where ${which}
      union
      select c.spec, (s.attribution ->> 'spec')::integer from chain c
      join varve.computation_spec s on s.id = c.at where s.attribution ->> 'spec' is not null)
    select c.spec, extract(epoch from min(r.started_at))::float8 as at from chain c
    join varve.computation_spec s on s.id = c.at join varve.run r on r.id = s.run group by 1`);
  return new Map(rows.map(({ spec, at }) => [spec, at]));
}

/** What the table that a read named is called now; undefined where it is no more, became several, or is not known. */
export function presentName(
  periods: readonly NamePeriod[],
  name: string,
  at: number | undefined,
): string | undefined {
  const named = periods.filter((period) => period.name === name);
  const meant = isShared(named) ? named.filter((period) => at !== undefined && isWithin(period, at)) : named;
  const names = new Set(meant.filter(({ isLive }) => isLive).map(({ now }) => now));
  return names.size === 1 ? [...names][0] : undefined;
}

/** The names by which reads of a table are recorded: those that no other table ever had, and those that others had too. */
export function namesOf(
  periods: readonly NamePeriod[],
  relation: number,
): { readonly own: readonly string[]; readonly shared: readonly string[] } {
  const names = [...new Set(periods.filter((each) => each.relation === relation).map(({ name }) => name))];
  const isOthers = (name: string): boolean => isShared(periods.filter((each) => each.name === name));
  return {
    own: names.filter((name) => !isOthers(name)),
    shared: names.filter((name) => isOthers(name)),
  };
}

/** Whether a table had a name at a time. */
export function hadName(
  periods: readonly NamePeriod[],
  { relation, name, at }: { readonly relation: number; readonly name: string; readonly at: number },
): boolean {
  return periods.some((each) => each.relation === relation && each.name === name && isWithin(each, at));
}

function isShared(named: readonly NamePeriod[]): boolean {
  return new Set(named.map(({ relation }) => relation)).size > 1;
}

function isWithin({ since, until }: NamePeriod, at: number): boolean {
  return (since === null || since <= at) && (until === null || at < until);
}

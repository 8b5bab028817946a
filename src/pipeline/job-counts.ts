/** What the keys of a table are doing: counts by state, and who has which in hand. */
import type { JsonObject } from '../base/index.ts';
import { sql, type Queryable } from '../store/index.ts';
import { countComputations } from './computation-spec.ts';
import { JOB_IS_DUE, countMissing } from './key-source.ts';
import type { Relation, Relations } from './relation.ts';
import { reservedJobs } from './share/reserved-jobs.ts';

/** The keys of one table by state; a key is in one of them, and keys in hand are counted from those that are due. */
export interface JobCounts extends JsonObject {
  readonly table: string;
  /** To be computed by the next populate. */
  readonly pending: number;
  /** In the hands of a worker now. */
  readonly reserved: number;
  /** With a result. */
  readonly done: number;
  /** Failed; of them those that are tried again by themselves. */
  readonly error: number;
  readonly retrying: number;
  /** Put off until later. */
  readonly delayed: number;
  readonly ignored: number;
}

/** Counts the keys of a relation by state; as exact as its reads, which follow one another. */
export async function jobCounts(
  store: Queryable,
  relation: Relation,
  relations: Relations,
): Promise<JobCounts> {
  const missing = await countMissing(store, relation, relations, { condition: undefined });
  const reserved = (await reservedJobs(store, [relation])).reduce((sum, { keys }) => sum + keys, 0);
  const [row] = await store.query<{ error: number; retrying: number; delayed: number; ignored: number }>(sql`
    select count(*) filter (where j.state = 'error')::integer as error,
      count(*) filter (where j.state = 'error' and j.not_before is not null)::integer as retrying,
      count(*) filter (where j.state = 'pending' and not ${JOB_IS_DUE})::integer as delayed,
      count(*) filter (where j.state = 'ignored')::integer as ignored
    from varve.job j where j.relation = ${relation.id}`);
  return {
    table: relation.name,
    pending: Math.max(0, missing - reserved),
    reserved,
    done: await countComputations(store, relation),
    error: row?.error ?? 0,
    retrying: row?.retrying ?? 0,
    delayed: row?.delayed ?? 0,
    ignored: row?.ignored ?? 0,
  };
}

/** Keys that a worker has in hand. */
export interface KeysInHand extends JsonObject {
  readonly table: string;
  readonly keys: number;
  /** The run that has them. */
  readonly run: string;
  readonly actor: string;
  readonly host: string;
  readonly process: number;
  readonly since: string;
  readonly lastHeartbeat: string;
  readonly leaseSeconds: number;
}

/** Who has keys of these relations in hand now. */
export async function keysInHand(
  store: Queryable,
  relations: readonly Relation[],
): Promise<readonly KeysInHand[]> {
  const jobs = await reservedJobs(store, relations);
  if (jobs.length === 0) return [];
  const runs = await store.query<{
    id: number;
    name: string;
    actor: string;
    host: string;
    process: number;
  }>(sql`
    select id, name, actor, host, process from varve.run where id = any(${jobs.map(({ run }) => run)}::integer[])`);
  return jobs.map(({ relation, run: runId, ...job }) => {
    const run = runs.find(({ id }) => id === runId);
    return {
      table: relation.name,
      run: run?.name ?? '',
      actor: run?.actor ?? '',
      host: run?.host ?? '',
      process: run?.process ?? 0,
      ...job,
    };
  });
}

import { sql, type Queryable } from '../../store/index.ts';
import type { Relation } from '../relation.ts';
import { QUEUE, QUEUE_SCHEMA } from './queue-name.ts';

/** A job under way. */
export interface ReservedJob {
  readonly relation: Relation;
  /** The number of the run that has it. */
  readonly run: number;
  readonly keys: number;
  readonly since: string;
  readonly lastHeartbeat: string;
  readonly leaseSeconds: number;
}

/** The jobs under way on these relations; none where nobody ever shared. */
export async function reservedJobs(
  store: Queryable,
  relations: readonly Relation[],
): Promise<readonly ReservedJob[]> {
  const [there] = await store.query<{ there: boolean }>(
    sql`select to_regclass(${`${QUEUE_SCHEMA}.job`}) is not null as there`,
  );
  if (there?.there !== true) return [];
  const rows = await store.query<
    Omit<ReservedJob, 'relation'> & { readonly [name: string]: unknown; relation: number }
  >(sql`
    select (data->>'relation')::integer as relation, (data->>'run')::integer as run,
      jsonb_array_length(data->'keys') as keys, started_on as since, heartbeat_on as "lastHeartbeat",
      heartbeat_seconds as "leaseSeconds"
    from ${sql.id(QUEUE_SCHEMA, 'job')}
    where name = ${QUEUE} and state = 'active' and (data->>'relation')::integer = any(${relations.map(({ id }) => id)}::integer[])
    order by started_on`);
  return rows.flatMap((row) => {
    const relation = relations.find(({ id }) => id === row.relation);
    return relation === undefined ? [] : [{ ...row, relation }];
  });
}

/** Keys whose recorded inputs or code are not those of a world: their rows are stale there, which is not wrong. */
import { readPlan, relationOf, type ReadSpec, type Relation, type Relations } from '../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../store/index.ts';

/** Which keys, in which world, beside which code. */
export interface KeysInWorld {
  readonly relation: Relation;
  /** Where the tables stand that were read: live ones, or copies that were populated from nothing. */
  readonly relations: Relations;
  /** A query with the columns of the source key and `#hash`. */
  readonly keys: Sql;
  /** Digest of the present code; undefined: by whichever code they were computed. */
  readonly code: string | undefined;
}

/**
 * A query of the `#hash` of those that moved. A key without computation has nothing that could have moved: it is not
 * among them.
 *
 * A computation is compared under the reads it was recorded with, as `stale` does.
 */
export async function movedKeys(store: Queryable, given: KeysInWorld): Promise<Sql> {
  const recorded = await store.query<{ reads: readonly ReadSpec[] }>(sql`
    select distinct s.reads from varve.computation_spec s
    where s.id in (select spec from varve.computation where relation = ${given.relation.id})`);
  const queries = recorded.map(({ reads }) => movedOfReads(given, reads));
  return queries.length === 0
    ? sql`select null::bytea as "#hash" where false`
    : sql.join(queries, sql` union all `);
}

function movedOfReads({ relation, relations, keys, code }: KeysInWorld, reads: readonly ReadSpec[]): Sql {
  const from = sql`select k."#hash" from (${keys}) k
    join varve.computation c on c.relation = ${relation.id} and c.key_hash = k."#hash"
    join varve.computation_spec s on s.id = c.spec and s.reads = ${JSON.stringify(reads)}::jsonb
    join varve.code d on d.id = s.code`;
  // What was read then is not there to be compared with.
  if (!reads.every((read) => isReadable(read, relations))) return from;
  const plan = readPlan({ ...relation.spec, reads }, relations);
  const recoded = code === undefined ? sql`false` : sql`d.digest <> ${code}`;
  return sql`${from} ${plan.joins} where ${recoded} or c.inputs is distinct from ${plan.inputs}`;
}

function isReadable({ table, columns, match }: ReadSpec, relations: Relations): boolean {
  if (!relations.has(table)) return false;
  const known = new Set(relationOf(relations, table).spec.columns.map(({ name }) => name));
  return [...columns, ...Object.keys(match)].every((column) => known.has(column));
}

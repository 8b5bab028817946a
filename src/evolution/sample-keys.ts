/** Which keys a sample takes: in the order of their digests, so that they are spread over a table, and the same when asked again. */
import { digestOf } from '../evidence/index.ts';
import {
  keyHash,
  names,
  readPlan,
  tableId,
  type ReadSpec,
  type Relation,
  type Relations,
} from '../pipeline/index.ts';
import { sql, UNMERGED, type Sql } from '../store/index.ts';

/** A query of the keys of a table: the columns of the source key, and `#hash`. */
export function hashedKeys({ spec, placement }: Relation): Sql {
  const key = names(spec.sourceKey);
  const distinct = spec.sourceKey.length === spec.primaryKey.length ? sql`` : sql`distinct`;
  return sql`select t.*, ${keyHash(sql`t`, spec.sourceKey, spec.columns)} as "#hash"
    from (select ${distinct} ${key} from ${tableId(placement)}) t`;
}

/** What to order digests of keys by: from the place that the seed says, and on from the start after the end. */
export function seededOrder(hash: Sql, seed: string): Sql {
  return sql`${hash} < ${placeOf(seed)}, ${hash}`;
}

function placeOf(seed: string): Sql {
  const start = digestOf(seed).slice('sha256:'.length, 'sha256:'.length + 32);
  return sql`decode(${start}, 'hex')`;
}

/** What fresh keys are taken of. */
export interface FreshKeys {
  readonly relation: Relation;
  readonly relations: Relations;
  /** The computations that are asked about, by their specs, and the id of the code that they stand for. */
  readonly specs: readonly number[];
  readonly code: number;
  /** The reads that they are recorded with, where those are not the present ones. */
  readonly reads?: readonly ReadSpec[];
  readonly size: number;
  readonly seed?: string;
  /** A query like {@link hashedKeys}, where the hashes of keys stand written somewhere. */
  readonly hashed?: Sql;
}

/**
 * A query of so many keys whose recorded inputs are those of the present, among four times as many: others are stale, not
 * wrong. Its columns are those of the source key, `#hash` and `#code`.
 */
export function freshKeys({
  relation,
  relations,
  specs,
  code,
  reads = relation.spec.reads,
  size,
  seed = '',
  hashed = hashedKeys(relation),
}: FreshKeys): Sql {
  const plan = readPlan({ ...relation.spec, reads }, relations, sql`l`);
  const columns = sql.join(relation.spec.sourceKey.map((column) => sql`l.${sql.id(column)}`));
  // Each half is read from its start in the index, and no further than is asked for.
  const from = (side: Sql): Sql => sql`(select key_hash, inputs from varve.computation
    where relation = ${relation.id} and spec = any(${specs}::integer[]) and key_hash ${side} ${placeOf(seed)}
    order by key_hash limit ${4 * size})`;
  // Inputs are looked at one by one until there are enough: `UNMERGED` keeps them out of what comes before.
  return sql`select ${columns}, l."#hash", ${code}::integer as "#code" from (
      select k.*, c.inputs as "#inputs" from (${hashed}) k
      join (
        select key_hash, inputs from (${from(sql`>=`)} union all ${from(sql`<`)}) w
        order by ${seededOrder(sql`key_hash`, seed)} limit ${4 * size}) c on c.key_hash = k."#hash"
      order by ${seededOrder(sql`k."#hash"`, seed)} ${UNMERGED}) l
    ${plan.joins} where l."#inputs" = ${plan.inputs} limit ${size}`;
}

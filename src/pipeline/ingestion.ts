/** What is known of the calls that brought rows: who, from where, when. Apart from the foreign-key graph. */
import { sql, type Queryable, type Row, type Sql } from '../store/index.ts';
import { ingestionName } from './ingest.ts';
import { keyHash } from './read-plan.ts';
import { tableId, type Relation, type Relations } from './relation.ts';
import type { Key } from './key-source.ts';
import { keysRecordset, ORDINAL } from './write-rows.ts';

/** One call that brought rows. */
export interface Brought {
  /** `varve://ingestion/7`; `--as-of` takes it like a run. */
  readonly name: string;
  readonly source: string;
  readonly actor: string;
  /** ISO 8601 UTC. */
  readonly at: string;
}

/** The same with what else is known of it, and what it brought of one unit. */
export interface IngestionOrigin extends Brought {
  /** The table it brought rows of: the unit's own, or one of its parts. */
  readonly table: string;
  /** Rows of this unit that it brought and that stand in this version. */
  readonly rows: number;
  /** All rows that it brought. */
  readonly rowCount: number;
  readonly digest: string;
  /** Whether the row still is as it was brought; null where that is not told: rows of parts, and superseded ones. */
  readonly isUnchanged: boolean | null;
}

/** A call as a whole. */
export type Call = Brought & Pick<IngestionOrigin, 'rowCount' | 'digest'>;

/** These calls by number. */
export async function loadIngestions(
  store: Queryable,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Call>> {
  if (ids.length === 0) return new Map();
  const rows = await store.query<Row & Omit<Call, 'name'> & { readonly id: number }>(sql`
    select id::integer as id, source, actor, row_count as "rowCount", digest, ingested_at as at
    from varve.ingestion where id = any(${[...new Set(ids)]}::bigint[])`);
  return new Map(
    rows.map(({ id, source, actor, at, rowCount, digest }) => [
      id,
      { name: ingestionName(id), source, actor, at, rowCount, digest },
    ]),
  );
}

/** What one call brought of the standing part rows of a unit. */
export interface BroughtParts {
  /** The place of the unit in the list that was asked about. */
  readonly unit: number;
  readonly table: string;
  readonly ingestion: number;
  readonly rows: number;
}

/** How many of the standing part rows of these units of one table each call brought; one statement for each part table. */
export async function partIngestions(
  store: Queryable,
  relation: Relation,
  relations: Relations,
  units: readonly Key[],
): Promise<readonly BroughtParts[]> {
  const found: BroughtParts[] = [];
  if (units.length === 0) return found;
  for (const name of Object.values(relation.spec.parts)) {
    const part = relations.get(name);
    if (part === undefined) continue;
    const same = relation.spec.sourceKey.map((column) => sql`o.${sql.id(column)} = k.${sql.id(column)}`);
    const rows = await store.query<Row & Omit<BroughtParts, 'table'>>(sql`
      select k.${sql.id(ORDINAL)} as unit, l.ingestion, count(*)::integer as rows
      from (${keysRecordset(relation.spec, units)}) k join ${tableId(part.placement)} o on ${sql.join(same, sql` and `)}
      cross join lateral (select max(l.ingestion) as ingestion from varve.ingested l
        where l.relation = ${part.id} and l.key_hash = ${keyHash(sql`o`, part.spec.primaryKey)}) l
      where l.ingestion is not null group by 1, 2 order by 1, 2 desc`);
    found.push(
      ...rows.map(({ unit, ingestion, rows: count }) => ({ unit, table: name, ingestion, rows: count })),
    );
  }
  return found;
}

/**
 * The call that brought a version, as a lateral join `alias`: the last one before it ended, unless the version before it
 * ended later, for then a plain INSERT brought the row.
 */
export function broughtJoin(
  alias: string,
  relationIds: readonly number[],
  { keyHash: hash, after, before }: { readonly keyHash: Sql; readonly after: Sql; readonly before: Sql },
): Sql {
  return sql`left join lateral (
    select l.ingestion, l.relation, l.row_check, g.ingested_at from varve.ingested l join varve.ingestion g on g.id = l.ingestion
    where l.relation = any(${[...relationIds]}::integer[]) and l.key_hash = ${hash}
      and (${before} is null or g.ingested_at < ${before}) and (${after} is null or g.ingested_at >= ${after})
    order by l.ingestion desc limit 1) ${sql.id(alias)} on true`;
}

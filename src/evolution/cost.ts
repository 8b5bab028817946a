/** What an evolution is likely to take: told with the plan, never held to. */
import type { JsonObject } from '../base/index.ts';
import type { Relation } from '../pipeline/index.ts';
import { sql, type Queryable } from '../store/index.ts';
import type { PlannedRebuild, PlanScope } from './operation/operation.ts';
import { rebuildsOf } from './rebuild/world.ts';

/**
 * Time and size, table by table and together.
 *
 * Shape: `{ tables: [{ table, makes: 12, makeSeconds: 3.4, sizeBytes: 81920 }], makeSeconds: 3.4, sizeBytes: 81920 }`
 * Units: `makeSeconds` is what the makes took that are to run again, by the mean of all that are recorded, in one worker; null
 * where nothing is recorded to go by. `sizeBytes` stand beside the old structures: rows, indexes and large values.
 */
export interface Cost extends JsonObject {
  readonly tables: readonly TableCost[];
  readonly makeSeconds: number | null;
  readonly sizeBytes: number;
}

/** Of one table that is built anew. */
export interface TableCost extends JsonObject {
  readonly table: string;
  /** Keys whose make runs again. */
  readonly makes: number;
  readonly makeSeconds: number | null;
  readonly sizeBytes: number;
}

/** The cost of all rebuilds; null where there are none. */
export async function costOf(
  scope: PlanScope,
  planned: ReadonlyMap<string, PlannedRebuild>,
): Promise<Cost | null> {
  const tables: TableCost[] = [];
  for (const { table, from } of rebuildsOf(scope)) {
    const counts = planned.get(table)?.counts;
    if (counts === undefined) continue;
    const { keep, rekey, backfill, recompute, retire, ambiguous } = counts;
    const there = keep + rekey + backfill + recompute;
    const rows = there + retire + ambiguous;
    const sources = from.flatMap((name) => scope.relations.get(name) ?? []);
    const share = rows === 0 ? 0 : there / rows;
    const isMade = scope.to.tables.some(({ name, form }) => name === table && form !== undefined);
    const made =
      !isMade || recompute === 0
        ? { keys: 0, seconds: 0 }
        : await makesOf(scope.transaction, sources, recompute / rows);
    tables.push({
      table,
      makes: made.keys,
      makeSeconds: made.seconds,
      sizeBytes: Math.round((await sizeOf(scope.transaction, sources)) * share),
    });
  }
  if (tables.length === 0) return null;
  const seconds = tables.map(({ makeSeconds }) => makeSeconds);
  return {
    tables,
    makeSeconds: seconds.includes(null) ? null : seconds.reduce<number>((sum, each) => sum + (each ?? 0), 0),
    sizeBytes: tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

/** What a share of the recorded makes took. */
async function makesOf(
  transaction: Queryable,
  sources: readonly Relation[],
  share: number,
): Promise<{ readonly keys: number; readonly seconds: number | null }> {
  const [row] = await transaction.query<{ keys: bigint; sum: bigint | null }>(sql`
    select count(*) as keys, sum(duration_us)::bigint as sum from varve.computation
    where relation = any(${sources.map(({ id }) => id)}::integer[])`);
  const keys = Number(row?.keys ?? 0n);
  const seconds = keys === 0 ? null : (Number(row?.sum ?? 0n) * share) / 1_000_000;
  return { keys: Math.round(keys * share), seconds };
}

async function sizeOf(transaction: Queryable, sources: readonly Relation[]): Promise<number> {
  let bytes = 0;
  for (const { placement } of sources) {
    const [row] = await transaction.query<{ bytes: bigint | null }>(sql`
      select pg_total_relation_size(c.oid) as bytes from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${placement.schema} and c.relname = ${placement.table}`);
    bytes += Number(row?.bytes ?? 0n);
  }
  return bytes;
}

/** What a list says once what its rows hang on is there. */
import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { tableId } from '../../pipeline/index.ts';
import { sql, type Queryable, type Transaction } from '../../store/index.ts';
import { choicesOf } from '../rule/choices.ts';
import { keepLineCounts, sumOf, type ClassRow } from './line-counts.ts';
import { listedKey, listedKeys, NAMED_KEYS } from './plan.ts';
import { builtOf, listPlacement, type Rebuilding } from './world.ts';
import { CARRIED } from './write.ts';

/** What was listed of a table. */
export interface Listed {
  readonly findings: readonly Finding[];
  /** Ids of `varve.computation_spec`: how carried rows were computed. */
  readonly specs: readonly number[];
}

/**
 * Looks at all lines of a list once: which rows only turned out to be ambiguous now, how the carried ones were computed, and
 * how many there are of each class, which is kept from here on.
 */
export async function listed(store: Transaction, of: Rebuilding): Promise<Listed> {
  const place = listPlacement(builtOf(of));
  const lines = await store.query<ClassRow & { why: string | null; spec: number | null }>(sql`
    select "#class" as class, case when "#class" = 'ambiguous' then "#why" end as why,
      case when ${CARRIED} then "#spec" end as spec, count(*) as rows
    from ${tableId(place)} l group by 1, 2, 3 order by 2`);
  await keepLineCounts(store, place, sumOf(lines));
  const specs = [...new Set(lines.flatMap(({ spec }) => spec ?? []))];
  const reasons = new Map<string, number>();
  for (const { why, rows } of lines) {
    if (why !== null) reasons.set(why, (reasons.get(why) ?? 0) + Number(rows));
  }
  return { findings: reasons.size === 0 ? [] : [await ambiguous(store, of, reasons)], specs };
}

async function ambiguous(
  store: Queryable,
  of: Rebuilding,
  reasons: ReadonlyMap<string, number>,
): Promise<Finding> {
  const keys = await store.query<{ key: JsonObject }>(sql`
    select ${listedKey(of)} as key from ${tableId(listPlacement(builtOf(of)))}
    where "#class" = 'ambiguous' order by ${sql.join(listedKeys(of).map(({ column }) => column))} limit ${NAMED_KEYS}::integer`);
  return refusal('rows_ambiguous', of.operation.table, {
    detail: {
      rows: [...reasons.values()].reduce((sum, rows) => sum + rows, 0),
      keys: keys.map(({ key }) => key),
      reasons: [...reasons].map(([why, rows]) => ({ why, rows })),
    },
    hint: `Say what becomes of these rows: plan again with ${choicesOf(of.operation.table, of.spec, of.operation)}.`,
  });
}

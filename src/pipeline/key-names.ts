/**
 * What the columns of a table's key were called before. A recorded read names the row that was read by its key as it was
 * called then; after a rename the row is still the same one.
 *
 * Each structure knows which of its columns goes on from which one before. That a row goes on under its key as well is told by
 * there being no map between the two: beyond a map, what was recorded names no row of now.
 */
import type { JsonObject } from '../base/index.ts';
import { sql, type Queryable } from '../store/index.ts';
import type { TableSpec } from './spec.ts';

/** Present column of a key to the names under which it may be recorded, the latest first; none where none means it alone. */
export type FormerKeyNames = ReadonlyMap<string, readonly string[]>;

/** Column to that of the structure before. */
type FormerColumns = Readonly<Record<string, string>>;

/** The former names of the key of a relation that stands. */
export async function loadFormerKeyNames(store: Queryable, relation: number): Promise<FormerKeyNames> {
  const steps = await store.query<{ primaryKey: TableSpec['primaryKey']; columns: FormerColumns }>(sql`
    with recursive chain (id, step) as (
      select ${relation}::integer, 0
      union all
      select s.source, c.step + 1 from chain c join varve.relation_source s on s.relation = c.id
      where s.map is null and s.columns is not null)
    select r.spec -> 'primaryKey' as "primaryKey", s.columns
    from chain c join varve.relation r on r.id = c.id
    join varve.relation_source s on s.relation = c.id and s.map is null and s.columns is not null order by c.step`);
  return formerKeyNames(
    steps[0]?.primaryKey ?? [],
    steps.map(({ columns }) => columns),
  );
}

/** The same of steps that are known, the latest first. */
export function formerKeyNames(present: readonly string[], before: readonly FormerColumns[]): FormerKeyNames {
  const names = new Map(present.map((column) => [column, [column]]));
  for (const columns of before) {
    for (const all of names.values()) {
      const former = columns[all.at(-1) ?? ''];
      if (former !== undefined) all.push(former);
    }
  }
  const entries = [...names].map(([column, all]): [string, readonly string[]] => {
    // A name that another column has, or had, may mean either.
    const isOthers = (name: string): boolean =>
      [...names].some(([other, its]) => other !== column && its.includes(name));
    return [column, [...new Set(all)].filter((name) => !isOthers(name))];
  });
  return new Map(entries);
}

/** A recorded key by what its columns are called now. */
export function underPresentNames(key: JsonObject, names: FormerKeyNames): JsonObject {
  const present = new Map([...names].flatMap(([column, former]) => former.map((name) => [name, column])));
  return Object.fromEntries(
    Object.entries(key).map(([name, value]): [string, JsonObject[string]] => [
      present.get(name) ?? name,
      value,
    ]),
  );
}

/** Which recorded reads are reads of a table, whatever it was called when they were recorded. */
import {
  hadName,
  loadNamePeriods,
  loadRecordingTimes,
  namesOf,
  type Relation,
} from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';

/** A condition over lines `r` of `varve.recorded_read`: that they tell of this table. */
export type ReadSubjects = (target: Relation, r: Sql) => Sql;

/** For the reads that were recorded of one relation's computations. */
export async function readSubjectsOf(store: Queryable, computed: number): Promise<ReadSubjects> {
  const periods = await loadNamePeriods(store);
  const some = [...new Set(periods.map(({ relation }) => relation))];
  const areShared = some.some((relation) => namesOf(periods, relation).shared.length > 0);
  const times = areShared
    ? await loadRecordingTimes(store, sql`s.relation = ${computed}::integer`)
    : new Map<number, number>();
  return (target, r) => {
    const { own, shared } = namesOf(periods, target.id);
    const ways = shared.map((name) => {
      const specs = [...times].flatMap(([spec, at]) =>
        hadName(periods, { relation: target.id, name, at }) ? [spec] : [],
      );
      return sql`or (${r}.subject = ${name} and ${r}.spec = any(${specs}::integer[]))`;
    });
    return ways.length === 0
      ? sql`${r}.subject = any(${own}::text[])`
      : sql`(${r}.subject = any(${own}::text[]) ${sql.join(ways, sql` `)})`;
  };
}

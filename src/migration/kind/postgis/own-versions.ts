/**
 * Row versions of a store that has one session (M89): a version with the run's transaction id, or a later one, is the run's.
 * Rows of every table are counted before and after as well, so that two ways of counting have to agree.
 */
import { refusal, type Finding } from '../../../base/index.ts';
import { sql, type Queryable } from '../../../store/index.ts';
import { fullName, type Relation, type Relations } from './relation.ts';
import type { RowCounts } from './row-counts.ts';

/** The rows of one table. */
export interface TableRows {
  readonly rows: number;
  /** Versions that this transaction wrote. */
  readonly own: number;
}

const TABLES_PER_STATEMENT = 200;

/** Counts the rows of every user table. */
export async function countTables(
  queryable: Queryable,
  relations: Relations,
): Promise<ReadonlyMap<number, TableRows>> {
  const tables = [...relations.values()].filter(({ kind, schema }) => kind === 'r' && schema !== 'varve');
  const counted = new Map<number, TableRows>();
  for (let from = 0; from < tables.length; from += TABLES_PER_STATEMENT) {
    const parts = tables
      .slice(from, from + TABLES_PER_STATEMENT)
      .map(
        ({ oid, schema, name }) =>
          sql`select ${oid}::oid as oid, count(*) as rows, count(*) filter (where age(xmin) <= 0) as own from only ${sql.id(schema, name)}`,
      );
    const rows = await queryable.query<{ oid: number; rows: bigint; own: bigint }>(
      sql.join(parts, sql` union all `),
    );
    for (const each of rows) counted.set(each.oid, { rows: Number(each.rows), own: Number(each.own) });
  }
  return counted;
}

/** Tables in which the two ways of counting differ; `rebuilt` are those whose file was written anew. */
export function versionFindings(about: {
  readonly before: ReadonlyMap<number, TableRows>;
  readonly after: ReadonlyMap<number, TableRows>;
  readonly counts: ReadonlyMap<number, RowCounts>;
  readonly relations: Relations;
  readonly rebuilt: ReadonlySet<number>;
}): readonly Finding[] {
  return [...about.after].flatMap(([oid, after]) => {
    const relation = about.relations.get(oid);
    if (relation === undefined || about.rebuilt.has(oid)) return [];
    const { inserted = 0, updated = 0, deleted = 0 } = about.counts.get(oid) ?? {};
    const grown = after.rows - (about.before.get(oid)?.rows ?? 0);
    if (grown === inserted - deleted && after.own <= inserted + updated) return [];
    return [unseen(relation, { grown, own: after.own, inserted, updated, deleted })];
  });
}

function unseen(relation: Relation, detail: Readonly<Record<string, number>>): Finding {
  return refusal('touched_unseen', fullName(relation), {
    detail,
    hint: 'The counters of the server and the rows themselves say different things; a script that stops counting does this. Nothing was changed.',
  });
}

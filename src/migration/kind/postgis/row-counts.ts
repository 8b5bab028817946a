/**
 * Rows per table that the transaction inserted, updated and deleted (layer L5), side effects included: the server counts
 * them for its statistics. What an aborted part of the transaction did counts too, so that a number is never too low.
 *
 * TRUNCATE sets a table's counters back, and a dropped table has none: so they are read before and after every statement that may do
 * either, and what they had shown is kept.
 */
import { sql, type Queryable } from '../../../store/index.ts';

/** Counts of one table. */
export interface RowCounts {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

const NONE: RowCounts = { inserted: 0, updated: 0, deleted: 0 };

/** The counts so far, by the number of the table. */
export interface RowCounter {
  readonly read: (queryable: Queryable) => Promise<void>;
  readonly counts: () => ReadonlyMap<number, RowCounts>;
}

/** Begins counting: what the session counted before is taken off. */
export async function startCounting(queryable: Queryable): Promise<RowCounter> {
  const before = await readCounters(queryable);
  let last: ReadonlyMap<number, RowCounts> = new Map();
  const kept = new Map<number, RowCounts>();
  return {
    read: async (now) => {
      const current = new Map(
        [...(await readCounters(now))].map(([oid, counts]) => [
          oid,
          difference(counts, before.get(oid) ?? NONE),
        ]),
      );
      for (const [oid, counts] of last) {
        if (isSetBack(current.get(oid) ?? NONE, counts)) kept.set(oid, sum(kept.get(oid) ?? NONE, counts));
      }
      last = current;
    },
    counts: () => {
      const totals = [...new Set([...last.keys(), ...kept.keys()])].map((oid): [number, RowCounts] => [
        oid,
        sum(last.get(oid) ?? NONE, kept.get(oid) ?? NONE),
      ]);
      return new Map(totals.filter(([, counts]) => rowsOf(counts) > 0));
    },
  };
}

/** Inserts, updates and deletes (M23). */
export function rowsOf({ inserted, updated, deleted }: RowCounts): number {
  return inserted + updated + deleted;
}

/** Asked while the names of the script hold: every operator is one whose types are exactly those of the server's own. */
async function readCounters(queryable: Queryable): Promise<ReadonlyMap<number, RowCounts>> {
  const rows = await queryable.query<Record<keyof RowCounts, bigint> & { oid: number }>(
    sql.kept(sql`
    select relid as oid, n_tup_ins as inserted, n_tup_upd as updated, n_tup_del as deleted
    from pg_catalog.pg_stat_xact_all_tables
    where n_tup_ins + n_tup_upd + n_tup_del > 0
      and (schemaname !~ '^(pg_catalog|information_schema|pg_toast|pg_temp_\\d+|pg_toast_temp_\\d+)$'::text or relname ~ '^pg_largeobject'::text)`),
  );
  return new Map(
    rows.map(({ oid, inserted, updated, deleted }) => [
      oid,
      { inserted: Number(inserted), updated: Number(updated), deleted: Number(deleted) },
    ]),
  );
}

function isSetBack(now: RowCounts, then: RowCounts): boolean {
  return now.inserted < then.inserted || now.updated < then.updated || now.deleted < then.deleted;
}

function sum(left: RowCounts, right: RowCounts): RowCounts {
  return {
    inserted: left.inserted + right.inserted,
    updated: left.updated + right.updated,
    deleted: left.deleted + right.deleted,
  };
}

function difference(left: RowCounts, right: RowCounts): RowCounts {
  return {
    inserted: Math.max(0, left.inserted - right.inserted),
    updated: Math.max(0, left.updated - right.updated),
    deleted: Math.max(0, left.deleted - right.deleted),
  };
}

/** What the event triggers noted (layer L2). */
import { sql, type Queryable } from '../../../store/index.ts';

/** One event. */
export interface SeenDdl {
  readonly event: 'command' | 'drop' | 'rewrite';
  /** Such as `ALTER TABLE`. */
  readonly tag: string;
  readonly objectType: string | null;
  readonly schema: string | null;
  /** Null: the server does not say what was touched. */
  readonly identity: string | null;
  /** Of a dropped object: the names that lead to it. */
  readonly names: readonly string[] | null;
  readonly objectId: number | null;
  /** Of an index that was made: its table. */
  readonly tableId: number | null;
}

/** All of them, in order. */
export async function readSeenDdl(queryable: Queryable): Promise<readonly SeenDdl[]> {
  return queryable.query<SeenDdl & Record<string, unknown>>(sql`
    select event, tag, object_type as "objectType", schema_name as schema, identity, names, object_id as "objectId",
      table_id as "tableId"
    from varve.seen_ddl order by ordinal`);
}

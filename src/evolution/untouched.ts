/**
 * Whether anything was written since a plan to what it looked at; if not, what it counted is what would be counted now.
 *
 * | what was written | told by |
 * |---|---|
 * | a row that came or changed | its transaction: the plan's snapshot sees that of every row |
 * | a table that was emptied or written anew | the file that it stands in |
 * | a row that was deleted | the server's own count of deleted rows |
 * | all of it, by a restore | the time at which the server started, and the database |
 *
 * The server may tell of a deleted row late, or forget it in a crash; and a snapshot does not name savepoints of what was
 * under way. Nothing hangs on that: the list that a run makes finds a row that became ambiguous, and refuses it as this plan
 * would have.
 */
import type { JsonObject } from '../base/index.ts';
import { tableId, type Relation } from '../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../store/index.ts';
import { heirOf } from './naming.ts';
import type { PlanScope } from './operation/operation.ts';
import { rebuildsOf } from './rebuild/world.ts';

/** What a plan looked at, as it was then. */
export interface Seen extends JsonObject {
  /** The database, and since when its server runs. */
  readonly server: string;
  /** Which transactions had ended: as PostgreSQL writes a snapshot, `oldest:next:under way,...`. */
  readonly snapshot: string;
  /** Of each table that was looked at, its file and how many rows of it were ever deleted. */
  readonly tables: readonly string[];
}

type Looked = Pick<PlanScope, 'transaction' | 'relations' | 'operations' | 'from' | 'to' | 'naming'>;

/** What is looked at by rebuilds, as this snapshot has it. */
export async function seenNow(scope: Looked): Promise<Seen> {
  const [row] = await scope.transaction.query<{ server: string; snapshot: string }>(sql`
    select oid || ' ' || extract(epoch from pg_postmaster_start_time()) as server,
      pg_current_snapshot()::text as snapshot
    from pg_database where datname = current_database()`);
  return {
    server: row?.server ?? '',
    snapshot: row?.snapshot ?? '',
    tables: await statesOf(scope.transaction, lookedAt(scope)),
  };
}

/** See the header. `then` comes from a file that anybody may have edited: it is only ever compared, or cast to a number. */
export async function isUntouched(scope: Looked, then: JsonObject): Promise<boolean> {
  const now = await seenNow(scope);
  const [was, is] = [snapshotOf(then['snapshot']), snapshotOf(now.snapshot)];
  const { tables } = then;
  if (then['server'] !== now.server || was === undefined || is === undefined) return false;
  if (!Array.isArray(tables) || tables.join() !== now.tables.join()) return false;
  // A row has the lower half of its transaction's number: known which one it is while fewer than half of these were given since.
  if (is.next - was.oldest >= HALF || is.next < was.next) return false;
  const unseen = unseenBy(was);
  const looked = lookedAt(scope);
  const ids = looked.map(({ id }) => id);
  const among = sql`t.relation = any(${ids}::integer[])`;
  const parts = [
    ...looked.map(({ placement }): [Sql, Sql] => [tableId(placement), sql`true`]),
    ...PROVENANCE.map((name): [Sql, Sql] => [sql.id('varve', name), among]),
  ];
  for (const [table, where] of parts) {
    const [row] = await scope.transaction.query<{ there: boolean }>(
      sql`select exists (select from ${table} t where ${unseen} and ${where}) as there`,
    );
    if (row?.there !== false) return false;
  }
  return true;
}

interface Snapshot {
  readonly oldest: bigint;
  readonly next: bigint;
  readonly open: readonly bigint[];
}

function snapshotOf(text: unknown): Snapshot | undefined {
  if (typeof text !== 'string' || !/^\d{1,18}:\d{1,18}:(\d{1,18}(,\d{1,18})*)?$/u.test(text))
    return undefined;
  const [oldest = '', next = '', open = ''] = text.split(':');
  return {
    oldest: BigInt(oldest),
    next: BigInt(next),
    open: open === '' ? [] : open.split(',').map((each) => BigInt(each)),
  };
}

const HALF = 2n ** 31n;
const ALL = 2n ** 32n;

/** Whether a snapshot did not see the transaction of a row `t`. Most are older than anything that was under way, and no more is asked. */
function unseenBy({ oldest, next, open }: Snapshot): Sql {
  const number = (value: bigint): Sql => sql`${String(value)}::text::bigint`;
  const since = sql`((t.xmin::text::bigint - ${number(oldest % ALL)} + ${number(ALL)}) % ${number(ALL)})`;
  const open32 = open.map((each) => String(each - oldest));
  return sql`(age(t.xmin) <= age(${String(oldest % ALL)}::text::xid)
    and (${since} >= ${number(next - oldest)} or ${since} = any(${open32}::text[]::bigint[])))`;
}

/** What is recorded of rows. */
const PROVENANCE = ['computation', 'computation_spec', 'recorded_read'] as const;

/** The structures whose rows decide what becomes of rows: those that are built anew, and what they lead to and read. */
function lookedAt({ relations, operations, from, to, naming }: Looked): readonly Relation[] {
  const names = rebuildsOf({ operations }).flatMap(({ table, from: sources }) => {
    const specs = [
      ...from.tables.filter(({ name }) => sources.includes(name)),
      ...to.tables.filter(({ name }) => name === table),
    ];
    return [
      ...sources,
      ...specs.flatMap((spec) => [
        ...spec.foreignKeys.map((key) => key.to),
        ...spec.reads.map((read) => read.table),
        ...(spec.master === undefined ? [] : [spec.master]),
      ]),
    ];
  });
  const wanted = new Set(names);
  return [...relations.values()]
    .filter(({ name }) => wanted.has(name) || wanted.has(heirOf(naming, name) ?? name))
    .toSorted((left, right) => left.id - right.id);
}

async function statesOf(store: Queryable, looked: readonly Relation[]): Promise<readonly string[]> {
  const tables = [
    ...looked.map(({ placement }) => [placement.schema, placement.table]),
    ...PROVENANCE.map((name) => ['varve', name]),
  ];
  const rows = await store.query<{ state: string }>(sql`
    select c.oid || ' ' || coalesce(pg_relation_filenode(c.oid), 0) || ' ' || pg_stat_get_tuples_deleted(c.oid) as state
    from json_to_recordset(${JSON.stringify(tables.map(([schema, table]) => ({ schema, table })))}::json) as w(schema text, "table" text)
    join pg_namespace n on n.nspname = w.schema join pg_class c on c.relnamespace = n.oid and c.relname = w."table"
    order by c.oid`);
  return rows.map(({ state }) => state);
}

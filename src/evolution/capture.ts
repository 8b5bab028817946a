/**
 * Capture: which units of the old tables change while a run builds new ones beside them.
 *
 * Per watched relation, in schema `varve_build`:
 *
 * | object | what it does |
 * |---|---|
 * | table `notes of ID` | one row per change: the unit's columns as the row had them, or the key hash of a computation |
 * | triggers `varve_note ...` on the table | note the unit of each inserted, deleted, old and new row; TRUNCATE notes everything |
 * | triggers `varve_note ID ...` on `varve.computation` | note a computation that is written without its row being touched |
 *
 * A note belongs to the transaction of the change that it tells of: it is seen exactly when the change is, and an
 * aborted one leaves none. That is why notes are *taken*, never read up to a number: numbers are given when a note is
 * written and become visible when its transaction commits, so of two notes the later number can be seen first. Who
 * carries changes over takes the notes it sees and reads the units that they name by a later statement of the same
 * transaction. Each change is then in one of two places: it was committed before the notes were taken, and that later
 * statement sees it; or it was not, and its note is still there for the next time. When the carrying transaction aborts,
 * or its process dies, the notes are back.
 *
 * | moment | what makes it right |
 * |---|---|
 * | begin | triggers are made under a lock that writers cannot share: earlier writers have committed, later ones are noted. Rows are to be copied by snapshots taken after that commit |
 * | catch-up | at read committed: take, then read. A unit noted twice is carried twice, to the same end |
 * | cutover | the table is locked against writers first, then take and read: nothing can be on its way any more |
 *
 * The unit's own columns are noted, not only its hash, so that its rows are found by their index. They are noted as the
 * values they are: their text, and with it the hash, depends on settings of the session that writes. Row triggers,
 * since the process that applies a logical replica's changes fires no others; always on, since that process and whoever
 * sets `session_replication_role` would pass them by. The functions write as their owner, so writers need no right here.
 */
import { keyHash, tableId, type Relation } from '../pipeline/index.ts';
import { executeAll, quoteLiteral, sql, type Queryable, type Sql, type Transaction } from '../store/index.ts';
import { BUILD } from './building.ts';

/** What to watch. */
export interface Watched {
  readonly relation: Relation;
  /** The columns that name one unit: the source key of a computed table and of its parts, else the primary key. */
  readonly unit: readonly string[];
}

/** Notes that were taken. */
export interface TakenNotes {
  /**
   * A table of this transaction, each noted unit once: `"#hash"` (bytea, its key hash) and the unit's columns, all null
   * where only a computation was written and the table has no row of that unit.
   */
  readonly units: Sql;
  /** How many units it has. */
  readonly count: number;
  /** The table was truncated: every unit is to be looked at again, those of `units` or not. */
  readonly all: boolean;
}

/** Triggers whose names begin so are varve's own; they go with the run that made them. */
export const NOTE_PREFIX = 'varve_note';

/**
 * Starts noting changes, and forgets what an earlier run noted of these relations; for a run that has started already it
 * does nothing. Takes SHARE ROW EXCLUSIVE on each table and on `varve.computation`, which waits for their writers and
 * lets readers pass: call it with a short lock timeout, again and again.
 */
export async function startCapture(
  transaction: Transaction,
  watched: readonly Watched[],
  run: string,
): Promise<void> {
  // In one order, so that two of them cannot wait for each other.
  for (const each of watched.toSorted((left, right) => left.relation.id - right.relation.id)) {
    if ((await capturingRun(transaction, each.relation)) !== run) await startOne(transaction, each, run);
  }
}

/**
 * Takes notes of a relation: those that this statement sees; with `limit`, the oldest so many and all others of their
 * transactions, for what one transaction noted belongs together: the hash of a computation is then beside the key of its
 * row. To be called at read committed; what the notes name is to be read by later statements of the same transaction.
 * Taking again in one transaction replaces the table of taken units.
 */
export async function takeNotes(
  transaction: Transaction,
  watched: Watched,
  limit?: number,
): Promise<TakenNotes> {
  const { relation, unit } = watched;
  const notes = notesOf(relation);
  const taken = sql.id('pg_temp', `taken of ${String(relation.id)}`);
  await transaction.execute(sql`drop table if exists ${taken}`);
  await transaction.execute(sql`
    create temporary table ${sql.id(`taken of ${String(relation.id)}`)} on commit drop as
    select "#hash", ${columnsOf(unit)} from ${notes} with no data`);
  const some =
    limit === undefined
      ? sql``
      : sql`where "#by" in (select "#by" from ${notes} order by "#n" limit ${limit})`;
  // Equal keys may differ in their text, as 1.0 and 1.00 do, and then in their hash: units are told apart by hash.
  const [row] = await transaction.query<{ all: boolean; hashes: boolean; count: bigint }>(sql`
    with gone as (delete from ${notes} ${some} returning *),
    kept as (
      insert into ${taken}
      select distinct on (1) coalesce("#hash", ${keyHash(sql`g`, unit)}), ${columnsOf(unit, sql`g`)}
      from gone g where not "#all" order by 1, "#hash" nulls first
      returning ${isNull(unit)} as bare)
    select (select coalesce(bool_or("#all"), false) from gone) as "all",
      coalesce(bool_or(bare), false) as hashes, count(*) as count from kept`);
  if (row?.hashes === true) await findUnits(transaction, watched, taken);
  return { units: taken, count: Number(row?.count ?? 0n), all: row?.all ?? false };
}

/**
 * Whether the unit of `row` has notes that were not taken, as the statement that asks sees them. A row of the old table
 * that differs from what was carried over, and has none, is a fault; one that has was changed, and is carried over next.
 */
export function hasNotes({ relation, unit }: Watched, row: Sql): Sql {
  const same = unit.map((column) => sql`g.${sql.id(column)} = ${row}.${sql.id(column)}`);
  return sql`exists (select from ${notesOf(relation)} g where g."#all" or (${sql.join(same, sql` and `)}))`;
}

/** How many notes of each of these relations are there, in their order, as far as this snapshot sees. */
export async function countNotes(
  store: Queryable,
  relations: readonly Relation[],
): Promise<readonly number[]> {
  const counts = relations.map((relation) => sql`(select count(*) from ${notesOf(relation)})`);
  const [row] = await store.query<{ counts: readonly bigint[] }>(
    sql`select array[${sql.join(counts)}]::bigint[] as counts`,
  );
  return (row?.counts ?? []).map(Number);
}

/** Whether there is any note of these relations, as far as this snapshot sees. */
export async function isAnyNoted(store: Queryable, relations: readonly Relation[]): Promise<boolean> {
  if (relations.length === 0) return false;
  const noted = relations.map((relation) => sql`exists (select from ${notesOf(relation)})`);
  const [row] = await store.query<{ noted: boolean }>(sql`select ${sql.join(noted, sql` or `)} as noted`);
  return row?.noted === true;
}

/**
 * Takes triggers, functions and notes of these relations away, wherever their tables stand by now; those that have none
 * are passed over. Takes ACCESS EXCLUSIVE on each watched table and on `varve.computation`: call it with a short lock
 * timeout, again and again.
 */
export async function stopCapture(transaction: Queryable, relations: readonly Relation[]): Promise<void> {
  const ordered = relations.toSorted((left, right) => left.id - right.id);
  await executeAll(transaction, ordered.flatMap(stopOne));
}

/** The triggers go with their functions: a table that was renamed or moved since keeps them. */
function stopOne(relation: Relation): readonly Sql[] {
  return [
    sql`drop function if exists ${rowFunction(relation)} cascade`,
    sql`drop function if exists ${computationFunction(relation)} cascade`,
    sql`drop table if exists ${notesOf(relation)}`,
  ];
}

/**
 * Has nothing noted any more, without a lock that anybody holds: what is left are triggers that do nothing, for
 * `dropSilenced` to take away when their tables can be had.
 */
export async function silenceCapture(transaction: Queryable, relations: readonly Relation[]): Promise<void> {
  const silenced = relations.flatMap((relation) => [
    ...[rowFunction(relation), computationFunction(relation)].map(
      (name) => sql`create or replace function ${name} returns trigger language plpgsql security definer
        set search_path = pg_catalog, pg_temp as $note$ begin return null; end $note$`,
    ),
    sql`drop table if exists ${notesOf(relation)}`,
  ]);
  await executeAll(transaction, silenced);
}

/** Takes silenced triggers away, whichever run left them. Takes ACCESS EXCLUSIVE on each table that has some. */
export async function dropSilenced(transaction: Queryable): Promise<void> {
  const rows = await transaction.query<{ name: string }>(sql`
    select p.proname::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = ${BUILD} and starts_with(p.proname::text, ${`${NOTE_PREFIX} `})
      and not exists (select from pg_class c where c.relnamespace = n.oid
        and c.relname = 'notes of ' || split_part(p.proname::text, ' ', 2))
    order by 1`);
  await executeAll(
    transaction,
    rows.map(({ name }) => sql`drop function ${sql.id(BUILD, name)}() cascade`),
  );
}

/** The run for which changes of a relation are noted; undefined where none are. */
async function capturingRun(transaction: Queryable, relation: Relation): Promise<string | undefined> {
  const [row] = await transaction.query<{ run: string | null }>(sql`
    select obj_description(c.oid, 'pg_class') as run from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${BUILD} and c.relname = ${notesName(relation)}`);
  return row?.run ?? undefined;
}

/** In one script, since writers of the table wait from its first trigger on. */
async function startOne(transaction: Transaction, watched: Watched, run: string): Promise<void> {
  const { relation, unit } = watched;
  const notes = notesOf(relation);
  await executeAll(transaction, [
    ...stopOne(relation),
    sql`create schema if not exists ${sql.id(BUILD)}`,
    // The columns as the table has them, with type and collation.
    sql`create table ${notes} as select ${columnsOf(unit)} from ${tableId(relation.placement)} with no data`,
    sql`alter table ${notes} add column "#n" bigint generated always as identity primary key,
        add column "#hash" bytea, add column "#all" boolean not null default false,
        add column "#by" xid8 not null default pg_current_xact_id()`,
    sql`comment on table ${notes} is ${sql.raw(quoteLiteral(run))}`,
    ...functionsOf(watched),
    ...triggersOf(watched),
  ]);
}

function functionsOf({ relation, unit }: Watched): readonly Sql[] {
  const notes = notesOf(relation);
  const note = (row: Sql): Sql =>
    sql`insert into ${notes} (${columnsOf(unit)}) values (${columnsOf(unit, row)});`;
  // Byte for byte: keys that are equal but not the same, such as 1.0 and 1.00, have hashes of their own.
  const moved = sql`pg_catalog.record_image_ne(row(${columnsOf(unit, sql`old`)}), row(${columnsOf(unit, sql`new`)}))`;
  return [
    ...functionOf(
      rowFunction(relation),
      sql`
      if tg_op = 'TRUNCATE' then
        insert into ${notes} ("#all") values (true);
        return null;
      end if;
      if tg_op <> 'INSERT' then ${note(sql`old`)} end if;
      if tg_op = 'INSERT' then ${note(sql`new`)} end if;
      if tg_op = 'UPDATE' then
        if ${moved} then ${note(sql`new`)} end if;
      end if;
      return null;`,
    ),
    ...functionOf(
      computationFunction(relation),
      sql`
      if tg_op = 'DELETE' then
        insert into ${notes} ("#hash") values (old.key_hash);
      else
        insert into ${notes} ("#hash") values (new.key_hash);
      end if;
      return null;`,
    ),
  ];
}

function functionOf(name: Sql, body: Sql): readonly Sql[] {
  return [
    sql`create function ${name} returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $note$ begin ${body} end $note$`,
    // Nobody can call it but a trigger; the right is taken all the same, for it is what a look at the catalog finds.
    sql`revoke all on function ${name} from public`,
  ];
}

function triggersOf({ relation }: Watched): readonly Sql[] {
  const table = tableId(relation.placement);
  const computation = sql.id('varve', 'computation');
  const own = sql.raw(String(relation.id));
  const triggers: readonly TriggerOf[] = [
    { on: table, name: 'row', when: sql`after insert or update or delete`, each: sql`for each row` },
    { on: table, name: 'all', when: sql`after truncate`, each: sql`for each statement` },
    {
      on: computation,
      name: 'put',
      when: sql`after insert or update`,
      each: sql`for each row when (new.relation = ${own})`,
    },
    {
      on: computation,
      name: 'gone',
      when: sql`after delete`,
      each: sql`for each row when (old.relation = ${own})`,
    },
  ];
  return triggers.flatMap(({ on, name, when, each }) => {
    const trigger = sql.id(`${NOTE_PREFIX} ${String(relation.id)} ${name}`);
    const call = on === table ? rowFunction(relation) : computationFunction(relation);
    return [
      sql`create trigger ${trigger} ${when} on ${on} ${each} execute function ${call}`,
      sql`alter table ${on} enable always trigger ${trigger}`,
    ];
  });
}

interface TriggerOf {
  readonly on: Sql;
  readonly name: string;
  readonly when: Sql;
  readonly each: Sql;
}

/** Gives units that only a computation tells of their columns, from the rows that have that hash: one walk of the table. */
async function findUnits(transaction: Queryable, { relation, unit }: Watched, taken: Sql): Promise<void> {
  const set = unit.map((column) => sql`${sql.id(column)} = o.${sql.id(column)}`);
  await transaction.execute(sql`
    update ${taken} t set ${sql.join(set)} from ${tableId(relation.placement)} o
    where ${isNull(unit, sql`t`)} and ${keyHash(sql`o`, unit)} = t."#hash"`);
}

/** Columns of a key are never null in a row. */
function isNull(unit: readonly string[], row?: Sql): Sql {
  return sql`row(${columnsOf(unit, row)}) is null`;
}

function columnsOf(unit: readonly string[], row?: Sql): Sql {
  return sql.join(unit.map((column) => (row === undefined ? sql.id(column) : sql`${row}.${sql.id(column)}`)));
}

function notesName(relation: Relation): string {
  return `notes of ${String(relation.id)}`;
}

function notesOf(relation: Relation): Sql {
  return sql.id(BUILD, notesName(relation));
}

function rowFunction(relation: Relation): Sql {
  return sql`${sql.id(BUILD, `${NOTE_PREFIX} ${String(relation.id)}`)}()`;
}

function computationFunction(relation: Relation): Sql {
  return sql`${sql.id(BUILD, `${NOTE_PREFIX} ${String(relation.id)} computation`)}()`;
}

/**
 * The list of a rebuilt table: what becomes of each old row, with what was found for it, kept while a run is under way. The
 * lines are numbered, so that rows are written in bounded ranges; what changes meanwhile is taken out and listed again under
 * new numbers.
 */
import { digestOfValues, keyHash, names, tableId, type Placement } from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql, type Transaction } from '../../store/index.ts';
import type { TakenNotes, Watched } from '../capture.ts';
import { changeSum } from '../row-sum.ts';
import { factsOf } from './facts.ts';
import { computationKey } from './old-rows.ts';
import { classifiedRows } from './rows.ts';
import { foundColumn, foundColumns, newKeyOf, oldKeyColumn } from './values.ts';
import { builtOf, listPlacement, type Rebuilding } from './world.ts';
import { changeLineCounts, type ClassRow } from './line-counts.ts';

/** What a list says of each row, in the order of its columns. */
export async function lines(transaction: Queryable, of: Rebuilding, only?: Sql): Promise<Sql> {
  return classifiedRows(of, await factsOf(transaction, of), only === undefined ? {} : { only });
}

/** Adds numbered lines; `only` is a condition over the old rows `t`. */
async function insertLines(
  transaction: Queryable,
  of: Rebuilding,
  { only, after }: { readonly only: Sql; readonly after: number },
): Promise<void> {
  const place = listPlacement(builtOf(of));
  const added = await transaction.query<ClassRow>(sql`
    with added as (insert into ${tableId(place)} (${sql.join(listColumns(of))}, "#n")
      select z.*, ${after}::bigint + row_number() over () from (${await lines(transaction, of, only)}) z
      returning "#class")
    select "#class" as class, count(*) as rows from added group by 1`);
  await changeLineCounts(transaction, place, { lines: added, by: 'adding' });
}

/** The old key as it stands in a list. */
export function oldKeyColumns(of: Rebuilding): readonly Sql[] {
  return (of.pair.sources[0]?.primaryKey ?? []).map((_, index) => oldKeyColumn(index));
}

/** What a line says: the header of `rows.ts`, in its order. */
export function listColumns(of: Rebuilding): readonly Sql[] {
  const found = foundColumns(of).map((_, index) => foundColumn(index));
  const names = ['#class', '#why', '#spec', '#duration', '#hash'].map((name) => sql.id(name));
  return [...oldKeyColumns(of), ...found, ...names];
}

/** Whether the lines of a list have this column: some only stand there while they are used; see `stage.ts`. */
export async function hasColumn(
  store: Queryable,
  { schema, table }: Placement,
  column: string,
): Promise<boolean> {
  const [row] = await store.query<{ there: boolean }>(sql`
    select exists (select from pg_attribute a join pg_class c on c.oid = a.attrelid
      join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${schema} and c.relname = ${table} and a.attname = ${column} and not a.attisdropped) as there`);
  return row?.there === true;
}

/**
 * How many pages a list had after the first look, and on how many of them so many lines stand; what was listed again since is
 * not looked for by place.
 */
export async function listedPages(
  store: Queryable,
  { schema, table }: Placement,
  lines: number,
): Promise<{ readonly total: number; readonly step: number }> {
  const [row] = await store.query<{ total: bigint; pages: number; lines: number }>(sql`
    select pg_relation_size(c.oid) / current_setting('block_size')::bigint as total, c.relpages as pages, c.reltuples as lines
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = ${table}`);
  const total = Number(row?.total ?? 0n);
  const known = row !== undefined && row.lines > 0 ? Math.floor((lines * row.pages) / row.lines) : total;
  return { total, step: Math.max(1, known) };
}

/** The number of the last line that was listed again. */
export async function lastLine(store: Queryable, of: Rebuilding): Promise<number> {
  const [row] = await store.query<{ n: bigint | null }>(
    sql`select max("#n") as n from ${tableId(listPlacement(builtOf(of)))}`,
  );
  return Number(row?.n ?? 0n);
}

/** What is watched while a table is built: its sources. */
export function watchedOf(of: Rebuilding): readonly Watched[] {
  return of.sources.map((relation, index) => ({
    relation,
    unit: computationKey(of, index) ?? of.pair.sources[index]?.primaryKey ?? [],
  }));
}

/** What this transaction took and listed anew before. */
export interface Earlier {
  readonly before: ReadonlyMap<string, Refreshed>;
  /** By the id of the relation. */
  readonly taken: ReadonlyMap<number, TakenNotes>;
}

/** What was listed anew. */
export interface Refreshed {
  readonly of: Rebuilding;
  /** Lines after this number are new. */
  readonly after: number;
  /** A table of this transaction with the old keys, `o0` and so on, of all that was looked at again. */
  readonly keys: Sql;
}

/** What is to be listed again of a table: what was noted of its sources, and what hangs on rows above of which that is so. */
export async function collectAgain(
  transaction: Transaction,
  of: Rebuilding,
  earlier: Earlier,
): Promise<Refreshed | undefined> {
  const after = await lastLine(transaction, of);
  const name = `again ${String(builtOf(of).id)}`;
  const keys = sql.id('pg_temp', name);
  await transaction.execute(sql`drop table if exists ${keys}`);
  await transaction.execute(sql`create temporary table ${sql.id(name)} on commit drop as
    select ${sql.join(oldKeyColumns(of))} from ${tableId(listPlacement(builtOf(of)))} with no data`);
  if (!(await collectKeys(transaction, of, keys, earlier))) return undefined;
  await transaction.execute(sql`analyze ${keys}`);
  return { of, after, keys };
}

/** Lists again what was taken out, as it is now. */
export async function listAgain(transaction: Queryable, { of, after, keys }: Refreshed): Promise<void> {
  await insertLines(transaction, of, {
    only: sql`(${oldKey(of, 'row')}) in (select ${sql.join(oldKeyColumns(of))} from ${keys})`,
    after,
  });
}

/** The old keys of all that is to be looked at again. */
async function collectKeys(
  transaction: Transaction,
  of: Rebuilding,
  keys: Sql,
  { before, taken: notes }: Earlier,
): Promise<boolean> {
  let anything = false;
  const list = tableId(listPlacement(builtOf(of)));
  const [first] = of.sources;
  if (first === undefined) return false;
  const add = async (condition: Sql, listed: Sql): Promise<void> => {
    anything = true;
    await transaction.execute(sql`insert into ${keys} select ${oldKey(of, 'row')} from ${tableId(first.placement)} t where ${condition}
      union select ${oldKey(of, 'line')} from ${list} l where ${listed}`);
  };
  for (const [index, watched] of watchedOf(of).entries()) {
    const taken = notes.get(watched.relation.id);
    if (taken === undefined) continue;
    // A merge is listed whole again: which rows meet is for the join to say.
    if (taken.all || (index > 0 && taken.count > 0) || (taken.count > 0 && of.sources.length > 1))
      await add(sql`true`, sql`true`);
    else if (taken.count > 0) {
      const unit = names(watched.unit);
      const noted = sql`select ${unit} from ${taken.units} where ${sql.id(watched.unit[0] ?? '')} is not null`;
      await add(
        sql`(${unitOf(of, watched.unit, 'row')}) in (${noted})`,
        sql`(${unitOf(of, watched.unit, 'line')}) in (${noted})`,
      );
      // A computation that went with its rows is known by its hash alone.
      await transaction.execute(sql`insert into ${keys} select ${oldKey(of, 'line')} from ${list} l
        where l."#hash" in (select "#hash" from ${taken.units})`);
    }
  }
  for (const key of of.spec.foreignKeys) {
    const was = of.pair.keys[0]?.[key.name];
    const parent = before.get(key.to);
    if (was === undefined || parent === undefined) continue;
    const places = Object.entries(was.columns).flatMap(([child, column]) => {
      const place = parent.of.pair.sources[0]?.primaryKey.indexOf(column) ?? -1;
      return place < 0 ? [] : [{ child, place }];
    });
    const above = sql`select ${sql.join(places.map(({ place }) => oldKeyColumn(place)))} from ${parent.keys}`;
    await add(
      sql`(${sql.join(places.map(({ child }) => sql`t.${sql.id(child)}`))}) in (${above})`,
      sql`false`,
    );
  }
  return anything;
}

/** The old key of an old row `t`, or of a line `l`. */
function oldKey(of: Rebuilding, where: 'row' | 'line'): Sql {
  const [old] = of.pair.sources;
  return sql.join(
    (old?.primaryKey ?? []).map((column, index) =>
      where === 'row' ? sql`t.${sql.id(column)}` : sql`l.${oldKeyColumn(index)}`,
    ),
  );
}

function unitOf(of: Rebuilding, unit: readonly string[], where: 'row' | 'line'): Sql {
  const [old] = of.pair.sources;
  return sql.join(
    unit.map((column) =>
      where === 'row'
        ? sql`t.${sql.id(column)}`
        : sql`l.${oldKeyColumn(old?.primaryKey.indexOf(column) ?? 0)}`,
    ),
  );
}

/** Takes rows out of the new table, with their computations and lines. */
export async function takeOut(transaction: Queryable, { of, keys }: Refreshed): Promise<void> {
  const next = builtOf(of);
  const list = tableId(listPlacement(next));
  const again = sql`(${oldKey(of, 'line')}) in (select ${sql.join(oldKeyColumns(of))} from ${keys})`;
  const same = sameNewKey(of, 'l');
  await takeOutComputed(transaction, of, { list, again });
  await changeSum(transaction, next, {
    columns: next.spec.columns.map(({ name }) => name),
    rows: sql`select n.* from ${tableId(next.placement)} n where exists (select from ${list} l where ${again} and ${same})`,
    by: 'taking out',
  });
  if (of.spec.form !== undefined) {
    await transaction.execute(sql`delete from varve.computation c using ${list} l
      where c.relation = ${next.id} and ${again} and c.key_hash = ${newHash(of)}`);
  }
  await transaction.execute(
    sql`delete from ${tableId(next.placement)} n using ${list} l where ${again} and ${same}`,
  );
  const gone = await transaction.query<ClassRow>(sql`
    with gone as (delete from ${list} l where ${again} returning l."#class")
    select "#class" as class, count(*) as rows from gone group by 1`);
  await changeLineCounts(transaction, listPlacement(next), { lines: gone, by: 'taking out' });
}

/** Rows that were computed in the place of old ones: all that stand on what of the old key is in the new one. */
async function takeOutComputed(
  transaction: Queryable,
  of: Rebuilding,
  { list, again }: { readonly list: Sql; readonly again: Sql },
): Promise<void> {
  const next = builtOf(of);
  const known = knownKey(of);
  const same = known.map(({ column, place }) => sql`n.${sql.id(column)} = l.${oldKeyColumn(place)}`);
  const computed = sql`select n.* from ${tableId(next.placement)} n
    where exists (select from ${list} l where ${again} and l."#class" = 'recompute' and ${sql.join([...same, sql`true`], sql` and `)})
      and not exists (select from ${list} o where o."#class" in ('keep', 'rekey', 'backfill') and ${sameNewKey(of, 'o')})`;
  if (of.spec.form !== undefined) {
    await transaction.execute(sql`delete from varve.computation c using (${computed}) n
      where c.relation = ${next.id} and c.key_hash = ${keyHash(sql`n`, of.spec.sourceKey)}`);
  }
  const key = sql.join(of.spec.primaryKey.map((column) => sql`n.${sql.id(column)}`));
  await changeSum(transaction, next, {
    columns: next.spec.columns.map(({ name }) => name),
    rows: computed,
    by: 'taking out',
  });
  await transaction.execute(
    sql`delete from ${tableId(next.placement)} n where (${key}) in (select ${names(of.spec.primaryKey)} from (${computed}) w)`,
  );
}

/** That a row `n` of the new table is the one that a line is about. */
export function sameNewKey(of: Rebuilding, line: 'l' | 'o'): Sql {
  const values = newKeyOf(of, sql.raw(line));
  return sql.join(
    of.spec.primaryKey.map((column, index) => sql`n.${sql.id(column)} = ${values[index] ?? sql`null`}`),
    sql` and `,
  );
}

/** The columns of the new source key that stand in the old key. */
export function knownKey(of: Rebuilding): readonly { readonly column: string; readonly place: number }[] {
  const old = of.pair.sources[0]?.primaryKey ?? [];
  return of.spec.sourceKey.flatMap((column) => {
    const source = of.operation.columns[column];
    const place = source?.from === 'same' ? old.indexOf(source.column) : -1;
    return place < 0 ? [] : [{ column, place }];
  });
}

/** The hash of the new source key of a line `l`. */
export function newHash(of: Rebuilding): Sql {
  const byColumn = new Map(
    of.spec.primaryKey.map((column, index) => [column, newKeyOf(of)[index] ?? sql`null`]),
  );
  const values = of.spec.sourceKey.map((column) => ({ column, value: byColumn.get(column) ?? sql`null` }));
  return sql`substr(${digestOfValues(values, of.spec.columns)}, 1, 16)`;
}

/**
 * The list and the computations of a table in one pass. What was recorded of a row is at hand when its class is found, so the
 * new inputs and the digest of the new row are found there too, and staged in the list itself: writing computations is then
 * copying. Otherwise each batch would join the list with rows, computations and reads once more.
 *
 * | column | holds, while it is there |
 * |---|---|
 * | `#inputs`, `#output` | the computation of a carried row, until it is where computations are; without an output there is none |
 * | `#next` | the hash of the new key, where that is not the old one's |
 * | `#kept 0`, ... | values of the row that are copied and not in its old key, where all of them are short |
 *
 * Staged is what belongs to one moment, like the list: lines that are listed again have none of it, and their computations
 * are found by `write.ts`. A table is staged where each of its rows is one computation, computed alike and written whole by
 * varve; of others the computations are found batch by batch. Where all values of a row stand in its line, rows are written from
 * the list as well, and no batch walks the old table.
 */
import { names, readPlan, rowDigest, tableId } from '../../pipeline/index.ts';
import { sql, UNMERGED, type Queryable, type Sql, type Transaction } from '../../store/index.ts';
import { BUILD } from '../building.ts';
import { carryReads } from './carry-reads.ts';
import { computedRelation, variantsOf, type Variant } from './coverage.ts';
import { factsOf } from './facts.ts';
import { hasColumn, lines, listColumns, newHash, oldKeyColumns } from './list.ts';
import { markOf, setMark, type Marked } from './mark.ts';
import { indexList, keyList } from './list-index.ts';
import { classifiedRows, isPlain } from './rows.ts';
import {
  carriedValue,
  columnOf,
  copiedValue,
  foundColumn,
  foundColumns,
  newKeyOf,
  oldKeyColumn,
} from './values.ts';
import type { End } from './open-pages.ts';
import { joinedReads, READ_ROWS } from './recorded-ways.ts';
import { builtOf, listPlacement, type Rebuilding } from './world.ts';
import { inputsOf } from './inputs.ts';
import { CARRIED, inPages, isHashKept, isOutputKept, type Pages } from './write.ts';

/** Lists all rows, unless that was done. The lines of this first look have no number: they are found by where they stand. */
export async function fillList(transaction: Transaction, of: Rebuilding): Promise<void> {
  const place = listPlacement(builtOf(of));
  if ((await markOf(transaction, place)) !== undefined) return;
  const list = tableId(place);
  await transaction.execute(sql`drop table if exists ${list}`);
  // As one statement without an index to keep: the database may use several processes for it.
  await transaction.execute(
    sql`create table ${list} as select z.*, null::bigint as "#n" from (${await stagedLines(transaction, of)}) z`,
  );
  const told = sql.join([...oldKeyColumns(of), sql`"#class"`, sql`"#spec"`, sql`"#hash"`, sql`"#n"`]);
  await transaction.execute(sql`analyze ${list} (${told})`);
  if (await isStaged(transaction, of)) {
    for (const end of ['front', 'back'] as const) {
      const { schema, table } = stagedMark(of, end);
      await transaction.execute(sql`create sequence ${sql.id(schema, table)} owned by ${list}."#output"`);
    }
  } else {
    await indexList(transaction, of);
    await keyList(transaction, of);
  }
  await setMark(transaction, place, 'listed');
}

/**
 * What tells how many of the staged computations are written: while they are, the list gets its indexes, which comments on it
 * would wait for. It goes with what is staged.
 */
export function stagedMark(of: Rebuilding, end: End): Marked {
  const table = `${end === 'front' ? '' : 'last '}computations of ${String(builtOf(of).id)}`;
  return { schema: BUILD, table, kind: 'sequence' };
}

/** Those of these tables of which computations are found and not written yet. */
export async function stagedTables(
  store: Queryable,
  tables: readonly Rebuilding[],
): Promise<readonly Rebuilding[]> {
  const named = tables.map((of) => ({ of, name: stagedMark(of, 'front').table }));
  const rows = await store.query<{ name: string }>(sql`
    select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'S' and n.nspname = ${BUILD} and c.relname = any(${named.map(({ name }) => name)}::text[])`);
  const there = new Set(rows.map(({ name }) => name));
  return named.filter(({ name }) => there.has(name)).map(({ of }) => of);
}

/** What the list says, with what is staged in it. */
async function stagedLines(transaction: Transaction, of: Rebuilding): Promise<Sql> {
  const variant = await onlyVariant(transaction, of);
  return variant === undefined ? lines(transaction, of) : stagedRows(transaction, of, variant);
}

/** Whether computations are found and not written yet. */
export function isStaged(store: Queryable, of: Rebuilding): Promise<boolean> {
  return hasColumn(store, listPlacement(builtOf(of)), '#output');
}

/** How all computations of a table were recorded, where they can be staged. */
async function onlyVariant(transaction: Queryable, of: Rebuilding): Promise<Variant | undefined> {
  const { spec, pair, operation } = of;
  const [old] = pair.sources;
  const isWhole =
    spec.form !== undefined &&
    old?.form !== undefined &&
    of.sources.length === 1 &&
    spec.primaryKey.length === spec.sourceKey.length &&
    Object.keys(spec.parts).length === 0 &&
    isPlain(of) &&
    spec.columns.every(
      ({ name }) => carriedValue(of, name) !== undefined && operation.columns[name]?.from !== 'cast',
    );
  if (!isWhole) return undefined;
  const [variant, another] = await variantsOf(transaction, of);
  return another === undefined ? variant : undefined;
}

async function stagedRows(transaction: Queryable, of: Rebuilding, variant: Variant): Promise<Sql> {
  const copied = of.spec.columns.flatMap(({ name }) => {
    const source = of.operation.columns[name];
    const value =
      foundColumns(of).includes(name) || source === undefined ? undefined : copiedValue(of, name, source);
    return value === undefined ? [] : [{ name, value }];
  });
  const reads = joinedReads(of);
  const readColumn = (what: string, table: string): Sql =>
    sql.id(`#${what} ${String(reads.findIndex((each) => each.table === table))}`);
  const more = [
    sql`c.inputs as "#was"`,
    sql`c.output as "#gave"`,
    ...copied.map(({ value }, index) => sql`${value} as ${copiedColumn(index)}`),
    ...reads.flatMap(({ table, r, key }) => [
      sql`${r}.${READ_ROWS} as ${readColumn('rows', table)}`,
      ...['columns', 'digest'].map((what) => sql`${r}.${sql.id(what)} as ${readColumn(what, table)}`),
      ...key.map((column, place) => sql`${column} as ${readColumn(`key ${String(place)}`, table)}`),
    ]),
  ];
  const inputs = await inputsOf(transaction, of, variant, {
    inputs: sql`l."#was"`,
    readOf: (table) => {
      const read = reads.find((each) => each.table === table);
      if (read === undefined) return undefined;
      return {
        rows: sql`l.${readColumn('rows', table)}`,
        columns: sql`l.${readColumn('columns', table)}`,
        digest: sql`l.${readColumn('digest', table)}`,
        key: read.key.map((_, place) => sql`l.${readColumn(`key ${String(place)}`, table)}`),
      };
    },
  });
  const plan = inputs.needsPresent
    ? readPlan({ ...of.spec, reads: variant.recorded }, of.world.next, sql`n`)
    : undefined;
  const row = of.spec.columns.map(({ name }) => {
    const place = copied.findIndex((each) => each.name === name);
    const value = place < 0 ? carriedValue(of, name) : sql`l.${copiedColumn(place)}`;
    const type = sql.raw(columnOf(of.spec, name)?.type ?? 'text');
    return sql`(${value ?? sql`null`})::${type} as ${sql.id(name)}`;
  });
  const columns = of.spec.columns.map(({ name }) => name);
  const output = isOutputKept(of)
    ? sql`l."#gave"`
    : sql`sha256(${rowDigest(sql`n`, columns, of.spec.columns)})`;
  // Said once: lines without an output have no computation, whatever else was found for them.
  const isMeant = sql`${CARRIED} and l."#spec" is not null`;
  // Or what decides over a row would be asked once more for each column that hangs on it.
  const listed = listColumns(of).map((column) => sql`l.${column}`);
  const kept = (keptColumns(of) ?? []).map((name, index) => {
    const place = copied.findIndex((each) => each.name === name);
    return sql`l.${copiedColumn(place)} as ${keptColumn(index)},`;
  });
  return sql`select ${sql.join(listed)}, ${sql.join(kept, sql` `)} ${isHashKept(of) ? sql`` : sql`${newHash(of)} as "#next",`}
      ${inputs.value(plan?.digests ?? [])} as "#inputs", case when ${isMeant} then ${output} end as "#output"
    from (${classifiedRows(of, await factsOf(transaction, of), { more })} ${UNMERGED}) l
    cross join lateral (select ${sql.join(row)}) n ${inputs.joins} ${plan?.joins ?? sql``}`;
}

function copiedColumn(index: number): Sql {
  return sql.id(`#copied ${String(index)}`);
}

/** Types whose values are short, and may be written twice. */
const SHORT = new Set([
  'boolean',
  'smallint',
  'integer',
  'bigint',
  'real',
  'double precision',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'uuid',
]);
const KEPT_COLUMNS = 8;

/** The columns whose values are kept in the list until rows are written; undefined where that would be too much. */
export function keptColumns(of: Rebuilding): readonly string[] | undefined {
  const kept = of.spec.columns.filter(({ name }) => listedValue(of, name) === undefined);
  const isShort = kept.length <= KEPT_COLUMNS && kept.every(({ type }) => SHORT.has(type));
  return isShort ? kept.map(({ name }) => name) : undefined;
}

function keptColumn(index: number): Sql {
  return sql.id(`#kept ${String(index)}`);
}

/** The value of a new column that every list holds: one that was found, or that is in the old key. */
function listedValue(of: Rebuilding, column: string): Sql | undefined {
  const place = foundColumns(of).indexOf(column);
  if (place >= 0) return sql`l.${foundColumn(place)}`;
  const source = of.operation.columns[column];
  const index = source?.from === 'same' ? (of.pair.sources[0]?.primaryKey.indexOf(source.column) ?? -1) : -1;
  return index < 0 ? undefined : sql`l.${oldKeyColumn(index)}`;
}

/** Writes the rows of these pages by what the list holds of them, in the order of their old keys. */
export async function writeStagedRows(transaction: Queryable, of: Rebuilding, pages: Pages): Promise<void> {
  const next = builtOf(of);
  const kept = keptColumns(of) ?? [];
  const values = of.spec.columns.map(
    ({ name }) => listedValue(of, name) ?? sql`l.${keptColumn(kept.indexOf(name))}`,
  );
  await transaction.execute(sql`
    insert into ${tableId(next.placement)} (${names(of.spec.columns.map(({ name }) => name))})
    select ${sql.join(values)} from ${tableId(listPlacement(next))} l
    where ${CARRIED} and l."#n" is null and ${inPages(pages)} order by ${sql.join(oldKeyColumns(of))}`);
}

/** Writes the staged computations of these pages. */
export async function writeStaged(transaction: Queryable, of: Rebuilding, pages: Pages): Promise<void> {
  const next = builtOf(of);
  const hash = isHashKept(of) ? sql`l."#hash"` : sql`l."#next"`;
  await transaction.execute(sql`
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select ${next.id}::integer, a.id, l."#duration", ${hash}, l."#inputs", l."#output"
    from ${tableId(listPlacement(next))} l
    join varve.computation_spec a on a.relation = ${next.id} and a.origin = 'attributed'
      and (a.attribution ->> 'spec')::integer = l."#spec"
    where ${inPages(pages)} and l."#output" is not null
    order by ${hash}`);
  const relation = computedRelation(of, 0);
  if (relation === undefined) return;
  await carryReads(transaction, of, {
    relation,
    hash,
    lines: sql`${inPages(pages)} and l."#output" is not null`,
  });
}

/** The source keys of all lines that are carried, with their hashes as `#hash`; hashing them all once more is slow. */
export async function hashedLines(store: Queryable, of: Rebuilding): Promise<Sql> {
  const place = listPlacement(builtOf(of));
  const values = newKeyOf(of);
  const key = of.spec.sourceKey.map(
    (column) => sql`${values[of.spec.primaryKey.indexOf(column)] ?? sql`null`} as ${sql.id(column)}`,
  );
  const hash = isHashKept(of)
    ? sql`l."#hash"`
    : (await hasColumn(store, place, '#next'))
      ? sql`coalesce(l."#next", ${newHash(of)})`
      : newHash(of);
  const distinct = of.spec.sourceKey.length === of.spec.primaryKey.length ? sql`` : sql`distinct`;
  return sql`select ${distinct} ${sql.join(key)}, ${hash} as "#hash" from ${tableId(place)} l where ${CARRIED}`;
}

/** What was staged is written. */
export async function dropStaged(transaction: Queryable, of: Rebuilding): Promise<void> {
  const columns = [sql`"#inputs"`, sql`"#output"`, ...(keptColumns(of) ?? []).map((_, at) => keptColumn(at))];
  const drops = columns.map((column) => sql`drop column ${column}`);
  await transaction.execute(sql`alter table ${tableId(listPlacement(builtOf(of)))} ${sql.join(drops)}`);
}

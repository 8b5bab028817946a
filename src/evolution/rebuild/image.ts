/** What the rows of a new table are in the old shape. */
import { refusal, type Finding } from '../../base/index.ts';

import { uniqueSetsOf } from '../hand-made/hand-made.ts';
import { regclass } from '../regclass.ts';
import {
  keyHash,
  names,
  relationOf,
  tableId,
  type Relation,
  type Relations,
  type TableSpec,
} from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';

import type { Rebuild, RunScope } from '../operation/operation.ts';

import { masterColumns, placeOfOldKey } from './old-rows.ts';
import { castBack } from './cast-back.ts';
import { newKeyOf, oldKeyColumn, ruleOf, typeOf } from './values.ts';
import { rebuilding, rebuildsOf, type Rebuilding } from './world.ts';

/** What a way back works on: the structure that stands, and those that stood. */
export interface Back {
  readonly of: Rebuilding;
  readonly next: Relation;
  readonly olds: readonly Relation[];
  /** The map from old to new rows, where their keys differ. */
  readonly map: Sql | undefined;
}

export interface Into {
  readonly index: number;
  readonly old: Relation;
  readonly live: Relations;
  readonly scope: RunScope;
}

/** Columns of an alias, with commas. */
export function list(columns: readonly string[], alias: string): Sql {
  return sql.join(columns.map((column) => sql`${sql.raw(alias)}.${sql.id(column)}`));
}

/**
 * The images, with `#own`: whether the evolution itself put the row there as it stands, so that the old row stands for it,
 * `#known`: whether an old row is known for it, `#unfit`:
 * the old column whose type cannot hold its value, and `#key`: the key of the new row.
 */
export function imageRows(back: Back, into: Into): Sql {
  const { of, next, map } = back;
  const { old, scope } = into;
  const others = rebuildsOf(scope).filter(
    ({ from, table }) => from.includes(old.name) && table !== of.operation.table,
  );
  const key = oldKeyOf(back, into);
  const columns = old.spec.columns.map(
    (column) => sql`${imageValue(back, into, column.name, others)} as ${sql.id(column.name)}`,
  );
  const lines = newKeyOf(of).map(
    (value, index) => sql`${value} = n.${sql.id(of.spec.primaryKey[index] ?? '')}`,
  );
  const mapped =
    map === undefined
      ? sql``
      : sql`left join ${map} l on l."#class" in ('keep', 'rekey', 'backfill') and ${sql.join(lines, sql` and `)}`;
  const same = old.spec.primaryKey.map(
    (column, index) => sql`o.${sql.id(column)} = ${key[index] ?? sql`null`}`,
  );
  const newKey = of.spec.primaryKey.map((column) => sql`${column}::text, n.${sql.id(column)}`);
  const joins = others.map((other, index) => otherRows(back, into, other, index));
  const present = of.operation.from.length > 1 ? sql`where ${belongs(back, into)}` : sql``;
  return sql`select ${sql.join(columns)}, o.${sql.id(old.spec.primaryKey[0] ?? '')} is not null as "#known", ${ownTest(back)} as "#own",
      ${unfit(back, into, others)} as "#unfit", jsonb_build_object(${sql.join(newKey)}) as "#key"
    from ${tableId(next.placement)} n ${mapped} left join ${tableId(old.placement)} o on ${sql.join(same, sql` and `)}
    ${sql.join(joins, sql` `)} ${present}`;
}

/** Of a merge, a row that came from the other table alone has no image here, unless it is new. */
function belongs({ map }: Back, { old }: Into): Sql {
  if (map === undefined) return sql`true`;
  const [first = ''] = old.spec.primaryKey;
  return sql`(l."#class" is null or o.${sql.id(first)} is not null)`;
}

/** The old key of a new row: of the row that it came from, or by the columns that are the same. */
function oldKeyOf({ of, map }: Back, { index, old }: Pick<Into, 'index' | 'old'>): readonly Sql[] {
  return old.spec.primaryKey.map((column) => {
    const own = ownValue(of, index, column);
    const place = placeOfOldKey(of, old.name, column);
    if (map === undefined || place === undefined) return own ?? sql`null`;
    return own === undefined
      ? sql`l.${oldKeyColumn(place)}`
      : sql`coalesce(l.${oldKeyColumn(place)}, ${own})`;
  });
}

/** A new row's value of an old column, in its old type; undefined where the new shape has no such column. */
export function ownValue(
  of: Rebuilding,
  index: number,
  column: string,
  alias: Sql = sql`n`,
): Sql | undefined {
  const found = Object.entries(of.pair.columns[index] ?? {}).find(([, was]) => was === column)?.[0];
  if (found === undefined) return undefined;
  const [was, now] = [typeOf(of.pair.sources[index] ?? of.spec, column), typeOf(of.spec, found)];
  const value = sql`${alias}.${sql.id(found)}`;
  return was === now ? value : castBack(value, now, was);
}

/** What of a new row the old types cannot hold, as a condition for each old column that has another type now. */
function unfit(back: Back, into: Into, others: readonly Rebuild[]): Sql {
  const { of } = back;
  const lost = Object.entries(of.pair.columns[into.index] ?? {}).flatMap(([now, was]) => {
    const source = of.pair.sources[into.index] ?? of.spec;
    if (typeOf(source, was) === typeOf(of.spec, now)) return [];
    return [
      sql`when n.${sql.id(now)} is not null and (${imageValue(back, into, was, others)}) is null then ${was}::text`,
    ];
  });
  return lost.length === 0 ? sql`null::text` : sql`case ${sql.join(lost, sql` `)} end`;
}

function imageValue(back: Back, into: Into, column: string, others: readonly Rebuild[]): Sql {
  const { of } = back;
  const { index, old } = into;
  const place = old.spec.primaryKey.indexOf(column);
  if (place >= 0) return oldKeyOf(back, into)[place] ?? sql`null`;
  const own = ownValue(of, index, column);
  if (own !== undefined) return index === 0 ? asItWas(of, column, own) : own;
  for (const [at, other] of others.entries()) {
    const sibling = rebuilding(other, of.world);
    const value = ownValue(sibling, other.from.indexOf(old.name), column, sql.raw(`s${String(at)}`));
    if (value !== undefined) return value;
  }
  const spec = old.spec.columns.find(({ name }) => name === column);
  const fallback = spec?.default === undefined ? sql`null` : sql.raw(literal(spec.default, spec.type));
  return sql`case when o.${sql.id(old.spec.primaryKey[0] ?? '')} is null then ${fallback} else o.${sql.id(column)} end`;
}

/** Where a rule gave another value and nobody wrote it since, the one that it stood in for. */
function asItWas(of: Rebuilding, column: string, own: Sql): Sql {
  const { pair, spec, world } = of;
  const now = Object.entries(pair.columns[0] ?? {}).find(([, was]) => was === column)?.[0] ?? column;
  const rule = ruleOf(world.attribution, spec.name, now);
  if (rule === undefined) return own;
  const row = sql.join((pair.sources[0]?.columns ?? []).map(({ name }) => sql`o.${sql.id(name)}`));
  const ruled = sql`(select (${sql.raw(rule)})::${sql.raw(typeOf(spec, now))} from (select ${row}) old)`;
  const old = sql`o.${sql.id(column)}`;
  const known = sql`o.${sql.id(pair.sources[0]?.primaryKey[0] ?? '')} is not null`;
  return sql`case when ${own} is not distinct from ${old} then ${old}
    when ${known} and n.${sql.id(now)} is not distinct from ${ruled} then ${old} else ${own} end`;
}

function literal(value: unknown, type: string): string {
  const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
  return `'${text.replaceAll("'", "''")}'::${type}`;
}

function otherRows(back: Back, { old }: Into, other: Rebuild, index: number): Sql {
  const { of } = back;
  const alias = sql.raw(`s${String(index)}`);
  const sibling = rebuilding(other, of.world);
  const relation = relationOf(of.world.next, other.table);
  const at = other.from.indexOf(old.name);
  const same = old.spec.primaryKey.flatMap((column, place) => {
    const value = ownValue(sibling, at, column, alias);
    const key = oldKeyOf(back, { index: of.operation.from.indexOf(old.name), old })[place];
    return value === undefined || key === undefined ? [] : [sql`${value} = ${key}`];
  });
  return sql`left join ${tableId(relation.placement)} ${alias} on ${same.length === 0 ? sql`false` : sql.join(same, sql` and `)}`;
}

/** Whether the evolution put the row there and nobody wrote it since: then the old row, if any, stands for it. */
function ownTest(back: Back): Sql {
  const unit = unitOf(back);
  if (unit !== undefined) return isOwn(unit, keyHash(sql`n`, unit.columns));
  const { contents, columns } = back.of.spec;
  return contents === undefined ? sql`false` : asInCode(contents, columns);
}

/** Rows of a lookup as the code says them: on the way back it says them itself, as they were. */
function asInCode(contents: NonNullable<TableSpec['contents']>, columns: TableSpec['columns']): Sql {
  const types = columns.map(({ name, type }) => sql`${sql.id(name)} ${sql.raw(type)}`);
  const same = columns.map(
    ({ name }) => sql`k.${sql.id(name)}::text is not distinct from n.${sql.id(name)}::text`,
  );
  return sql`exists (select from json_to_recordset(${JSON.stringify(contents)}::json) as k(${sql.join(types)})
    where ${sql.join(same, sql` and `)})`;
}

/** The computation that a row of the new structure belongs to: its own, or that of its master's row. */
interface Unit {
  readonly relation: Relation;
  /** Columns of the row by which it is found. */
  readonly columns: readonly string[];
}

function unitOf({ of, next }: Back): Unit | undefined {
  const { spec, world } = of;
  if (spec.form !== undefined) return { relation: next, columns: spec.sourceKey };
  const master = spec.master === undefined ? undefined : world.next.get(spec.master);
  if (master?.spec.form === undefined) return undefined;
  const columns = masterColumns(
    spec,
    [...world.next.values()].map((relation) => relation.spec),
  );
  return { relation: master, columns: master.spec.sourceKey.map((column) => columns[column] ?? column) };
}

function isOwn({ relation }: Unit, hash: Sql): Sql {
  return sql`exists (select from varve.computation c join varve.computation_spec s on s.id = c.spec join varve.run r on r.id = s.run
    where c.relation = ${relation.id} and c.key_hash = ${hash}
      and (s.origin = 'attributed' or s.origin = 'computed' and r.kind = 'evolution'))`;
}

/** Old keys whose row is no more: somebody deleted it since. What the evolution computed without it is not meant. */
export function goneKeys(back: Back, { index, old }: Into, image: Sql): Sql {
  const { of, next, map } = back;
  const key = list(old.spec.primaryKey, 'o');
  const unit = unitOf(back);
  if (map === undefined) {
    const columns = (unit?.columns ?? []).map((column) => of.pair.columns[index]?.[column] ?? column);
    const own = unit === undefined ? sql`false` : isOwn(unit, keyHash(sql`o`, columns));
    return sql`select ${key} from ${tableId(old.placement)} o
      where (${key}) not in (select ${names(old.spec.primaryKey)} from ${image}) and not ${own}`;
  }
  const lines = old.spec.primaryKey.map((column) => {
    const place = placeOfOldKey(of, old.name, column);
    return place === undefined ? sql`null` : sql`l.${oldKeyColumn(place)}`;
  });
  const same = newKeyOf(of).map(
    (value, index) => sql`${value} = n.${sql.id(of.spec.primaryKey[index] ?? '')}`,
  );
  return sql`select ${sql.join(lines)} from ${map} l where l."#class" in ('keep', 'rekey', 'backfill')
    and not exists (select from ${tableId(next.placement)} n where ${sql.join(same, sql` and `)})`;
}

/** Images that the old shape cannot hold. Rows that the evolution computed are not asked: the old ones stand for them. */
export async function unrepresentable(
  transaction: Queryable,
  old: Relation,
  image: Sql,
): Promise<readonly Finding[]> {
  const key = names(old.spec.primaryKey);
  await transaction.execute(sql`delete from ${image} i where i."#own" and not i."#known"`);
  const empty = old.spec.columns
    .filter(({ nullable }) => !nullable)
    .map(({ name }) => sql`i.${sql.id(name)} is null`);
  const pairs = old.spec.primaryKey.map((column) => sql`${column}::text, i.${sql.id(column)}`);
  const whole = old.spec.primaryKey.map((column) => sql`i.${sql.id(column)} is not null`);
  const whens = [
    sql`when not i."#own" and i."#unfit" is not null then 'against the old type: ' || i."#unfit"`,
    ...(empty.length === 0
      ? []
      : [sql`when not i."#own" and (${sql.join(empty, sql` or `)}) then 'no value'`]),
    sql`when not i."#own" and i."#same" > 1 then 'another row on its key'`,
    ...(await conditions(transaction, old)),
  ];
  const rows = await transaction.query<{ key: string; why: string }>(sql`
    select distinct key, why from (
      select (case when ${sql.join(whole, sql` and `)} then jsonb_build_object(${sql.join(pairs)}) else i."#key" end)::text as key,
        case ${sql.join(whens, sql` `)} end as why
      from (select i.*, count(*) over (partition by ${key}) as "#same" from ${image} i) i
      union all ${twins(old, image)}) f
    where why is not null order by 1 limit 1000`);
  if (rows.length === 0) {
    // Of several images on one key that the evolution made itself, the old row stands for all.
    await transaction.execute(sql`delete from ${image} i using ${image} j where i."#own" and i.ctid > j.ctid
      and row(${list(old.spec.primaryKey, 'i')}) = row(${list(old.spec.primaryKey, 'j')})`);
    return [];
  }
  return [
    cannotHold(
      old.name,
      rows.map(({ key: each, why }) => ({ key: each, why })),
    ),
  ];
}

/** The refusal that lists rows. */
export function cannotHold(
  table: string,
  rows: readonly { readonly key: string; readonly why: string }[],
): Finding {
  return refusal('rows_unrepresentable', table, {
    detail: { rows: rows.length, keys: rows.slice(0, 20) },
    hint: 'These rows were written since and the old shape cannot hold them. Delete them with `varve delete`, which keeps them in history, or give them values that it can hold, and roll back then.',
  });
}

/** The checks of the old structure, those that people added included. */
async function conditions(transaction: Queryable, { placement }: Relation): Promise<readonly Sql[]> {
  const checks = await transaction.query<{ name: string; condition: string }>(sql`
    select conname::text as name, pg_get_expr(conbin, conrelid) as condition from pg_constraint
    where contype = 'c' and conrelid = ${regclass(placement)}::regclass order by 1`);
  return checks.map(
    ({ name, condition }) =>
      sql`when not i."#own" and (${sql.raw(condition)}) is false then 'against the old check: ' || ${name}::text`,
  );
}

/** Rows with values of which the old structure may have one: as the table would be with what was written since. */
function twins({ spec, placement }: Relation, image: Sql): Sql {
  const columns = spec.columns.map(({ name }) => name);
  const same = spec.primaryKey.map((column) => sql`o.${sql.id(column)} = i.${sql.id(column)}`);
  const rows = sql`select ${list(columns, 'i')}, false as "#own" from ${image} i where not i."#own"
    union all select ${list(columns, 'o')}, true from ${tableId(placement)} o
      where exists (select from ${image} i where i."#own" and ${sql.join(same, sql` and `)})`;
  const pairs = spec.primaryKey.map((column) => sql`${column}::text, r.${sql.id(column)}`);
  const sets = uniqueSetsOf(spec).slice(1);
  const counted = sets.map((names_, index) => {
    const some = sql.join(
      names_.map((column) => sql`r.${sql.id(column)} is not null`),
      sql` and `,
    );
    return sql`, case when ${some} then count(*) over (partition by ${list(names_, 'r')}) end as ${sql.id(`#${String(index)}`)}`;
  });
  const whens = sets.map(
    (names_, index) =>
      sql`when r.${sql.id(`#${String(index)}`)} > 1 then ${`another row with the same: ${names_.join(', ')}`}::text`,
  );
  if (whens.length === 0) return sql`select null::text, null::text where false`;
  return sql`select jsonb_build_object(${sql.join(pairs)})::text, case ${sql.join(whens, sql` `)} end
    from (select r.*${sql.join(counted, sql``)} from (${rows}) r) r where not r."#own"`;
}

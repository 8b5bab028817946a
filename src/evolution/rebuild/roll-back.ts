/**
 * The way back from a committed cutover, and the taking away of one that never came.
 *
 * Every row of the new table has an image in the old shape: the columns that were carried, back in their old type, and for
 * those that the new shape does not have, the values of the old row that it came from. What people wrote since, and what
 * workers computed, is carried back in that image; rows that the evolution itself computed are not, for the old row is the
 * one that stood. An image that the old shape cannot hold, two on one key or an empty column that may not be, is a refusal
 * that lists it: nothing is dropped to make it fit.
 */
import { refusal, type Finding } from '../../base/index.ts';
import type { NewWrites } from '../../migration/index.ts';
import {
  archive,
  keyHash,
  loadRelations,
  names,
  relationOf,
  tableId,
  type Placement,
  type Relation,
  type Relations,
} from '../../pipeline/index.ts';
import { sql, type Queryable, type Sql, type Transaction } from '../../store/index.ts';
import { buildingRelation, HISTORY } from '../building.ts';
import { forgetSum } from '../row-sum.ts';
import { dropCopies, forgetRelation } from '../copy.ts';
import { dropReadViews } from '../dependents.ts';
import { dropIncoming, incomingKeys, pointAt } from '../foreign-keys.ts';
import type { Rebuild, RunScope } from '../operation/operation.ts';
import { homeOf } from '../home.ts';
import { restoreOwnKeys } from '../own-keys.ts';
import { computedSince } from '../new-writes.ts';
import { move, retire } from '../retire.ts';
import { addForeignKeys } from './complete.ts';
import { placeOfOldKey } from './old-rows.ts';
import { castTo, newKeyOf, oldKeyColumn, typeOf } from './values.ts';
import { listPlacement, rebuilding, rebuildsOf, type Rebuilding, type RebuildWorld } from './world.ts';

/** What a way back works on: the structure that stands, and those that stood. */
interface Back {
  readonly of: Rebuilding;
  readonly next: Relation;
  readonly olds: readonly Relation[];
  /** The map from old to new rows, where their keys differ. */
  readonly map: Sql | undefined;
}

/** Carries rows written since back to the old structures, in history where they stand. */
export async function carryBack(
  operation: Rebuild,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  if (operation.from.length === 0) return [];
  const back = await backOf(operation, scope, transaction);
  if (back === undefined) return [missing(operation)];
  const live = await loadRelations(transaction);
  await transaction.execute(sql`lock table ${tableId(back.next.placement)} in access exclusive mode`);
  const findings: Finding[] = [];
  for (const [index, old] of back.olds.entries()) {
    // Of a split, the table that has the whole key brings the rows back, with the columns of the others.
    if (!isFirstOf(scope, operation, old.name)) continue;
    findings.push(...(await carryInto(transaction, back, { index, old, live, scope })));
  }
  return findings;
}

function missing({ table }: Rebuild): Finding {
  return refusal('structure_missing', table, {
    hint: 'The old structure was let go: there is nothing to go back to.',
  });
}

function isFirstOf(scope: RunScope, { table }: Rebuild, old: string): boolean {
  return rebuildsOf(scope).find(({ from }) => from.includes(old))?.table === table;
}

async function backOf(
  operation: Rebuild,
  scope: RunScope,
  transaction: Transaction,
): Promise<Back | undefined> {
  const live = await loadRelations(transaction);
  const next = relationOf(live, operation.table);
  const rows = await transaction.query<{
    id: number;
    name: string;
    spec: Relation['spec'];
    schema: string;
    table: string;
    map: string | null;
  }>(sql`
    select r.id, r.name, r.spec, r.physical_schema as schema, r.physical_name as "table", s.map
    from varve.relation_source s join varve.relation r on r.id = s.source
    where s.relation = ${next.id} and r.state = 'retired'`);
  const olds = operation.from.flatMap((name) => {
    const row = rows.find((each) => each.name === name);
    if (row === undefined) return [];
    const { id, spec, schema, table } = row;
    return [{ id, name, spec, state: 'retired' as const, placement: { schema, table } }];
  });
  if (olds.length < operation.from.length) return undefined;
  const map = rows.find((row) => row.map !== null)?.map;
  const world = {
    ...scope,
    codeByTable: scope.world.codeByTable,
    old: new Map(olds.map((old) => [old.name, old])),
    next: live,
    listOf: () => sql`null`,
  } satisfies RebuildWorld;
  return {
    of: rebuilding(operation, world),
    next,
    olds,
    map: map === null || map === undefined ? undefined : sql.id(HISTORY, map),
  };
}

interface Into {
  readonly index: number;
  readonly old: Relation;
  readonly live: Relations;
  readonly scope: RunScope;
}

async function carryInto(transaction: Transaction, back: Back, into: Into): Promise<readonly Finding[]> {
  const { old, scope } = into;
  const image = sql.id('pg_temp', `image of ${String(old.id)}`);
  await transaction.execute(sql`drop table if exists ${image}`);
  await transaction.execute(
    sql`create temporary table ${sql.id(`image of ${String(old.id)}`)} on commit drop as ${imageRows(back, into)}`,
  );
  const findings = await unrepresentable(transaction, old, image);
  if (findings.length > 0) return findings;
  const columns = old.spec.columns.map(({ name }) => name);
  const same = old.spec.primaryKey.map((column) => sql`i.${sql.id(column)} = o.${sql.id(column)}`);
  const id = tableId(old.placement);
  const isMade = old.spec.form !== undefined;
  // In a computed table what was computed since counts; what people changed there counts as well.
  const written = sql`select i.* from ${image} i left join ${id} o on ${sql.join(same, sql` and `)}
    where not i."#own" and row(${list(columns, 'i')}) is distinct from row(${list(columns, 'o')})`;
  const gone = goneKeys(back, into, image);
  const relations = withOld(into.live, old);
  const unit = isMade
    ? old.spec.sourceKey
    : old.spec.sourceKey.length > 0
      ? old.spec.sourceKey
      : old.spec.primaryKey;
  if (old.spec.master === undefined) {
    const target = { relation: { ...old, spec: { ...old.spec, sourceKey: unit } }, relations };
    const overwritten = sql`select distinct ${list(unit, 'o')} from ${id} o where (${list(old.spec.primaryKey, 'o')}) in (select ${names(old.spec.primaryKey)} from (${written}) w)`;
    await archive(transaction, target, overwritten, 'recomputed', scope.context.runId);
    const removed = sql`select distinct ${list(unit, 'o')} from ${id} o where (${list(old.spec.primaryKey, 'o')}) in (${gone})`;
    await archive(transaction, target, removed, 'deleted', scope.context.runId);
  }
  const carried = await transaction.query<{ n: bigint }>(sql`
    with w as (${written}), g as (delete from ${id} o where (${list(old.spec.primaryKey, 'o')}) in (${gone}) returning 1),
    p as (insert into ${id} (${names(columns)}) select ${list(columns, 'w')} from w
      on conflict (${names(old.spec.primaryKey)}) do ${updateOf(old)} returning 1)
    select (select count(*) from g) + (select count(*) from p) as n`);
  scope.carried.set(old.name, (scope.carried.get(old.name) ?? 0) + Number(carried[0]?.n ?? 0n));
  if (isMade && back.of.spec.form !== undefined) await carryComputations(transaction, back, into, image);
  return [];
}

function withOld(live: Relations, old: Relation): Relations {
  const parts = Object.values(old.spec.parts).flatMap((name) => {
    const relation = live.get(name);
    return relation === undefined ? [] : [[name, relation] as const];
  });
  return new Map([...live, ...parts, [old.name, old]]);
}

function list(columns: readonly string[], alias: string): Sql {
  return sql.join(columns.map((column) => sql`${sql.raw(alias)}.${sql.id(column)}`));
}

function updateOf({ spec }: Relation): Sql {
  const rest = spec.columns.map(({ name }) => name).filter((name) => !spec.primaryKey.includes(name));
  if (rest.length === 0) return sql`nothing`;
  return sql`update set ${sql.join(rest.map((column) => sql`${sql.id(column)} = excluded.${sql.id(column)}`))}`;
}

/**
 * The images, with `#own`: whether the evolution itself put the row there as it stands, so that the old row stands for it,
 * and `#known`: whether an old row is known for it.
 */
function imageRows(back: Back, into: Into): Sql {
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
  const joins = others.map((other, index) => otherRows(back, into, other, index));
  const present = of.operation.from.length > 1 ? sql`where ${belongs(back, into)}` : sql``;
  return sql`select ${sql.join(columns)}, o.${sql.id(old.spec.primaryKey[0] ?? '')} is not null as "#known", ${ownTest(back)} as "#own"
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
function ownValue(of: Rebuilding, index: number, column: string, alias: Sql = sql`n`): Sql | undefined {
  const found = Object.entries(of.pair.columns[index] ?? {}).find(([, was]) => was === column)?.[0];
  if (found === undefined) return undefined;
  const [was, now] = [typeOf(of.pair.sources[index] ?? of.spec, column), typeOf(of.spec, found)];
  const value = sql`${alias}.${sql.id(found)}`;
  return was === now ? value : castTo(value, now, was);
}

function imageValue(back: Back, into: Into, column: string, others: readonly Rebuild[]): Sql {
  const { of } = back;
  const { index, old } = into;
  const place = old.spec.primaryKey.indexOf(column);
  if (place >= 0) return oldKeyOf(back, into)[place] ?? sql`null`;
  const own = ownValue(of, index, column);
  if (own !== undefined) return own;
  for (const [at, other] of others.entries()) {
    const sibling = rebuilding(other, of.world);
    const value = ownValue(sibling, other.from.indexOf(old.name), column, sql.raw(`s${String(at)}`));
    if (value !== undefined) return value;
  }
  const spec = old.spec.columns.find(({ name }) => name === column);
  const fallback = spec?.default === undefined ? sql`null` : sql.raw(literal(spec.default, spec.type));
  return sql`case when o.${sql.id(old.spec.primaryKey[0] ?? '')} is null then ${fallback} else o.${sql.id(column)} end`;
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
function ownTest({ of, next }: Back): Sql {
  if (of.spec.form === undefined) return sql`false`;
  return sql`exists (select from varve.computation c join varve.computation_spec s on s.id = c.spec join varve.run r on r.id = s.run
    where c.relation = ${next.id} and c.key_hash = ${keyHash(sql`n`, of.spec.sourceKey)}
      and (s.origin = 'attributed' or s.origin = 'computed' and r.kind = 'evolution'))`;
}

/** Old keys whose row is no more: somebody deleted it since. */
function goneKeys({ of, next, map }: Back, { old }: Into, image: Sql): Sql {
  const key = list(old.spec.primaryKey, 'o');
  if (map === undefined) {
    return sql`select ${key} from ${tableId(old.placement)} o where (${key}) not in (select ${names(old.spec.primaryKey)} from ${image})`;
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
async function unrepresentable(
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
  const rows = await transaction.query<{ key: string; why: string }>(sql`
    select distinct jsonb_build_object(${sql.join(pairs)})::text as key,
      case when ${sql.join([...empty, sql`false`], sql` or `)} then 'no value' else 'another row on its key' end as why
    from (select i.*, count(*) over (partition by ${key}) as "#same" from ${image} i) i
    where ${sql.join([...empty, sql`i."#same" > 1 and not i."#own"`], sql` or `)} order by 1 limit 1000`);
  if (rows.length === 0) {
    // Of several images on one key that the evolution made itself, the old row stands for all.
    await transaction.execute(sql`delete from ${image} i using ${image} j where i."#own" and i.ctid > j.ctid
      and row(${list(old.spec.primaryKey, 'i')}) = row(${list(old.spec.primaryKey, 'j')})`);
    return [];
  }
  return [
    refusal('rows_unrepresentable', old.name, {
      detail: {
        rows: rows.length,
        keys: rows.slice(0, 20).map(({ key: each, why }) => ({ key: each, why })),
      },
      hint: 'These rows were written since and the old shape cannot hold them. Delete them with `varve delete`, which keeps them in history, and roll back then.',
    }),
  ];
}

/** What workers computed since is theirs in the old structure too, with the reads that led them. */
async function carryComputations(
  transaction: Transaction,
  { of, next }: Back,
  { old }: Into,
  image: Sql,
): Promise<void> {
  const since = sql`select c.*, s.run, s.code, s.reads, s.enforcement from varve.computation c join varve.computation_spec s on s.id = c.spec
    join varve.run r on r.id = s.run where c.relation = ${next.id} and s.origin = 'computed' and r.kind <> 'evolution'`;
  await transaction.execute(sql`
    insert into varve.computation_spec (run, relation, code, reads, enforcement, origin, attribution)
    select distinct w.run, ${old.id}::integer, w.code, w.reads, w.enforcement, 'computed', jsonb_build_object('spec', w.spec)
    from (${since}) w where not exists (select from varve.computation_spec a
      where a.relation = ${old.id} and a.origin = 'computed' and (a.attribution ->> 'spec')::integer = w.spec)`);
  const units = sql`select distinct ${keyHash(sql`n`, of.spec.sourceKey)} as new_hash, ${keyHash(sql`i`, old.spec.sourceKey)} as old_hash
    from ${tableId(next.placement)} n join ${image} i on ${sameUnit(of, old)} where not i."#own"`;
  await transaction.execute(sql`
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select distinct on (u.old_hash) ${old.id}::integer, a.id, w.duration_us, u.old_hash, w.inputs, w.output
    from (${since}) w join (${units}) u on u.new_hash = w.key_hash
    join varve.computation_spec a on a.relation = ${old.id} and (a.attribution ->> 'spec')::integer = w.spec
    order by u.old_hash
    on conflict (relation, key_hash) do update set spec = excluded.spec, duration_us = excluded.duration_us,
      inputs = excluded.inputs, output = excluded.output`);
  await keepReads(transaction, of, old, { next, since, units });
}

function sameUnit(of: Rebuilding, old: Relation): Sql {
  const same = old.spec.sourceKey.flatMap((column) => {
    const value = ownValue(of, of.operation.from.indexOf(old.name), column);
    return value === undefined ? [] : [sql`${value} = i.${sql.id(column)}`];
  });
  return same.length === 0 ? sql`false` : sql.join(same, sql` and `);
}

/**
 * The new structure knows which row each of these results read: it is written down as a recorded read, so that the old
 * structure knows it too and the way forward need not ask again.
 */
async function keepReads(
  transaction: Transaction,
  of: Rebuilding,
  old: Relation,
  { next, since, units }: { readonly next: Relation; readonly since: Sql; readonly units: Sql },
): Promise<void> {
  const keys = of.spec.foreignKeys.filter(({ columns, name }) =>
    Object.keys(columns).some((column) => {
      const source = of.operation.columns[column];
      return source?.from === 'recorded' && source.reference === name;
    }),
  );
  for (const [ordinal, key] of keys.entries()) {
    const place = next.spec.reads.findIndex(
      ({ table, cardinality }) => table === key.to && cardinality !== 'many',
    );
    const read = next.spec.reads[place];
    if (read === undefined || (key.kind === 'secondary' && key.fills === undefined)) continue;
    const [first = ''] = Object.keys(key.columns);
    const found = sql`n.${sql.id(first)} is not null`;
    const pairs = Object.entries(key.columns).map(
      ([child, parent]) => sql`${parent}::text, n.${sql.id(child)}`,
    );
    await transaction.execute(sql`
      insert into varve.recorded_read
        (relation, key_hash, spec, ordinal, subject, declared, columns, keys, row_count, digest)
      select ${old.id}::integer, u.old_hash, a.id, ${ordinal}::smallint, ${key.to}, true, ${read.columns}::text[],
        case when ${found} then jsonb_build_array(jsonb_build_object(${sql.join(pairs)})) else '[]'::jsonb end,
        case when ${found} then 1 else 0 end,
        case when ${found} then sha256(substr(w.inputs, ${1 + 32 * place}, 32)) else sha256(''::bytea) end
      from (${since}) w join (${units}) u on u.new_hash = w.key_hash
      join varve.computation_spec a on a.relation = ${old.id} and (a.attribution ->> 'spec')::integer = w.spec
      join ${tableId(next.placement)} n on ${keyHash(sql`n`, next.spec.sourceKey)} = w.key_hash
      on conflict do nothing`);
  }
}

/** The new structure goes to history, children before parents. */
export async function leaveBack(
  operation: Rebuild,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const next = relationOf(await loadRelations(transaction), operation.table);
  const incoming = await incomingKeys(transaction, next.placement);
  await dropReadViews(transaction, next.placement);
  await dropIncoming(transaction, incoming);
  scope.incoming.set(operation.table, incoming);
  await retire(transaction, next, scope.context.runId);
  return [];
}

/** The old structures take their names again. */
export async function enterBack(
  operation: Rebuild,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const rows = await transaction.query<{
    id: number;
    name: string;
    spec: Relation['spec'];
    schema: string;
    table: string;
  }>(sql`
    select r.id, r.name, r.spec, r.physical_schema as schema, r.physical_name as "table"
    from varve.relation n join varve.relation_source s on s.relation = n.id join varve.relation r on r.id = s.source
    where n.name = ${operation.table} and n.until_run = ${scope.context.runId} and r.state = 'retired'`);
  for (const { id, name, schema, table } of rows) {
    const placement = await homeOf(transaction, name);
    await transaction.execute(sql`create schema if not exists ${sql.id(placement.schema)}`);
    await move(transaction, { schema, table }, placement);
    await transaction.execute(sql`
      update varve.relation set state = 'live', physical_schema = ${placement.schema}, physical_name = ${placement.table},
        until_run = null, until_at = null where id = ${id}`);
  }
  return [];
}

/** Foreign keys as they were: those of the old structures, and those of others that led to them. */
export async function joinBack(
  operation: Rebuild,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const live = await loadRelations(transaction);
  for (const name of operation.from) {
    const relation = live.get(name);
    if (relation === undefined || !isFirstOf(scope, operation, name)) continue;
    const spec = scope.from.tables.find((each) => each.name === name) ?? relation.spec;
    // The uniqueness that some of them ask for went along to history and is there again.
    const foreignKeys = spec.foreignKeys.map((key) => ({ ...key, unique: false }));
    if (!(await restoreOwnKeys(transaction, relation)))
      await addForeignKeys(transaction, { ...spec, foreignKeys }, relation.placement, live);
    const own = new Set(scope.from.tables.map((spec) => spec.name));
    const outside = (scope.incoming.get(operation.table) ?? []).filter(({ schema, table }) => {
      const child = nameAt(live, { schema, table });
      // A table that goes back as well brings its own foreign keys.
      return !rebuildsOf(scope).some((each) => each.from.includes(child) && own.has(child));
    });
    const of = rebuilding(operation, {
      ...scope,
      codeByTable: scope.world.codeByTable,
      old: live,
      next: live,
      listOf: () => sql`null`,
    });
    const index = operation.from.indexOf(name);
    await pointAt(
      transaction,
      outside.map((key) => ({
        ...key,
        referenced: key.referenced.map((column) => of.pair.columns[index]?.[column] ?? column),
      })),
      relation.placement,
    );
  }
  return [];
}

/** What definitions call the table that stands there. */
function nameAt(relations: Relations, { schema, table }: Placement): string {
  const found = [...relations.values()].find(
    ({ placement }) => placement.schema === schema && placement.table === table,
  );
  return found?.name ?? `${schema}.${table}`;
}

/** Rows that others wrote since the forward run was opened: carried over by it then, or carried back now. */
export async function newWrites(
  operation: Rebuild,
  { context, carried }: RunScope,
  transaction: Transaction,
): Promise<readonly NewWrites[]> {
  const since = context.forward?.runId ?? context.runId;
  const names_ = [...new Set([...operation.from, operation.table])];
  const computed = await computedSince(transaction, names_, { since, until: context.runId });
  const own = names_.flatMap((table) => {
    const rows = Math.max(carried.get(table) ?? 0, computed.find((each) => each.table === table)?.rows ?? 0);
    return rows === 0 ? [] : [{ table, rows }];
  });
  return own;
}

/** Takes away what a run built and copied, however far it came. */
export async function undo(
  operation: Rebuild,
  { context }: RunScope,
  transaction: Transaction,
): Promise<void> {
  await dropCopies(transaction, context.runId);
  const next = await buildingRelation(transaction, operation.table, context.runId);
  if (next === undefined) return;
  // Made in one transaction with the relation: where that is, they are.
  await dropReadViews(transaction, next.placement);
  await transaction.execute(sql`drop table if exists ${tableId(listPlacement(next))}`);
  await transaction.execute(sql`drop table ${tableId(next.placement)} cascade`);
  await forgetSum(transaction, next);
  await transaction.execute(sql`delete from varve.relation_source where relation = ${next.id}`);
  await forgetRelation(transaction, next.id);
}

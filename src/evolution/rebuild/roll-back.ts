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
  loadRelations,
  names,
  relationOf,
  tableId,
  type Placement,
  type Relation,
  type Relations,
} from '../../pipeline/index.ts';
import { isStoreError, sql, type Queryable, type Sql, type Transaction } from '../../store/index.ts';
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
import { listPlacement, rebuilding, rebuildsOf, type RebuildWorld } from './world.ts';

import { prepareCastBack } from './cast-back.ts';
import { carryComputations } from './carry-computations.ts';
import { cannotHold, goneKeys, imageRows, list, unrepresentable, type Back, type Into } from './image.ts';

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
  const rows = await transaction.query<RetiredRow & { map: string | null }>(sql`
    select r.id, r.name, r.spec, r.physical_schema as schema, r.physical_name as "table", s.map
    from varve.relation_source s join varve.relation r on r.id = s.source
    where s.relation = ${next.id} and r.state = 'retired'`);
  const olds = operation.from.flatMap((name) => {
    const row = rows.find((each) => each.name === name);
    return row === undefined ? [] : [retiredRelation(row)];
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

async function carryInto(transaction: Transaction, back: Back, into: Into): Promise<readonly Finding[]> {
  const { old, scope } = into;
  const image = sql.id('pg_temp', `image of ${String(old.id)}`);
  await prepareCastBack(transaction);
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
  const relations = await withOld(transaction, into);
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

/** With the old structure and its parts under their names: they left together with it. */
async function withOld(transaction: Queryable, { old, live, scope }: Into): Promise<Relations> {
  const run = scope.context.forward?.runId ?? scope.context.runId;
  const rows = await transaction.query<RetiredRow>(sql`
    select id, name, spec, physical_schema as schema, physical_name as "table" from varve.relation
    where name = any(${Object.values(old.spec.parts)}::text[]) and state = 'retired' and until_run = ${run}`);
  const parts = rows.map((row): [string, Relation] => [row.name, retiredRelation(row)]);
  return new Map([...live, ...parts, [old.name, old]]);
}

interface RetiredRow extends Record<string, unknown> {
  readonly id: number;
  readonly name: string;
  readonly spec: Relation['spec'];
  readonly schema: string;
  readonly table: string;
}

function retiredRelation({ id, name, spec, schema, table }: RetiredRow): Relation {
  return { id, name, spec, state: 'retired', placement: { schema, table } };
}

function updateOf({ spec }: Relation): Sql {
  const rest = spec.columns.map(({ name }) => name).filter((name) => !spec.primaryKey.includes(name));
  if (rest.length === 0) return sql`nothing`;
  return sql`update set ${sql.join(rest.map((column) => sql`${sql.id(column)} = excluded.${sql.id(column)}`))}`;
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
    if (relation === undefined) continue;
    if (isFirstOf(scope, operation, name)) {
      const spec = scope.from.tables.find((each) => each.name === name) ?? relation.spec;
      // The uniqueness that some of them ask for went along to history and is there again.
      const foreignKeys = spec.foreignKeys.map((key) => ({ ...key, unique: false }));
      const orphans = await orphansOf(transaction, relation, async () => {
        if (!(await restoreOwnKeys(transaction, relation)))
          await addForeignKeys(transaction, { ...spec, foreignKeys }, relation.placement, live);
      });
      if (orphans.length > 0) return orphans;
    }
    // Of a split, each table may have been led to.
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

/** Rows that a foreign key of the old structure keeps out, where the work that makes it fails over them. */
async function orphansOf(
  transaction: Transaction,
  { id, name, spec, placement }: Relation,
  work: () => Promise<void>,
): Promise<readonly Finding[]> {
  try {
    await transaction.savepoint(work);
    return [];
  } catch (error) {
    if (!isStoreError(error, '23503')) throw error;
    const [key] = await transaction.query<{ name: string; definition: string }>(sql`
      select name, definition from varve.dropped_key where relation = ${id} and name = ${error.fields.constraint ?? ''}`);
    const found = /^FOREIGN KEY \((?<own>.*?)\) REFERENCES (?<to>.*?)\((?<theirs>[^()]*)\)/u.exec(
      key?.definition ?? '',
    );
    const parts = found?.groups;
    if (parts === undefined) throw error;
    const { own = '', to = '', theirs = '' } = parts;
    const pairs = spec.primaryKey.map((column) => sql`${column}::text, o.${sql.id(column)}`);
    const rows = await transaction.query<{ key: string }>(sql`
      select jsonb_build_object(${sql.join(pairs)})::text as key from ${tableId(placement)} o
      where row(${sql.raw(own)}) is not null
        and not exists (select from ${sql.raw(to)} p where row(${sql.raw(prefixed(own, 'o'))}) = row(${sql.raw(prefixed(theirs, 'p'))}))
      order by 1 limit 1000`);
    const why = `no row that it leads to: ${key?.name ?? ''}`;
    return [
      cannotHold(
        name,
        rows.map((each) => ({ ...each, why })),
      ),
    ];
  }
}

/** Quoted names with commas, as the database wrote them, of an alias. */
function prefixed(columns: string, alias: string): string {
  const each = columns.match(/"(?:[^"]|"")*"|[^\s,"]+/gu) ?? [];
  return each.map((column) => `${alias}.${column}`).join(', ');
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

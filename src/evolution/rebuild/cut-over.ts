/** The part of the deciding transaction in which new structures take the place of old ones. */
import { refusal, type Finding } from '../../base/index.ts';
import type { TableCounts } from '../../evidence/index.ts';
import { tableId, type Placement, type Relation, type Relations } from '../../pipeline/index.ts';
import {
  executeAll,
  isStoreError,
  quoteLiteral,
  sql,
  type Queryable,
  type Sql,
  type Transaction,
} from '../../store/index.ts';
import type { RunContext } from '../../migration/index.ts';
import { BUILD, buildingRelation, HISTORY } from '../building.ts';
import { forgetSum } from '../row-sum.ts';
import { shortly } from './shortly.ts';
import { dropSilenced, silenceCapture } from '../capture.ts';
import { countRows } from '../count-rows.ts';
import { copyGrants, dependents, dropReadViews } from '../dependents.ts';
import { nameObjects, namesOf } from '../hand-made/carry.ts';
import { commentsByHand, writeCommentsByHand } from '../hand-made/settings.ts';
import { dropIncoming, incomingKeys, pointAt, type IncomingKey } from '../foreign-keys.ts';
import { asPlanned, counts, type Rebuild, type RunScope } from '../operation/operation.ts';
import { homeOf } from '../home.ts';
import { dropOwnKeys } from '../own-keys.ts';
import { move, retire } from '../retire.ts';
import { lineCounts } from './line-counts.ts';
import { placeOfOldKey } from './old-rows.ts';
import { changesKey, oldKeyColumn } from './values.ts';
import { SEVERAL } from './inserted-ways.ts';
import {
  builtOf,
  listPlacement,
  rebuilding,
  rebuildsOf,
  runWorld,
  type Rebuilding,
  type RebuildWorld,
} from './world.ts';

/** Old structures go to history, children before parents: their foreign keys go with them. */
export async function leave(
  operation: Rebuild,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const of = rebuilding(operation, { ...(await runWorld(transaction, scope)), old: scope.held });
  const next = builtOf(of);
  const late = await letGoTogether(of.world, scope, transaction);
  if (late.length > 0) return late;
  for (const source of of.sources) {
    // Of the tables that it is split into the first one: rows below it have left by then.
    if (!isFirstHeir(of, source) || !(await isLive(transaction, source))) continue;
    const hanging = await dependents(transaction, source);
    if (hanging.length > 0) return hanging;
    const columns = of.pair.columns[operation.from.indexOf(source.name)] ?? {};
    const incoming = await incomingKeys(transaction, source.placement);
    const lost = incoming.filter(({ referenced }) =>
      referenced.some((column) => !Object.values(columns).includes(column)),
    );
    const stranger = lost.find(({ schema, table }) => !isOwn(scope, { schema, table }));
    if (stranger !== undefined) return [outsider(operation, `${stranger.schema}.${stranger.table}`)];
    const inUse = await usedRows(transaction, of, { source, next, incoming, scope });
    if (inUse.length > 0) return inUse;
    await copyGrants(transaction, source.placement, next.placement);
    await dropReadViews(transaction, source.placement);
    await dropIncoming(transaction, incoming);
    // A table that is built anew itself brings its own foreign keys, wherever it stands in the order.
    const staying = incoming.filter(
      ({ schema, table }) => !rebuildsOf(scope).some(({ from }) => from.includes(`${schema}.${table}`)),
    );
    scope.incoming.set(operation.table, [
      ...(scope.incoming.get(operation.table) ?? []),
      ...staying.map((key) => ({
        ...key,
        referenced: key.referenced.map((column) => newName(columns, column)),
      })),
    ]);
    await retire(transaction, source, scope.context.runId);
  }
  return [];
}

/**
 * Once, before the first table leaves: what people put on each of them, and their foreign keys, which may lead against the
 * order of the definitions.
 */
async function letGoTogether(
  world: RebuildWorld,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  if (scope.byHand.size > 0) return [];
  const all = rebuildsOf(scope).map((operation) => rebuilding(operation, world));
  for (const of of all) {
    const { names, findings } = await namesOf(transaction, of, builtOf(of));
    if (findings.length > 0) return findings;
    scope.byHand.set(of.operation.table, { names, comments: await commentsByHand(transaction, of) });
  }
  for (const source of new Set(all.flatMap(({ sources }) => sources))) {
    await dropOwnKeys(transaction, source);
  }
  return [];
}

/** Rows that go while tables that stay where they are lead to them. */
async function usedRows(
  transaction: Transaction,
  of: Rebuilding,
  given: {
    readonly source: Relation;
    readonly next: Relation;
    readonly incoming: readonly IncomingKey[];
    readonly scope: RunScope;
  },
): Promise<readonly Finding[]> {
  const { source, next, incoming, scope } = given;
  const list = tableId(listPlacement(next));
  for (const { schema, table, columns, referenced } of incoming) {
    if (rebuildsOf(scope).some(({ from }) => from.includes(`${schema}.${table}`))) continue;
    const same = referenced.flatMap((column, index) => {
      const place = placeOfOldKey(of, source.name, column);
      return place === undefined ? [] : [sql`l.${oldKeyColumn(place)} = x.${sql.id(columns[index] ?? '')}`];
    });
    if (same.length < columns.length) continue;
    const [row] = await transaction.query<{ there: boolean }>(sql`
      select exists (select from ${list} l join ${sql.id(schema, table)} x on ${sql.join(same, sql` and `)}
        where l."#class" = 'retire') as there`);
    if (row?.there !== true) continue;
    return [
      refusal('row_in_use', of.operation.table, {
        detail: { usedBy: `${schema}.${table}` },
        hint: 'Rows that would go are led to. Keep them, or first delete what leads to them with `varve delete`.',
      }),
    ];
  }
  return [];
}

function isFirstHeir({ operation, world }: Rebuilding, source: Relation): boolean {
  const first = rebuildsOf(world).find(({ from }) => from.includes(source.name));
  return first?.table === operation.table;
}

function newName(columns: Readonly<Record<string, string>>, column: string): string {
  return Object.entries(columns).find(([, was]) => was === column)?.[0] ?? column;
}

function isOwn({ from, held }: RunScope, { schema, table }: Placement): boolean {
  const own = [...held.values()].find(
    ({ placement }) => placement.schema === schema && placement.table === table,
  );
  return from.tables.some(({ name }) => name === own?.name);
}

function outsider({ table }: Rebuild, name: string): Finding {
  return refusal('dependents_in_the_way', table, {
    detail: { kind: 'foreign key', name },
    hint: `Drop the foreign key of ${name}: its columns lead to a key that is no more.`,
  });
}

async function isLive(transaction: Queryable, { id }: Relation): Promise<boolean> {
  const [row] = await transaction.query<{ live: boolean }>(
    sql`select state = 'live' as live from varve.relation where id = ${id}`,
  );
  return row?.live === true;
}

/** The new structure takes its name. */
export async function enter(
  operation: Rebuild,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const { context } = scope;
  const next = await buildingRelation(transaction, operation.table, context.runId);
  if (next === undefined)
    return [refusal('run_fenced', operation.table, { hint: 'Look at `varve status`.' })];
  const placement = await homeOf(transaction, next.name);
  await executeAll(transaction, [
    sql`create schema if not exists ${sql.id(placement.schema)}`,
    sql`comment on column ${tableId(next.placement)}.${sql.id(next.spec.primaryKey[0] ?? '')} is null`,
    ...commentsOf(next),
  ]);
  await move(transaction, next.placement, placement);
  const byHand = scope.byHand.get(operation.table);
  if (byHand !== undefined) {
    await writeCommentsByHand(transaction, placement, byHand.comments);
    await nameObjects(transaction, placement, byHand.names);
  }
  await transaction.execute(sql`
    update varve.relation set state = 'live', physical_schema = ${placement.schema}, physical_name = ${placement.table},
      since_at = now() where id = ${next.id}`);
  await pointAt(transaction, scope.incoming.get(operation.table) ?? [], placement);
  return [];
}

/** What progress was told by while it was built makes room for what the definition says. */
function commentsOf({ spec, placement }: Relation): readonly Sql[] {
  const id = tableId(placement);
  const text = (comment: string | undefined): Sql =>
    sql.raw(comment === undefined ? 'null' : quoteLiteral(comment));
  const [first] = spec.primaryKey;
  const column = spec.columns.find(({ name }) => name === first);
  return [
    sql`comment on table ${id} is ${text(spec.comment)}`,
    ...(column === undefined
      ? []
      : [sql`comment on column ${id}.${sql.id(column.name)} is ${text(column.comment)}`]),
  ];
}

/** What stands after the way there, by class; a list that says more than the new keys do stays, as a map, in history. */
export async function observe(
  operation: Rebuild,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly TableCounts[]> {
  const { context, held } = scope;
  const next = held.get(operation.table);
  if (context.direction === 'rollback') return observeBack(operation, scope, transaction);
  if (next === undefined || operation.from.length === 0) return [counts(operation.table)];
  const planned = context.tables.find(({ table }) => table === operation.table) ?? counts(operation.table);
  const place = listPlacement(next);
  const lines = await lineCounts(transaction, place);
  const count = (name: string): number => lines.get(name) ?? 0;
  const found = {
    keep: count('keep'),
    rekey: count('rekey'),
    backfill: count('backfill'),
    recompute: count('recompute'),
    retire: count('retire'),
  };
  return [asPlanned(planned, counts(operation.table, { ...found, ambiguous: count('ambiguous') }))];
}

/** Rows that were computed anew since a table that is new turned out to have several rows for them: no plan could know. */
export async function turnedOut(
  { table, from }: Rebuild,
  { context, held }: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const next = held.get(table);
  if (next === undefined || from.length === 0) return [];
  const planned = context.tables.find((each) => each.table === table)?.recompute ?? 0;
  const [row] = await transaction.query<{ rows: bigint; several: bigint }>(sql`
    select count(*) as rows, count(*) filter (where starts_with("#why", ${SEVERAL})) as several
    from ${tableId(listPlacement(next))} where "#class" = 'recompute'`);
  const rows = Math.min(Number(row?.rows ?? 0n) - planned, Number(row?.several ?? 0n));
  if (rows <= 0) return [];
  const finding = refusal('rows_recomputed', table, {
    detail: { rows },
    hint: 'Nothing is to be done: a new table has several rows for each of these, and they were computed anew for each of them. What they were is in history.',
  });
  return [{ ...finding, severity: 'warning' }];
}

/** Lists and notes go, or to history where the way back needs them. */
export async function settleLists(scope: RunScope, transaction: Transaction, old: Relations): Promise<void> {
  const world = { ...(await runWorld(transaction, scope)), old };
  for (const operation of rebuildsOf(scope)) {
    const next = scope.held.get(operation.table);
    if (next === undefined || operation.from.length === 0) continue;
    const of = rebuilding(operation, world);
    const place = listPlacement(next);
    if (!changesKey(of) && !(await holdsRetired(transaction, place))) {
      await transaction.execute(sql`drop table ${tableId(place)}`);
      continue;
    }
    const map = `map of ${String(next.id)}`;
    await executeAll(transaction, [
      sql`alter table ${tableId(place)} set schema ${sql.id(HISTORY)}`,
      sql`alter table ${sql.id(HISTORY, place.table)} rename to ${sql.id(map)}`,
      sql`comment on table ${sql.id(HISTORY, map)} is null`,
      sql`comment on column ${sql.id(HISTORY, map)}."#class" is null`,
    ]);
    await transaction.execute(sql`update varve.relation_source set map = ${map} where relation = ${next.id}`);
  }
}

/** Whether rows went to history: without the map, the way back would take them for rows that people deleted since. */
async function holdsRetired(transaction: Queryable, place: Placement): Promise<boolean> {
  const [row] = await transaction.query<{ there: boolean }>(
    sql`select exists (select from ${tableId(place)} where "#class" = 'retire') as there`,
  );
  return row?.there === true;
}

/** Takes away what told of changes, and of sums, once nobody waits: of a run that was decided either way. */
export async function tidy(context: RunContext): Promise<void> {
  await shortly(context, async (transaction) => {
    const noted = await transaction.query<RelationRow>(sql`
      select r.id, r.name, r.spec, r.physical_schema as schema, r.physical_name as "table", r.state
      from varve.relation r join pg_class c on c.relname = 'notes of ' || r.id
      join pg_namespace n on n.oid = c.relnamespace and n.nspname = ${BUILD}
      where obj_description(c.oid, 'pg_class') = ${context.runId}`);
    await silenceCapture(transaction, noted.map(toRelation));
    const summed = await transaction.query<RelationRow>(sql`
      select r.id, r.name, r.spec, r.physical_schema as schema, r.physical_name as "table", r.state
      from varve.relation r where r.since_run = ${context.runId}`);
    for (const row of summed) await forgetSum(transaction, toRelation(row));
  });
  try {
    await shortly(context, dropSilenced, { tries: 20 });
  } catch (error) {
    // Somebody reads the table for long: the triggers do nothing, and the next run takes them away.
    if (!isStoreError(error, '55P03', '40P01')) throw error;
  }
}

interface RelationRow extends Record<string, unknown> {
  readonly id: number;
  readonly name: string;
  readonly spec: Relation['spec'];
  readonly schema: string;
  readonly table: string;
  readonly state: Relation['state'];
}

function toRelation({ id, name, spec, schema, table, state }: RelationRow): Relation {
  return { id, name, spec, state, placement: { schema, table } };
}

async function observeBack(
  { table, from }: Rebuild,
  { context, held }: RunScope,
  transaction: Transaction,
): Promise<readonly TableCounts[]> {
  if (from.length === 0) {
    const planned = context.tables.find((each) => each.table === table);
    return [counts(table, { retire: planned?.retire ?? 0 })];
  }
  let rows = 0;
  for (const name of from) {
    const relation = held.get(name);
    if (relation === undefined) continue;
    rows += await countRows(transaction, relation.placement);
    rows += await removedBy(transaction, relation, context.runId);
  }
  const keep = context.tables.find((each) => each.table === table)?.keep ?? 0;
  return [counts(table, { keep: Math.min(rows, keep), carried: Math.max(0, rows - keep) })];
}

/** Rows that the way back took out, since somebody had deleted them; they are in history. */
async function removedBy(transaction: Queryable, { id }: Relation, run: string): Promise<number> {
  const [row] = await transaction.query<{ rows: bigint }>(sql`
    select count(*) as rows from varve.superseded where relation = ${id} and superseded_by = ${run} and reason = 'deleted'`);
  return Number(row?.rows ?? 0n);
}

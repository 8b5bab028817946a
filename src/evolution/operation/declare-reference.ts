/**
 * A recorded undeclared read becomes a secondary foreign key: the rows keep their values and get the key of the row that
 * they are known to have read.
 *
 * The new table is built beside the old one, in schema `varve_build`, next to a list of what each row's class and values
 * are. Both carry the id of the new relation in their names, so that a run that was killed finds them again.
 */
import { isStoreError, sql, type Queryable, type Sql, type Transaction } from '../../store/index.ts';
import { refusal, VarveError, type Finding } from '../../base/index.ts';
import type { TableCounts } from '../../evidence/index.ts';
import type { NewWrites } from '../../migration/index.ts';
import {
  createIndexes,
  createTable,
  defaultPlacement,
  ensureCode,
  insertRelation,
  loadRelations,
  names,
  outputOf,
  populate,
  readsText,
  referencesDdl,
  relationOf,
  tableId,
  type ForeignKeySpec,
  type Placement,
  type Relation,
  type Relations,
  type TableSpec,
} from '../../pipeline/index.ts';
import { classified, type Classification } from '../classify.ts';
import { copyGrants, dependents, dropReadViews } from '../dependents.ts';
import { dropIncoming, incomingKeys, pointAt } from '../foreign-keys.ts';
import { buildingRelation, BUILD, relationById } from '../building.ts';
import { move, retire } from '../retire.ts';
import { sampleDiffers } from '../sample.ts';
import {
  counts,
  type DeclareReference,
  type OperationVerbs,
  type PlanScope,
  type RunScope,
} from './operation.ts';

/** Rows attributed in one transaction. */
const BATCH_ROWS = 50_000;

export const declareReference: OperationVerbs<DeclareReference> = {
  kind: 'declare_reference',
  describe: ({ table, to }) => `declare    ${table} -> ${to}`,
  plan,
  expand,
  attribute,
  recompute,
  constrain,
  check,
  cutOver,
  observe,
  rollBack,
  newWrites,
  undo,
};

async function plan(operation: DeclareReference, scope: PlanScope) {
  const { transaction, relations, to, attribution } = scope;
  const old = relationOf(relations, operation.table);
  const given = classification(operation, { old, to, relations, attribution });
  const rows = await transaction.query<{ class: string; rows: bigint }>(sql`
    select "#class" as class, count(*) as rows from (${await classified(transaction, given)}) c group by 1`);
  const count = (name: string): number => Number(rows.find((row) => row.class === name)?.rows ?? 0n);
  const table = counts(operation.table, {
    backfill: count('backfill'),
    recompute: count('recompute'),
    ambiguous: count('ambiguous'),
  });
  const findings = [...(await dependents(transaction, old)), ...partsInTheWay(old, table)];
  return {
    tables: [table],
    findings,
    bound: { relation: old.id, reads: await readCount(transaction, old, operation) },
  };
}

/** How often the referenced table was read without being declared. */
async function readCount(transaction: Queryable, old: Relation, { to }: DeclareReference): Promise<number> {
  const [row] = await transaction.query<{ count: bigint }>(sql`
    select count(*) as count from varve.recorded_read where relation = ${old.id} and subject = ${to} and not declared`);
  return Number(row?.count ?? 0n);
}

function partsInTheWay(old: Relation, table: TableCounts): readonly Finding[] {
  if (Object.keys(old.spec.parts).length === 0 || table.recompute === 0) return [];
  return [
    refusal('operation_unavailable', old.name, {
      detail: { recompute: table.recompute, parts: Object.keys(old.spec.parts) },
      hint: 'Rows of a table with parts can be backfilled, not yet recomputed, by this operation: populate them to the present first.',
    }),
  ];
}

function classification(
  operation: DeclareReference,
  {
    old,
    to,
    relations,
    attribution,
  }: Pick<PlanScope, 'to' | 'relations' | 'attribution'> & { readonly old: Relation },
): Classification {
  const spec = specOf(to.tables, operation.table);
  return {
    old,
    spec,
    key: keyOf(spec, operation),
    relations: withSpecs(relations, to.tables),
    recomputeAmbiguous: attribution[operation.table] === 'recompute',
  };
}

function specOf(tables: readonly TableSpec[], name: string): TableSpec {
  const spec = tables.find((candidate) => candidate.name === name);
  if (spec !== undefined) return spec;
  throw new VarveError('internal', {
    detail: { table: name },
    hint: 'Report this: a bundle names a table it does not hold.',
  });
}

function keyOf(spec: TableSpec, operation: DeclareReference): ForeignKeySpec {
  const key = spec.foreignKeys.find(({ name, to }) => name === operation.reference && to === operation.to);
  if (key !== undefined) return key;
  throw new VarveError('internal', {
    detail: { table: spec.name },
    hint: 'Report this: a bundle names a reference it does not hold.',
  });
}

/** The world under the new definitions: the rows stand where they do, the specs are the new ones. */
function withSpecs(relations: Relations, tables: readonly TableSpec[]): Relations {
  const specs = new Map(tables.map((spec) => [spec.name, spec]));
  return new Map(
    [...relations].map(([name, relation]) => [name, { ...relation, spec: specs.get(name) ?? relation.spec }]),
  );
}

/** What is being built for this run, and what it will replace. */
interface Building {
  readonly old: Relation;
  readonly next: Relation;
  /** The list of classes and values. */
  readonly list: Placement;
  readonly given: Classification;
  /** The new world: the table where it is built, every other where it stands. */
  readonly relations: Relations;
}

async function building(operation: DeclareReference, scope: RunScope, store: Queryable): Promise<Building> {
  const live = await loadRelations(store);
  const next = await buildingRelation(store, operation.table, scope.context.runId);
  if (next === undefined) {
    throw new VarveError('run_fenced', {
      detail: { table: operation.table },
      hint: 'The run was settled by another process: look at `varve status`.',
    });
  }
  const old = relationOf(live, operation.table);
  const given = classification(operation, {
    old,
    to: scope.to,
    relations: live,
    attribution: scope.attribution,
  });
  const relations = new Map([...given.relations, [operation.table, next]]);
  return { old, next, list: listOf(next), given, relations };
}

function listOf(next: Relation): Placement {
  return { schema: BUILD, table: `classes of ${String(next.id)}` };
}

async function expand(operation: DeclareReference, scope: RunScope): Promise<void> {
  const { context, to } = scope;
  const spec = specOf(to.tables, operation.table);
  await context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    if ((await buildingRelation(transaction, operation.table, context.runId)) !== undefined) return;
    const live = await loadRelations(transaction);
    const old = relationOf(live, operation.table);
    const placement = { schema: BUILD, table: `next of ${String(old.id)}` };
    const bare = { ...spec, foreignKeys: [], unique: [] };
    for (const statement of createTable(bare, placement, () => placement))
      await transaction.execute(statement);
    const next = await insertRelation(transaction, {
      name: operation.table,
      spec,
      placement,
      state: 'building',
      predecessor: old.id,
      run: context.runId,
    });
    await transaction.execute(createList(spec, keyOf(spec, operation), listOf(next)));
  });
}

function createList(spec: TableSpec, key: ForeignKeySpec, list: Placement): Sql {
  const columns = [...spec.sourceKey, ...Object.keys(key.columns)].map((name) => {
    const column = spec.columns.find((each) => each.name === name);
    return sql`${sql.id(name)} ${sql.raw(column?.type ?? 'text')}`;
  });
  return sql`create table ${tableId(list)} ("#n" bigint generated always as identity primary key,
    "#hash" bytea not null unique, "#class" text not null, "#inputs" bytea not null, "#spec" integer, "#duration" integer,
    ${sql.join(columns)})`;
}

/** Brings the list up to date, then the rows: what changed in the old table since the last look is looked at again. */
async function attribute(operation: DeclareReference, scope: RunScope): Promise<void> {
  const { context } = scope;
  await context.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
    await context.fence(transaction);
    await refreshList(transaction, await building(operation, scope, transaction));
    await prepareSpecs(transaction, operation, scope);
  });
  await context.fault('E01_classified');
  const [last] = await context.store.query<{ n: bigint | null }>(
    sql`select max("#n") as n from ${tableId((await building(operation, scope, context.store)).list)}`,
  );
  const total = Number(last?.n ?? 0n);
  for (let from = 1; from <= total; from += BATCH_ROWS) {
    context.signal.throwIfAborted();
    await context.store.transaction({}, async (transaction) => {
      await context.fence(transaction);
      const world = await building(operation, scope, transaction);
      await attributeRange(transaction, operation, world, { from, to: from + BATCH_ROWS - 1 });
    });
    await context.fault('E02_attributed');
    context.progress({
      step: `attribute ${operation.table}`,
      done: Math.min(total, from + BATCH_ROWS - 1),
      total,
    });
  }
}

/** Takes out of list and new table what no longer is as listed, and lists what is not listed. */
async function refreshList(transaction: Queryable, world: Building): Promise<void> {
  const { old, next, list, given } = world;
  const id = tableId(list);
  const gone = sql`select l."#hash" from ${id} l left join varve.computation c
    on c.relation = ${old.id} and c.key_hash = l."#hash"
    where c.spec is distinct from l."#spec" or not exists (
      select from ${tableId(old.placement)} o where ${sameKey(old.spec, sql`o`, sql`l`)})`;
  await transaction.execute(sql`delete from ${tableId(next.placement)} n using ${id} l
    where ${sameKey(old.spec, sql`n`, sql`l`)} and l."#hash" in (${gone})`);
  await transaction.execute(
    sql`delete from varve.computation where relation = ${next.id} and key_hash in (${gone})`,
  );
  await transaction.execute(sql`delete from ${id} where "#hash" in (${gone})`);
  const columns = sql.join(
    [
      ...old.spec.sourceKey,
      ...Object.keys(given.key.columns),
      '#class',
      '#inputs',
      '#spec',
      '#duration',
      '#hash',
    ].map((name) => sql.id(name)),
  );
  await transaction.execute(sql`insert into ${id} (${columns})
    select ${columns} from (${await classified(transaction, given)}) c
    where not exists (select from ${id} l where l."#hash" = c."#hash")
    order by ${sql.join(old.spec.sourceKey.map((column) => sql`c.${sql.id(column)}`))}`);
}

function sameKey(spec: TableSpec, left: Sql, right: Sql): Sql {
  return sql.join(
    spec.sourceKey.map((column) => sql`${left}.${sql.id(column)} = ${right}.${sql.id(column)}`),
    sql` and `,
  );
}

/** What attributed rows share: how they were computed then, and by which rule they belong to the new structure. */
async function prepareSpecs(
  transaction: Queryable,
  operation: DeclareReference,
  scope: RunScope,
): Promise<void> {
  const { next, list } = await building(operation, scope, transaction);
  const code = scope.world.codeByTable.get(operation.table);
  if (code === undefined)
    throw new VarveError('internal', { hint: 'Report this: a computed table has no code identity.' });
  const codeId = await ensureCode(transaction, code);
  await transaction.execute(sql`
    insert into varve.computation_spec (run, relation, code, reads, enforcement, origin, attribution)
    select s.run, ${next.id}, ${codeId}, ${readsText(next.spec)}::jsonb, s.enforcement, 'attributed',
      jsonb_build_object('rule', 'recorded_read', 'migration', ${scope.context.bundle.id}::text,
        'run', ${scope.context.runId}::text, 'spec', s.id, 'reference', ${operation.reference}::text)
    from varve.computation_spec s
    where s.id in (select "#spec" from ${tableId(list)} where "#class" = 'backfill')
      and not exists (select from varve.computation_spec a
        where a.relation = ${next.id} and a.origin = 'attributed' and (a.attribution ->> 'spec')::integer = s.id)`);
}

async function attributeRange(
  transaction: Queryable,
  operation: DeclareReference,
  { old, next, list, relations }: Building,
  range: { readonly from: number; readonly to: number },
): Promise<void> {
  const own = new Set(Object.keys(operation.columns));
  const values = next.spec.columns.map(({ name }) =>
    own.has(name) ? sql`l.${sql.id(name)}` : sql`o.${sql.id(name)}`,
  );
  const inRange = sql`l."#class" = 'backfill' and l."#n" between ${range.from}::bigint and ${range.to}::bigint`;
  await transaction.execute(sql`
    insert into ${tableId(next.placement)} (${names(next.spec.columns.map(({ name }) => name))})
    select ${sql.join(values)}
    from ${tableId(list)} l join ${tableId(old.placement)} o on ${sameKey(old.spec, sql`o`, sql`l`)}
    where ${inRange} on conflict (${names(next.spec.primaryKey)}) do nothing`);
  await transaction.execute(sql`
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select ${next.id}, a.id, l."#duration", l."#hash", l."#inputs", ${outputOf(next, relations, sql`l`)}
    from ${tableId(list)} l
    join varve.computation_spec a on a.relation = ${next.id} and a.origin = 'attributed'
      and (a.attribution ->> 'spec')::integer = l."#spec"
    where ${inRange} on conflict (relation, key_hash) do nothing`);
}

/** Ordinary populate on the new structure, for the keys of class recompute and no others. */
async function recompute(operation: DeclareReference, scope: RunScope): Promise<readonly Finding[]> {
  const { context, world } = scope;
  const { next, list, relations } = await building(operation, scope, context.store);
  const key = names(next.spec.sourceKey);
  const result = await populate(context.store, {
    definitions: world.definitions,
    environment: world.environment,
    projectFolder: world.projectFolder,
    codeByTable: world.codeByTable,
    tables: [operation.table],
    where: sql`(${key}) in (select ${key} from ${tableId(list)} where "#class" = 'recompute')`,
    signal: context.signal,
    relations,
    kind: 'evolution',
    progress: ({ computed, total }) =>
      context.progress({ step: `recompute ${operation.table}`, done: computed, total }),
  });
  context.signal.throwIfAborted();
  await context.fault('E03_recomputed');
  return result.findings;
}

/** Foreign keys, unique sets and indexes, once the rows are there. */
async function constrain(operation: DeclareReference, scope: RunScope): Promise<void> {
  const { context, to } = scope;
  await context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    const { next, relations } = await building(operation, scope, transaction);
    if (await isConstrained(transaction, next)) return;
    const id = tableId(next.placement);
    for (const columns of next.spec.unique)
      await transaction.execute(sql`alter table ${id} add unique (${names(columns)})`);
    for (const statement of createIndexes(next.spec, next.placement, to))
      await transaction.execute(statement);
    await addForeignKeys(transaction, next.spec, next.placement, relations);
    await transaction.execute(sql`analyze ${id}`);
  });
}

async function isConstrained(transaction: Queryable, next: Relation): Promise<boolean> {
  const [row] = await transaction.query<{ there: boolean }>(sql`
    select exists (select from pg_constraint c join pg_class t on t.oid = c.conrelid
      join pg_namespace n on n.oid = t.relnamespace
      where c.contype = 'f' and n.nspname = ${next.placement.schema} and t.relname = ${next.placement.table}) as there`);
  return row?.there === true;
}

async function addForeignKeys(
  transaction: Queryable,
  spec: TableSpec,
  placement: Placement,
  relations: Relations,
): Promise<void> {
  for (const key of spec.foreignKeys) {
    const columns = names(Object.keys(key.columns));
    const placementOf = (table: string): Placement => relationOf(relations, table).placement;
    await transaction.execute(
      sql`alter table ${tableId(placement)} add foreign key (${columns}) ${referencesDdl(key, placementOf)}`,
    );
    if (key.unique) await transaction.execute(sql`alter table ${tableId(placement)} add unique (${columns})`);
  }
}

/** Kept rows are as they were, every row is there, and the new make gives the kept values on a sample. */
async function check(operation: DeclareReference, scope: RunScope): Promise<readonly Finding[]> {
  const { context } = scope;
  const world = await building(operation, scope, context.store);
  const altered = await alteredRows(context.store, world);
  if (altered > 0) {
    return [
      refusal('kept_rows_changed', operation.table, {
        detail: { rows: altered },
        hint: 'Report this: a kept row lost its values.',
      }),
    ];
  }
  const findings = await sampleDiffers(context.store, scope, {
    next: world.next,
    relations: world.relations,
    list: world.list,
  });
  await context.fault('E04_checked');
  return findings;
}

async function alteredRows(store: Queryable, { old, next, list }: Building): Promise<number> {
  const columns = old.spec.columns.map(({ name }) => name);
  const row = (alias: Sql): Sql =>
    sql`row(${sql.join(columns.map((column) => sql`${alias}.${sql.id(column)}`))})`;
  const [found] = await store.query<{ count: bigint }>(sql`
    select count(*) as count from ${tableId(list)} l
    join ${tableId(old.placement)} o on ${sameKey(old.spec, sql`o`, sql`l`)}
    join ${tableId(next.placement)} n on ${sameKey(old.spec, sql`n`, sql`l`)}
      and ${sql.join(
        old.spec.primaryKey.map((column) => sql`n.${sql.id(column)} = o.${sql.id(column)}`),
        sql` and `,
      )}
    where l."#class" = 'backfill' and ${row(sql`o`)} is distinct from ${row(sql`n`)}`);
  return Number(found?.count ?? 0n);
}

async function cutOver(
  operation: DeclareReference,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const { context } = scope;
  const world = await building(operation, scope, transaction);
  const { old, next, list } = world;
  await transaction.execute(sql`lock table ${tableId(old.placement)} in access exclusive mode`);
  const findings = await catchUp(transaction, operation, scope, world);
  if (findings.length > 0) return findings;
  const incoming = await incomingKeys(transaction, old.placement);
  const placement = defaultPlacement(next.spec);
  await copyGrants(transaction, old.placement, next.placement);
  await dropReadViews(transaction, old.placement);
  await dropIncoming(transaction, incoming);
  await retire(transaction, old, context.runId);
  await move(transaction, next.placement, placement);
  await transaction.execute(sql`
    update varve.relation set state = 'live', physical_schema = ${placement.schema}, physical_name = ${placement.table},
      since_at = now() where id = ${next.id}`);
  await pointAt(transaction, incoming, placement);
  await transaction.execute(sql`drop table ${tableId(list)}`);
  await context.fault('E05_renamed');
  return [];
}

/** What came since the last look: rows that the record attributes are taken along; others end this try. */
async function catchUp(
  transaction: Transaction,
  operation: DeclareReference,
  scope: RunScope,
  world: Building,
): Promise<readonly Finding[]> {
  await refreshList(transaction, world);
  await prepareSpecs(transaction, operation, scope);
  await attributeRange(transaction, operation, world, { from: 1, to: Number.MAX_SAFE_INTEGER });
  const [row] = await transaction.query<{ open: bigint }>(sql`
    select count(*) as open from ${tableId(world.list)} l
    where not exists (select from ${tableId(world.next.placement)} n where ${sameKey(world.old.spec, sql`n`, sql`l`)})`);
  const open = Number(row?.open ?? 0n);
  if (open === 0) return [];
  return [
    refusal('concurrent_change', operation.table, {
      detail: { rows: open },
      hint: 'Rows came meanwhile that have to be computed or attributed. Stop populate on the old definitions, then plan and apply again.',
    }),
  ];
}

async function observe(
  operation: DeclareReference,
  { context }: RunScope,
  transaction: Transaction,
): Promise<readonly TableCounts[]> {
  const relation = relationOf(await loadRelations(transaction), operation.table);
  if (context.direction === 'rollback') return observeBack(operation, context.tables, transaction, relation);
  const rows = await transaction.query<{ origin: string; rows: bigint }>(sql`
    select s.origin, count(*) as rows from varve.computation c join varve.computation_spec s on s.id = c.spec
    where c.relation = ${relation.id} group by 1`);
  const count = (origin: string): number => Number(rows.find((row) => row.origin === origin)?.rows ?? 0n);
  const planned = context.tables.find(({ table }) => table === operation.table)?.backfill ?? 0;
  const backfill = count('attributed');
  return [
    counts(operation.table, {
      backfill: Math.min(backfill, planned),
      recompute: count('computed'),
      carried: Math.max(0, backfill - planned),
    }),
  ];
}

async function observeBack(
  operation: DeclareReference,
  planned: readonly TableCounts[],
  transaction: Transaction,
  relation: Relation,
): Promise<readonly TableCounts[]> {
  const [row] = await transaction.query<{ rows: bigint }>(
    sql`select count(*) as rows from ${tableId(relation.placement)}`,
  );
  const rows = Number(row?.rows ?? 0n);
  const keep = planned.find(({ table }) => table === operation.table)?.keep ?? 0;
  return [counts(operation.table, { keep: Math.min(rows, keep), carried: Math.max(0, rows - keep) })];
}

/** The keys that were computed since the cutover, on the new structure, by others than the migration itself. */
function writtenSince(next: Relation): Sql {
  return sql`select c.* from varve.computation c join varve.computation_spec s on s.id = c.spec
    join varve.run r on r.id = s.run
    where c.relation = ${next.id} and s.origin = 'computed' and r.kind <> 'evolution'`;
}

async function newWrites(
  operation: DeclareReference,
  { context }: RunScope,
  transaction: Transaction,
): Promise<readonly NewWrites[]> {
  const [row] = await transaction.query<{ rows: bigint }>(sql`
    select count(*) as rows from varve.relation n join lateral (
      select c.key_hash from varve.computation c join varve.computation_spec s on s.id = c.spec
      join varve.run r on r.id = s.run
      where c.relation = n.id and s.origin = 'computed' and r.kind <> 'evolution') w on true
    where n.name = ${operation.table} and n.until_run = ${context.runId}`);
  const rows = Number(row?.rows ?? 0n);
  return rows === 0 ? [] : [{ table: operation.table, rows }];
}

/** Back to the old table: rows computed since are carried back without the column it cannot hold, which history keeps. */
async function rollBack(
  operation: DeclareReference,
  scope: RunScope,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const { context, from } = scope;
  const live = await loadRelations(transaction);
  const next = relationOf(live, operation.table);
  const old = await relationById(transaction, next);
  if (old === undefined) {
    return [
      refusal('structure_missing', operation.table, {
        hint: 'The old structure was let go: there is nothing to go back to.',
      }),
    ];
  }
  await transaction.execute(sql`lock table ${tableId(next.placement)} in access exclusive mode`);
  const incoming = await incomingKeys(transaction, next.placement);
  await dropReadViews(transaction, next.placement);
  await dropIncoming(transaction, incoming);
  await carryBack(transaction, old, next);
  const placement = defaultPlacement(old.spec);
  await retire(transaction, next, context.runId);
  await move(transaction, old.placement, placement);
  await transaction.execute(sql`
    update varve.relation set state = 'live', physical_schema = ${placement.schema}, physical_name = ${placement.table},
      until_run = null, until_at = null where id = ${old.id}`);
  await addForeignKeys(transaction, specOf(from.tables, operation.table), placement, live);
  await pointAt(transaction, incoming, placement);
  return [];
}

async function carryBack(transaction: Transaction, old: Relation, next: Relation): Promise<void> {
  const columns = old.spec.columns.map(({ name }) => name);
  const rest = columns.filter((name) => !old.spec.primaryKey.includes(name));
  const set = rest.map((column) => sql`${sql.id(column)} = excluded.${sql.id(column)}`);
  await transaction.execute(sql`
    insert into ${tableId(old.placement)} (${names(columns)})
    select ${sql.join(columns.map((column) => sql`n.${sql.id(column)}`))} from ${tableId(next.placement)} n
    where ${hashOf(next, sql`n`)} in (select key_hash from (${writtenSince(next)}) w)
    on conflict (${names(old.spec.primaryKey)}) do ${set.length === 0 ? sql`nothing` : sql`update set ${sql.join(set)}`}`);
  await transaction.execute(sql`
    delete from ${tableId(old.placement)} o
    where not exists (select from ${tableId(next.placement)} n where ${sameKey(old.spec, sql`n`, sql`o`)})`);
  await transaction.execute(sql`
    insert into varve.computation (relation, spec, duration_us, key_hash, inputs, output)
    select ${old.id}, w.spec, w.duration_us, w.key_hash, w.inputs, w.output from (${writtenSince(next)}) w
    on conflict (relation, key_hash) do update set spec = excluded.spec, duration_us = excluded.duration_us,
      inputs = excluded.inputs, output = excluded.output`);
}

function hashOf(relation: Relation, alias: Sql): Sql {
  return sql`substr(varve.digest_1(variadic array[${sql.join(
    relation.spec.sourceKey.map((column) => sql`${alias}.${sql.id(column)}::text`),
  )}]::text[]), 1, 16)`;
}

async function undo(
  operation: DeclareReference,
  { context }: RunScope,
  transaction: Transaction,
): Promise<void> {
  const next = await buildingRelation(transaction, operation.table, context.runId);
  if (next === undefined) return;
  await dropReadViews(transaction, next.placement).catch((error: unknown) => {
    // The table itself may not be there, when the run was killed before it was made.
    if (!isStoreError(error, '42P01', '3F000')) throw error;
  });
  await transaction.execute(sql`drop table if exists ${tableId(listOf(next))}`);
  await transaction.execute(sql`drop table if exists ${tableId(next.placement)}`);
  for (const table of ['recorded_read', 'computation', 'job', 'computation_spec', 'superseded']) {
    await transaction.execute(sql`delete from ${sql.id('varve', table)} where relation = ${next.id}`);
  }
  await transaction.execute(sql`delete from varve.relation where id = ${next.id}`);
}

/** Builds the new table beside the old one and gives rows the key that they are known to have read. */
import { VarveError } from '../../../base/index.ts';
import {
  createTable,
  ensureCode,
  insertRelation,
  loadRelations,
  names,
  outputOf,
  readsText,
  relationOf,
  tableId,
  type ForeignKeySpec,
  type Placement,
  type TableSpec,
} from '../../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../../store/index.ts';
import { BUILD, buildingRelation } from '../../building.ts';
import { classified } from '../../classify.ts';
import type { DeclareReference, RunScope } from '../operation.ts';
import { building, keyOf, listOf, sameKey, specOf, type Building } from './building.ts';

/** Rows attributed in one transaction. */
const BATCH_ROWS = 50_000;

/** Makes the new table and the list of classes, both empty, unless the run has made them before. */
export async function expand(operation: DeclareReference, scope: RunScope): Promise<void> {
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

/** Brings the list up to date, then the rows: what changed in the old table since the last look is looked at again. */
export async function attribute(operation: DeclareReference, scope: RunScope): Promise<void> {
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
export async function refreshList(transaction: Queryable, world: Building): Promise<void> {
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

/** What attributed rows share: how they were computed then, and by which rule they belong to the new structure. */
export async function prepareSpecs(
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

/** Writes rows and computations of this range of the list, those that are not there yet. */
export async function attributeRange(
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

function createList(spec: TableSpec, key: ForeignKeySpec, list: Placement): Sql {
  const columns = [...spec.sourceKey, ...Object.keys(key.columns)].map((name) => {
    const column = spec.columns.find((each) => each.name === name);
    return sql`${sql.id(name)} ${sql.raw(column?.type ?? 'text')}`;
  });
  return sql`create table ${tableId(list)} ("#n" bigint generated always as identity primary key,
    "#hash" bytea not null unique, "#class" text not null, "#inputs" bytea not null, "#spec" integer, "#duration" integer,
    ${sql.join(columns)})`;
}

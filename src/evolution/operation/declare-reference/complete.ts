/** What is left to do and to prove beside the old table: rows to compute, constraints, values that must have stayed. */
import { refusal, type Finding } from '../../../base/index.ts';
import {
  createIndexes,
  names,
  populate,
  referencesDdl,
  relationOf,
  tableId,
  type Placement,
  type Relation,
  type Relations,
  type TableSpec,
} from '../../../pipeline/index.ts';
import { sql, type Queryable, type Sql } from '../../../store/index.ts';
import { fencedStore } from '../../fenced-store.ts';
import { sampleDiffers } from '../../sample.ts';
import type { DeclareReference, RunScope } from '../operation.ts';
import { building, sameKey, type Building } from './building.ts';

/** Ordinary populate on the new structure, for the keys of class recompute and no others. */
export async function recompute(operation: DeclareReference, scope: RunScope): Promise<readonly Finding[]> {
  const { context, world } = scope;
  const { next, list, relations } = await building(operation, scope, context.store);
  const key = names(next.spec.sourceKey);
  const store = fencedStore(context);
  // Keys that failed before a kill would be left out without a word.
  await store.execute(sql`delete from varve.job where relation = ${next.id}`);
  const result = await populate(store, {
    definitions: world.definitions,
    environment: world.environment,
    projectFolder: world.projectFolder,
    runner: world.runner,
    objects: world.objects,
    codeByTable: world.codeByTable,
    tables: [operation.table],
    where: sql`(${key}) in (select ${key} from ${tableId(list)} where "#class" = 'recompute')`,
    signal: context.signal,
    relations,
    // The structure that is built beside is this run's own.
    isShared: false,
    kind: 'evolution',
    progress: ({ computed, total }) =>
      context.progress({ step: `recompute ${operation.table}`, done: computed, total: total ?? computed }),
  });
  context.signal.throwIfAborted();
  await context.fault('E03_recomputed');
  return result.findings;
}

/** Foreign keys, unique sets and indexes, once the rows are there. */
export async function constrain(operation: DeclareReference, scope: RunScope): Promise<void> {
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

/** The foreign keys of a definition, and the uniqueness that some of them ask for. */
export async function addForeignKeys(
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
export async function check(operation: DeclareReference, scope: RunScope): Promise<readonly Finding[]> {
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
  const findings = await sampleDiffers(fencedStore(context), scope, {
    next: world.next,
    relations: world.relations,
    list: world.list,
  });
  await context.fault('E05_checked');
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

/** Builds the new structure beside the old one and gives each row that is carried its place there. */

import {
  createTable,
  insertRelation,
  type ColumnSpec,
  type Placement,
  type Relation,
} from '../../pipeline/index.ts';
import { sql, type Transaction } from '../../store/index.ts';
import { BUILD, buildingRelation } from '../building.ts';
import { startCapture } from '../capture.ts';
import { carryOver } from './carry-over.ts';
import { groupOf, prepareSpecs, useMemory, writeComputations, writeRows, type Range } from './write.ts';
import type { Finding } from '../../base/index.ts';
import type { Rebuild, RunScope } from '../operation/operation.ts';
import { fillList, listedPages, markOf, setMark, watchedOf } from './list.ts';
import { shortly } from './shortly.ts';
import { builtOf, pairOf, rebuilding, runWorld, type Rebuilding } from './world.ts';

/** Pages of the list whose rows are written in one transaction: some hundred thousand rows. */
const BATCH_PAGES = 2_048;

/** Makes the new table and its list, both empty, and has changes of the old ones noted from here on. */
export async function expand(operation: Rebuild, scope: RunScope): Promise<void> {
  const { context } = scope;
  await shortly(context, async (transaction) => {
    if ((await buildingRelation(transaction, operation.table, context.runId)) !== undefined) return;
    const of = rebuilding(operation, await runWorld(transaction, scope));
    await createNext(transaction, of, context.runId);
    await startCapture(transaction, watchedOf(of), context.runId);
  });
}

async function createNext(transaction: Transaction, of: Rebuilding, run: string): Promise<Relation> {
  const { spec } = pairOf(of.world.naming, of.operation.table);
  const [{ n } = { n: 0n }] = await transaction.query<{ n: bigint }>(
    sql`select coalesce(max(id), 0) + 1 as n from varve.relation`,
  );
  const placement = { schema: BUILD, table: `next ${String(n)}` };
  const bare = {
    ...spec,
    foreignKeys: [],
    unique: [],
    columns: spec.columns.map(withoutUnique),
  };
  for (const statement of createTable(bare, placement, () => placement)) await transaction.execute(statement);
  // Its index is cheaper to build at once than row by row.
  if (of.operation.from.length > 0) await dropPrimaryKey(transaction, placement);
  const [first] = of.sources;
  const next = await insertRelation(transaction, {
    name: spec.name,
    spec,
    placement,
    state: 'building',
    predecessor: first?.id ?? null,
    run,
  });
  for (const source of of.sources) {
    await transaction.execute(
      sql`insert into varve.relation_source (relation, source) values (${next.id}, ${source.id})`,
    );
  }
  return next;
}

async function dropPrimaryKey(transaction: Transaction, { schema, table }: Placement): Promise<void> {
  const [row] = await transaction.query<{ name: string }>(sql`
    select k.conname as name from pg_constraint k join pg_class c on c.oid = k.conrelid
    join pg_namespace n on n.oid = c.relnamespace
    where k.contype = 'p' and n.nspname = ${schema} and c.relname = ${table}`);
  if (row !== undefined) {
    await transaction.execute(sql`alter table ${sql.id(schema, table)} drop constraint ${sql.id(row.name)}`);
  }
}

/** Uniqueness comes once the rows are there. */
function withoutUnique({ unique, ...rest }: ColumnSpec): ColumnSpec {
  void unique;
  return rest;
}

/** Lists every row and writes those that are carried, in bounded batches; where it was stopped, it goes on. */
export async function attribute(operation: Rebuild, scope: RunScope): Promise<readonly Finding[]> {
  const { context } = scope;
  const group = groupOf(rebuilding(operation, await runWorld(context.store, scope)));
  for (const member of group.filter(hasSources)) {
    const findings = await context.store.transaction(
      { isolation: 'repeatable read' },
      async (transaction) => {
        await context.fence(transaction);
        await useMemory(transaction);
        // Lists are of one moment: those that are there already come to this one first.
        const carried = await carryOver(transaction, scope);
        await fillList(transaction, rebuilding(member.operation, await runWorld(transaction, scope)));
        return carried.findings;
      },
    );
    if (findings.length > 0) return findings;
  }
  await context.fault('E01_classified');
  for (const member of group.filter(hasSources)) await attributeRows(member.operation, scope);
  if (operation.from.length > 0) await attributeComputations(operation, scope);
  return [];
}

function hasSources({ operation }: Rebuilding): boolean {
  return operation.from.length > 0;
}

async function attributeRows(operation: Rebuild, scope: RunScope): Promise<void> {
  await inRanges(operation, scope, 'rows', async (transaction, of, range) => {
    await writeRows(transaction, of, range);
  });
}

async function attributeComputations(operation: Rebuild, scope: RunScope): Promise<void> {
  const of = rebuilding(operation, await runWorld(scope.context.store, scope));
  if (of.spec.form === undefined) return;
  await scope.context.store.transaction({}, async (transaction) => {
    await scope.context.fence(transaction);
    await prepareSpecs(transaction, of, scope);
  });
  await inRanges(operation, scope, 'computations', async (transaction, each, range) => {
    await writeComputations(transaction, each, range);
  });
}

/** Batches over the lines; how far it is stands beside the rows, in the transaction that wrote them. */
async function inRanges(
  operation: Rebuild,
  scope: RunScope,
  what: 'rows' | 'computations',
  write: (transaction: Transaction, of: Rebuilding, range: Range) => Promise<void>,
): Promise<void> {
  const { context } = scope;
  const total = await listedPages(context.store, rebuilding(operation, await runWorld(context.store, scope)));
  for (;;) {
    context.signal.throwIfAborted();
    const done = await context.store.transaction({}, async (transaction) => {
      await context.fence(transaction);
      await useMemory(transaction);
      const of = rebuilding(operation, await runWorld(transaction, scope));
      const place = builtOf(of).placement;
      const at = progressOf(await markOf(transaction, place), what);
      if (at >= total) return at;
      const to = at + BATCH_PAGES;
      await write(transaction, of, { fromPage: at, toPage: to });
      await setMark(transaction, place, `${what} ${String(to)}`);
      return to;
    });
    await context.fault('E02_attributed');
    context.progress({ step: `attribute ${operation.table}`, done: Math.min(total, done), total });
    if (done >= total) return;
  }
}

/** Rows come before computations, so that a mark of the latter says that the former are all there. */
function progressOf(mark: string | undefined, what: 'rows' | 'computations'): number {
  const [kind, number] = (mark ?? '').split(' ');
  if (kind === what) return Number(number);
  return kind === 'computations' ? Number.MAX_SAFE_INTEGER : 0;
}

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
import { alone, attributeStaged, computationsMark, progressOf, type Tell } from './attribute-staged.ts';
import { carryOver } from './carry-over.ts';
import { groupOf, prepareSpecs, useMachine, writeComputations, writeRows, type Pages } from './write.ts';
import type { Finding } from '../../base/index.ts';
import type { Rebuild, RunScope } from '../operation/operation.ts';
import { listedPages, watchedOf } from './list.ts';
import { markOf, setMark, type Marked } from './mark.ts';
import { shortly } from './shortly.ts';
import { indexList, keyList } from './list-index.ts';
import { fillList, isStaged, keptColumns, stagedTables, writeStagedRows } from './stage.ts';
import { listed, type Listed } from './listed.ts';
import {
  builtOf,
  listPlacement,
  pairOf,
  rebuilding,
  rebuildsOf,
  runWorld,
  type Rebuilding,
} from './world.ts';

/** Lines of a list whose rows or computations are written in one transaction: each batch of rows walks the old table. */
const BATCH_LINES = 200_000;

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
  // Its comment tells how far it is while it is built: that of the definition comes with the cutover.
  await setMark(transaction, placement, 'rows 0');
  const [first] = of.sources;
  const next = await insertRelation(transaction, {
    name: spec.name,
    spec,
    placement,
    state: 'building',
    predecessor: first?.id ?? null,
    run,
  });
  for (const [index, source] of of.sources.entries()) {
    const columns = JSON.stringify(of.pair.columns[index] ?? {});
    await transaction.execute(
      sql`insert into varve.relation_source (relation, source, columns) values (${next.id}, ${source.id}, ${columns}::jsonb)`,
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

/** Lists every row of a table and of its parts, with what becomes of it; those that are listed already stay so. */
export async function listRows(operation: Rebuild, scope: RunScope): Promise<Listed> {
  const { context } = scope;
  const group = groupOf(rebuilding(operation, await runWorld(context.store, scope)));
  await keyLists(scope);
  for (const member of group.filter(hasSources)) {
    const findings = await context.store.transaction(
      { isolation: 'repeatable read' },
      async (transaction) => {
        await context.fence(transaction);
        await useMachine(transaction);
        // Lists are of one moment: those that are there already come to this one first.
        const world = await runWorld(transaction, scope);
        const carried = await carryOver(transaction, scope, world);
        await fillList(transaction, rebuilding(member.operation, world));
        return carried.findings;
      },
    );
    if (findings.length > 0) return { findings, specs: [] };
  }
  await context.fault('E01_classified');
  const specs: number[] = [];
  for (const member of group.filter(hasSources)) {
    const found = await context.store.transaction({}, async (transaction) => {
      await context.fence(transaction);
      return listed(transaction, rebuilding(member.operation, await runWorld(transaction, scope)));
    });
    if (found.findings.length > 0) return found;
    if (member.operation === operation) specs.push(...found.specs);
  }
  return { findings: [], specs };
}

/** A run that was stopped may have left lists whose keys were still to come: what changed meanwhile is looked for by them. */
async function keyLists(scope: RunScope): Promise<void> {
  const { store } = scope.context;
  const world = await runWorld(store, scope);
  const tables = rebuildsOf(scope).map((operation) => rebuilding(operation, world));
  for (const { operation } of await stagedTables(store, tables.filter(hasSources))) {
    await alone(operation, scope, async (transaction, of) => {
      await indexList(transaction, of);
      await keyList(transaction, of);
    });
  }
}

function hasSources({ operation }: Rebuilding): boolean {
  return operation.from.length > 0;
}

/**
 * Writes the listed rows that are carried, in bounded batches, and what was computed of them; where it was stopped, it goes
 * on. `complete` is done once the rows are there. Where computations are staged, nothing of them is asked of the new rows:
 * they are written meanwhile, on a connection of their own where the store has several.
 */
export async function attributeListed(
  operation: Rebuild,
  scope: RunScope,
  {
    specs,
    complete,
  }: { readonly specs: readonly number[]; readonly complete: () => Promise<readonly Finding[]> },
): Promise<readonly Finding[]> {
  const { context } = scope;
  const of = rebuilding(operation, await runWorld(context.store, scope));
  const tell = tellBoth(of, scope);
  const rows = async (): Promise<void> => {
    for (const member of groupOf(of).filter(hasSources)) {
      await attributeRows(member.operation, scope, member === of ? tell : tellBoth(member, scope));
    }
  };
  const isApart = operation.from.length > 0 && (await isStaged(context.store, of));
  if (!isApart) {
    await rows();
    if (operation.from.length > 0) await attributeComputations(operation, scope, { tell, specs });
    return complete();
  }
  return attributeStaged(operation, scope, { tell, rows: () => rows().then(complete), specs });
}

/** Rows and computations as one progress, since they may be written at once. */
function tellBoth({ operation, spec }: Rebuilding, { context }: RunScope): Tell {
  const written = { rows: 0, computations: 0 };
  return (what, done, total) => {
    written[what] = done;
    context.progress({
      step: `attribute ${operation.table}`,
      done: written.rows + written.computations,
      total: spec.form === undefined ? total : 2 * total,
    });
  };
}

async function attributeRows(operation: Rebuild, scope: RunScope, tell: Tell): Promise<void> {
  const of = rebuilding(operation, await runWorld(scope.context.store, scope));
  const isListed = keptColumns(of) !== undefined && (await isStaged(scope.context.store, of));
  await inBatches(operation, scope, {
    what: 'rows',
    tell,
    mark: (each) => builtOf(each).placement,
    write: isListed ? writeStagedRows : writeRows,
  });
}

async function attributeComputations(
  operation: Rebuild,
  scope: RunScope,
  { tell, specs }: { readonly tell: Tell; readonly specs: readonly number[] },
): Promise<void> {
  const { context } = scope;
  const of = rebuilding(operation, await runWorld(context.store, scope));
  if (of.spec.form === undefined) return;
  await alone(operation, scope, (transaction, each) =>
    prepareSpecs(transaction, each, scope, sql`${specs}::integer[]`),
  );
  await inBatches(operation, scope, {
    what: 'computations',
    tell,
    mark: computationsMark,
    write: writeComputations,
  });
}

/** What is written in batches, by the pages of which list. */
interface Batches {
  readonly what: 'rows' | 'computations';
  readonly tell: Tell;
  /** What tells how far it is. */
  readonly mark: (of: Rebuilding) => Marked;
  readonly write: (transaction: Transaction, of: Rebuilding, pages: Pages) => Promise<void>;
}

/** Batches over the lines; how far it is is marked in the transaction that wrote them. */
async function inBatches(
  operation: Rebuild,
  scope: RunScope,
  { what, tell, mark, write }: Batches,
): Promise<void> {
  const { context } = scope;
  const all = rebuilding(operation, await runWorld(context.store, scope));
  const list = listPlacement(builtOf(all));
  const { total, step } = await listedPages(context.store, list, BATCH_LINES);
  for (;;) {
    context.signal.throwIfAborted();
    const done = await context.store.transaction({}, async (transaction) => {
      await context.fence(transaction);
      await useMachine(transaction);
      const of = rebuilding(operation, await runWorld(transaction, scope));
      const at = progressOf(await markOf(transaction, mark(of)));
      if (at >= total) return at;
      const to = at + step;
      await write(transaction, of, { fromPage: at, toPage: to });
      await setMark(transaction, mark(of), `${what} ${String(to)}`);
      return to;
    });
    await context.fault('E02_attributed');
    tell(what, Math.min(total, done), total);
    if (done >= total) return;
  }
}

/**
 * Changes that people and workers made to the old tables meanwhile are carried over: beside, as often as is worth while, and
 * a last time inside the deciding transaction, when writers wait.
 */
import { VarveError, type Finding } from '../../base/index.ts';
import { tableId, type Relation } from '../../pipeline/index.ts';
import { sql, type Queryable, type Transaction } from '../../store/index.ts';
import { countNotes } from '../capture.ts';
import type { Rebuild, RunScope } from '../operation/operation.ts';
import { carryOver } from './carry-over.ts';
import { recompute, sumUp } from './complete.ts';
import { groupOf } from './write.ts';
import { marksOf, setMark } from './mark.ts';
import { builtOf, listPlacement, rebuilding, rebuildsOf, runWorld, type RebuildWorld } from './world.ts';

/** Notes that are left to the deciding transaction. */
const FEW_NOTES = 50;
const ROUNDS = 20;

/** Carries over what came, beside, until little is left. */
export async function catchUpBeside(scope: RunScope): Promise<readonly Finding[]> {
  const { context } = scope;
  for (let round = 1; round <= ROUNDS; round += 1) {
    context.signal.throwIfAborted();
    const { findings } = await context.store.transaction(
      { isolation: 'repeatable read' },
      async (transaction) => {
        await context.fence(transaction);
        return carryOver(transaction, scope, await runWorld(transaction, scope));
      },
    );
    if (findings.length > 0) return findings;
    const world = await runWorld(context.store, scope);
    const open = await openTables(context.store, world);
    for (const operation of open) {
      const found = await recompute(operation, scope);
      if (found.length > 0) return found;
      await closeTable(operation, scope);
      const of = rebuilding(operation, await runWorld(context.store, scope));
      for (const member of groupOf(of)) await sumUp(member.operation, scope);
    }
    if (open.length === 0 && (await notesLeft(context.store, world)) <= FEW_NOTES) return [];
  }
  return [];
}

async function closeTable(operation: Rebuild, scope: RunScope): Promise<void> {
  await scope.context.store.transaction({}, async (transaction) => {
    await scope.context.fence(transaction);
    const of = rebuilding(operation, await runWorld(transaction, scope));
    await setMark(transaction, listPlacement(builtOf(of)), 'changed');
  });
}

/**
 * Keeps writers out of the old tables and carries over the rest.
 *
 * Errors: throws `not_caught_up` where rows came that have to be computed first; the decision is tried again after that.
 */
export async function catchUpInside(
  scope: RunScope,
  transaction: Transaction,
  world: RebuildWorld,
): Promise<readonly Finding[]> {
  // In one order, so that two of them cannot wait for each other. Readers go on.
  const tables = sourcesOf(world)
    .toSorted((left, right) => left.id - right.id)
    .map(({ placement }) => tableId(placement));
  if (tables.length > 0)
    await transaction.execute(sql`lock table ${sql.join(tables)} in share row exclusive mode`);
  const { findings, toCompute } = await carryOver(transaction, scope, world);
  if (findings.length > 0 || toCompute.length === 0) return findings;
  throw new VarveError('not_caught_up', {
    detail: { tables: toCompute },
    hint: 'Rows came that have to be computed first: apply goes on by itself, or run it again.',
  });
}

/** Tables with rows that came later and have to be computed. */
async function openTables(store: Queryable, world: RebuildWorld): Promise<readonly Rebuild[]> {
  const built = rebuildsOf(world).filter(({ from }) => from.length > 0);
  const marks = await marksOf(
    store,
    built.map((operation) => listPlacement(builtOf(rebuilding(operation, world)))),
  );
  return built.filter((_, index) => marks[index] === 'open');
}

async function notesLeft(store: Queryable, world: RebuildWorld): Promise<number> {
  const counts = await countNotes(store, sourcesOf(world));
  return counts.reduce((sum, notes) => sum + notes, 0);
}

/** What the rebuilt tables come from, each once. */
function sourcesOf(world: RebuildWorld): readonly Relation[] {
  const sources = rebuildsOf(world).flatMap((operation) => rebuilding(operation, world).sources);
  return [...new Map(sources.map((relation) => [relation.id, relation])).values()];
}

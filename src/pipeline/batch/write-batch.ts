/** Writes a batch, or as much of it as the database takes. */
import { isVarveError } from '../../base/index.ts';
import type { Key } from '../key-source.ts';
import {
  insertComputed,
  replaceComputed,
  type ComputedKey,
  type Replaced,
  type WriteTarget,
} from '../write-rows.ts';
import { type Batch, type BatchResult, type BatchContext, added } from './batch.ts';
import { isRowFault, rowFault, failed } from './failed-key.ts';
import { assertHeld, assertLive, assertOurs, assertStands } from './guard.ts';

export interface Written {
  readonly result: BatchResult;
  readonly moved: readonly Key[];
}

/** Writes a batch; where the database refuses it for a row's sake, its halves. */
export async function writeHalving(
  context: BatchContext,
  computed: readonly ComputedKey[],
  batch: Batch,
): Promise<Written> {
  if (computed.length === 0)
    return { result: { computed: 0, skipped: 0, failures: [], bytes: 0 }, moved: [] };
  try {
    const { replaced, upToDate } = await retried(() => write(context, computed, batch));
    const moved = computed
      .filter((_, ordinal) => !replaced.has(ordinal) && !upToDate.has(ordinal))
      .map(({ key }) => key);
    if (moved.length > 0) await assertOurs(context, batch);
    return { result: { computed: replaced.size, skipped: upToDate.size, failures: [], bytes: 0 }, moved };
  } catch (error) {
    // What stands under the name by now may lack columns, or ask for others: then that is what there is to say.
    if (isRowFault(error) || isVarveError(error, 'sql_invalid')) await assertLive(context);
    if (!isRowFault(error)) throw error;
    const [only, another] = computed;
    if (only !== undefined && another === undefined) {
      return { result: await failed(context, only.key, batch, rowFault(error)), moved: [] };
    }
    const middle = Math.ceil(computed.length / 2);
    const left = await writeHalving(context, computed.slice(0, middle), batch);
    const right = await writeHalving(context, computed.slice(middle), batch);
    return { result: added(left.result, right.result), moved: [...left.moved, ...right.moved] };
  }
}

async function write(
  context: BatchContext,
  computed: readonly ComputedKey[],
  batch: Batch,
): Promise<Replaced> {
  const target = targetOf(context, batch);
  if (batch.mode === 'insert') return inserted(await insertComputed(context.store, target, computed));
  return context.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
    await assertHeld(transaction, batch);
    await assertStands(transaction, context);
    return replaceComputed(transaction, target, computed, context.run.name);
  });
}

const NOBODY: ReadonlySet<number> = new Set();

export function inserted(ordinals: ReadonlySet<number>): Replaced {
  return { replaced: ordinals, upToDate: NOBODY };
}

/** How often a key whose inputs keep moving is read again before it is given up. */
export const ROUNDS: number = 5;

/** Two writers of the same keys can get in each other's way; the one that was turned back sees on its next try what the other did. */
export async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let round = 1; ; round += 1) {
    try {
      return await work();
    } catch (error) {
      if (round >= ROUNDS || !isVarveError(error, 'transaction_conflict')) throw error;
    }
  }
}

export function targetOf({ relation, relations, specId }: BatchContext, { fence }: Batch): WriteTarget {
  return { relation, relations, specId, fence };
}

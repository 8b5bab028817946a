/**
 * One batch of keys from their inputs to their rows, whichever form the table computes in.
 *
 * | form | inputs | transaction |
 * |---|---|---|
 * | make | read for the whole batch | read and write apart; computing outside |
 * | query | in the statement itself | one statement |
 * | makeWith | read by the make, through checked statements | one for each key, repeatable read |
 *
 * Where the database refuses a batch for the sake of one row, the batch is halved until that row stands alone.
 */
import { computeMade } from './batch/compute-made.ts';
import { computeQueried } from './batch/compute-queried.ts';
import { computeEach } from './batch/compute-with.ts';
import type { Batch, BatchResult, BatchContext } from './batch/batch.ts';

/** Computes one batch; every key of it is computed, skipped or failed when it returns, unless the run is stopped. */
export async function computeBatch(context: BatchContext, batch: Batch): Promise<BatchResult> {
  if (context.strict !== undefined) return computeEach(context, batch, context.strict);
  if (context.table.definition.query !== undefined) return computeQueried(context, batch);
  return computeMade(context, batch);
}

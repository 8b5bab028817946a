/** Batches of a `query`: the database computes the rows of all keys. */
import { readInputs } from '../read-inputs.ts';
import type { MakeFailure } from '../run-make/make-outcome.ts';
import { insertQueried, replaceQueried } from '../write-rows.ts';
import { type Batch, type BatchResult, type BatchContext, added } from './batch.ts';
import { NO_INPUT, isRowFault, rowFault, failed } from './failed-key.ts';
import { assertLive, assertHeld, assertStands } from './guard.ts';
import { inserted, retried, targetOf } from './write-batch.ts';

/** Set-based: the database computes the rows of all keys at once; where it refuses them for a row's sake, half of them. */
export async function computeQueried(context: BatchContext, batch: Batch): Promise<BatchResult> {
  const { keys } = batch;
  try {
    return await queryOnce(context, batch);
  } catch (error) {
    if (!isRowFault(error)) throw error;
    const [only, another] = keys;
    if (only !== undefined && another === undefined) return failed(context, only, batch, rowFault(error));
    const middle = Math.ceil(keys.length / 2);
    const left = await computeQueried(context, { ...batch, keys: keys.slice(0, middle) });
    return added(left, await computeQueried(context, { ...batch, keys: keys.slice(middle) }));
  }
}

async function queryOnce(context: BatchContext, batch: Batch): Promise<BatchResult> {
  const { keys, mode } = batch;
  const target = targetOf(context, batch);
  const { query } = context.table.definition;
  if (query === undefined) return { computed: 0, skipped: 0, failures: [], bytes: 0 };
  const { replaced, upToDate } = await retried(() =>
    context.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
      await assertHeld(transaction, batch);
      await assertStands(transaction, context);
      return mode === 'replace'
        ? replaceQueried(transaction, target, keys, { query, run: context.run.name })
        : inserted(await insertQueried(transaction, target, keys, query));
    }),
  );
  let result: BatchResult = { computed: replaced.size, skipped: upToDate.size, failures: [], bytes: 0 };
  const open = keys.filter((_, ordinal) => !replaced.has(ordinal) && !upToDate.has(ordinal));
  if (open.length === 0) return result;
  await assertLive(context);
  const present = await readInputs(context.store, context.relation, context.relations, {
    keys: open,
    onlyMissing: mode === 'insert',
  });
  result = { ...result, skipped: result.skipped + open.length - present.length };
  for (const each of present) {
    const failure = 'incomplete' in each ? NO_INPUT : NO_ROW;
    result = added(result, await failed(context, each.key, batch, failure));
  }
  return result;
}

const NO_ROW: MakeFailure = {
  status: 'failed',
  code: 'make_returned_nothing',
  message: 'the query gave no row for this key, or one row several times',
  stack: null,
};

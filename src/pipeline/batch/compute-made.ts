/** Batches of a `make`: inputs are read for many keys at once, results written for many; computing is outside any transaction. */
import type { Store, Transaction } from '../../store/index.ts';
import { slicesBySize } from '../input-size.ts';
import type { Key } from '../key-source.ts';
import { pinMade } from '../object/pin.ts';
import { roughBytes } from '../populate/batch-size.ts';
import { readInputs, type IncompleteKey, type KeyInputs } from '../read-inputs.ts';
import type { MakeFailure } from '../run-make/make-outcome.ts';
import type { ComputedKey } from '../write-rows.ts';
import { callOf, type Batch, type BatchResult, type BatchContext, added } from './batch.ts';
import { NO_INPUT, failed } from './failed-key.ts';
import { ROUNDS, writeHalving } from './write-batch.ts';

export async function computeMade(context: BatchContext, batch: Batch): Promise<BatchResult> {
  const { store, relation, relations, making } = context;
  let result: BatchResult = { computed: 0, skipped: 0, failures: [], bytes: 0 };
  for (const keys of await slicesBySize(store, relation, relations, batch.keys)) {
    if (making.signal.aborted) break;
    result = added(result, await computeSlice(context, { ...batch, keys }));
  }
  return result;
}

async function computeSlice(context: BatchContext, batch: Batch): Promise<BatchResult> {
  let result: BatchResult = { computed: 0, skipped: 0, failures: [], bytes: 0 };
  let open = batch.keys;
  for (let round = 0; open.length > 0 && round < ROUNDS; round += 1) {
    const done = await computeOnce(context, { ...batch, keys: open });
    result = added(result, done.result);
    open = done.moved;
    if (context.making.signal.aborted) return result;
  }
  const unsettled: MakeFailure = {
    status: 'failed',
    code: 'input_unsettled',
    message: 'its inputs changed each time between read and write',
    stack: null,
  };
  for (const key of open) result = added(result, await failed(context, key, batch, unsettled));
  return result;
}

interface Once {
  readonly result: BatchResult;
  /** Keys whose inputs changed between read and write. */
  readonly moved: readonly Key[];
}

async function computeOnce(context: BatchContext, batch: Batch): Promise<Once> {
  const { keys, mode } = batch;
  const inputs = await snapshot(context, async (transaction) =>
    readInputs(transaction, context.relation, context.relations, { keys, onlyMissing: mode === 'insert' }),
  );
  const complete = inputs.filter((each): each is KeyInputs => !('incomplete' in each));
  const incomplete = inputs.filter((each): each is IncompleteKey => 'incomplete' in each);
  let result: BatchResult = { computed: 0, skipped: keys.length - inputs.length, failures: [], bytes: 0 };
  for (const { key } of incomplete) result = added(result, await failed(context, key, batch, NO_INPUT));
  const moved: Key[] = [];
  let bytes = roughBytes(inputs);
  for (let at = 0; at < complete.length && !context.making.signal.aborted;) {
    const some = complete.slice(at, at + context.results.next(context.runner.slots));
    at += some.length;
    const done = await makeAndWrite(context, some, batch);
    context.results.learn(some.length, done.result.bytes);
    bytes += done.result.bytes;
    result = added(result, done.result);
    moved.push(...done.moved);
  }
  return { result: { ...result, bytes }, moved };
}

async function makeAndWrite(
  context: BatchContext,
  inputs: readonly KeyInputs[],
  batch: Batch,
): Promise<Once> {
  let result: BatchResult = { computed: 0, skipped: 0, failures: [], bytes: 0 };
  const results = await context.runner.run(context.table, inputs, callOf(context));
  const computed: ComputedKey[] = [];
  for (const [index, { key, inputs: digests }] of inputs.entries()) {
    const made = results[index];
    if (made === undefined) continue;
    const { outcome, reads } = made;
    if (outcome.status === 'failed') result = added(result, await failed(context, key, batch, outcome));
    else computed.push({ key, inputs: digests, made: outcome, reads });
  }
  const { pinned, lost } = await pinMade(context.store, context.making.objects, context.table, computed);
  for (const { key } of lost) result = added(result, await failed(context, key, batch, LOST_OBJECT));
  const written = await writeHalving(context, pinned, batch);
  const bytes = roughBytes(computed.map(({ made }) => made));
  return { result: { ...added(result, written.result), bytes }, moved: written.moved };
}

/** One snapshot for the statements of one read; a single statement is one by itself. */
async function snapshot<T>(
  context: BatchContext,
  work: (transaction: Transaction | Store) => Promise<T>,
): Promise<T> {
  const many = context.relation.spec.reads.some(({ cardinality }) => cardinality === 'many');
  return many
    ? context.store.transaction({ isolation: 'repeatable read', readOnly: true }, work)
    : work(context.store);
}

export const LOST_OBJECT: MakeFailure = {
  status: 'failed',
  code: 'object_missing',
  message: 'an object that its rows name is not in the object store, or has another size',
  stack: null,
};

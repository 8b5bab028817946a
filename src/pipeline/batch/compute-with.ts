/** Batches of a `makeWith`: one transaction a key, in which the make reads by itself. */
import { isVarveError, VarveError } from '../../base/index.ts';
import type { Transaction } from '../../store/index.ts';
import type { Key } from '../key-source.ts';
import type { MakeContext } from '../make-context.ts';
import { pinMade } from '../object/pin.ts';
import { callMakes } from '../run-make/call-makes.ts';
import { KeyContext, recordedFiles } from '../run-make/key-context.ts';
import type { MakeFailure, MakeOutcome } from '../run-make/make-outcome.ts';
import type { StrictReads } from '../strict/open-strict-reads.ts';
import { insertComputed, replaceComputed, type ComputedKey, type RecordedRead } from '../write-rows.ts';
import { LOST_OBJECT } from './compute-made.ts';
import { callOf, type Batch, type BatchResult, type BatchContext, added } from './batch.ts';
import { isRowFault, rowFault, failed } from './failed-key.ts';
import { assertOurs, assertHeld, assertStands } from './guard.ts';
import { inserted, retried, targetOf } from './write-batch.ts';

/** One transaction a key: the make reads through checked statements, and its result is written at the same snapshot. */
export async function computeEach(
  context: BatchContext,
  batch: Batch,
  strict: StrictReads,
): Promise<BatchResult> {
  let result: BatchResult = { computed: 0, skipped: 0, failures: [], bytes: 0 };
  for (const key of batch.keys) {
    if (context.making.signal.aborted) break;
    result = added(result, await computeOne(context, key, batch, strict));
  }
  return result;
}

async function computeOne(
  context: BatchContext,
  key: Key,
  batch: Batch,
  strict: StrictReads,
): Promise<BatchResult> {
  const target = targetOf(context, batch);
  try {
    const { replaced } = await retried(() =>
      context.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
        const computed = await makeWith(context, transaction, key, strict);
        await pinOrFail(context, transaction, computed);
        await assertHeld(transaction, batch);
        await assertStands(transaction, context);
        return batch.mode === 'insert'
          ? inserted(await insertComputed(transaction, target, [computed]))
          : replaceComputed(transaction, target, [computed], context.run.name);
      }),
    );
    if (replaced.size === 0) await assertOurs(context, batch);
    return { computed: replaced.size, skipped: 1 - replaced.size, failures: [], bytes: 0 };
  } catch (error) {
    if (error instanceof FailedMake) return failed(context, key, batch, error.failure);
    if (isRowFault(error) || isReadFault(error)) return failed(context, key, batch, rowFault(error));
    // Stopped before its turn came: nothing was made, and the key is as it was.
    if (isVarveError(error, 'interrupted')) return { computed: 0, skipped: 0, failures: [], bytes: 0 };
    throw error;
  }
}

/**
 * By a session of its own where there is one: a pin that waits for this transaction's end would make two keys that name
 * one object turn each other back.
 */
async function pinOrFail(
  { store, making, table }: BatchContext,
  transaction: Transaction,
  computed: ComputedKey,
): Promise<void> {
  const queryable = store.capabilities.concurrentSessions ? store : transaction;
  const { lost } = await pinMade(queryable, making.objects, table, [computed]);
  if (lost.length > 0) throw new FailedMake(LOST_OBJECT);
}

/** What a make's own statements are refused with. */
function isReadFault(error: unknown): boolean {
  return (['undeclared_read', 'statement_refused', 'sql_invalid'] as const).some((code) =>
    isVarveError(error, code),
  );
}

/** Carries a failure out of a transaction, which it ends. */
class FailedMake extends VarveError {
  readonly failure: MakeFailure;
  constructor(failure: MakeFailure) {
    super(failure.code, { hint: 'See the job of this key.' });
    this.failure = failure;
  }
}

async function makeWith(
  context: BatchContext,
  transaction: Transaction,
  key: Key,
  strict: StrictReads,
): Promise<ComputedKey> {
  const reads: RecordedRead[] = [];
  const make = context.table.definition.makeWith as unknown as (db: unknown, context: MakeContext) => unknown;
  const makeContext = new KeyContext(
    {
      ...callOf(context),
      table: context.table.spec.name,
      openFiles: (list) => recordedFiles(context.files, list),
    },
    key,
    reads,
  );
  const { value: outcome, reads: observed } = await strict.run(transaction, key, async (db) => {
    const call = { key, expire: () => makeContext.expire(), call: () => make(db, makeContext) };
    const [first] = await callMakes(context.table, [call], context.making.signal);
    return first;
  });
  const made: MakeOutcome | undefined = outcome;
  if (made === undefined) {
    throw new VarveError('interrupted', { hint: 'Run the same command again to go on.' });
  }
  if (made.status === 'failed') throw new FailedMake(made);
  return {
    key,
    inputs: null,
    made,
    reads: [
      ...reads,
      ...observed.map(({ digest, ...read }) => ({ ...read, digestHex: digest.slice('sha256:'.length) })),
    ],
  };
}

/** Keys that get no rows: why, and how that is recorded. */
import type { VarveError } from '../../base/index.ts';
import { isStoreError } from '../../store/index.ts';
import { recordFailure } from '../job.ts';
import type { Key } from '../key-source.ts';
import type { MakeFailure } from '../run-make/make-outcome.ts';
import type { Batch, BatchResult, BatchContext } from './batch.ts';

export const NO_INPUT: MakeFailure = {
  status: 'failed',
  code: 'input_missing',
  message: 'a row that its declared reads need is not there',
  stack: null,
};

/** Integrity and data faults blame a row, as does a text too long for this engine; everything else blames the statement or the server. */
export function isRowFault(error: unknown): boolean {
  return (
    error instanceof RangeError ||
    (isStoreError(error) &&
      (error.fields.sqlstate.startsWith('23') || error.fields.sqlstate.startsWith('22')))
  );
}

/** Derived from fields, so it holds no row's values; a hint belongs to it, for that is all that its reader has. */
export function rowFault(error: unknown): MakeFailure {
  if (error instanceof RangeError) {
    const message =
      'the rows of this key are too large to be sent at once; let the make put large values into ctx.files';
    return { status: 'failed', code: 'make_returned_too_much', message, stack: null };
  }
  const fault = error as VarveError;
  return { status: 'failed', code: fault.code, message: `${fault.message}. ${fault.hint}`, stack: null };
}

export async function failed(
  context: BatchContext,
  key: Key,
  { mode, fence }: Batch,
  failure: MakeFailure,
): Promise<BatchResult> {
  const { store, relation, run, table } = context;
  const recorded = await recordFailure(store, relation, {
    key,
    failure,
    run: run.name,
    hasResult: mode === 'replace',
    retry: table.definition.retry,
    fence,
  });
  return recorded
    ? { computed: 0, skipped: 0, failures: [{ key, code: failure.code }], bytes: 0 }
    : { computed: 0, skipped: 1, failures: [], bytes: 0 };
}

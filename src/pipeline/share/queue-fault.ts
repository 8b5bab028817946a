/** What is said when the queue's tables are not as its library left them: somebody was at them by hand. */
import { isVarveError, VarveError } from '../../base/index.ts';
import { isStoreError } from '../../store/index.ts';
import { QUEUE_SCHEMA } from './queue-name.ts';

/** That the queue is damaged, and the way out; no result is in it. */
export function queueFault(cause?: unknown): VarveError {
  return new VarveError('queue_damaged', {
    detail: { schema: QUEUE_SCHEMA },
    hint: `Stop all workers, drop the schema ${QUEUE_SCHEMA}, and populate again: it is made anew, and no result is in it.`,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Statements over nothing but the queue: what the database finds wrong with them is the queue's fault. */
export async function queueWork<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isStoreError(error) && error.fields.sqlstate === '42501') throw queueForbidden(error);
    if (!isVarveError(error) || isStructureFault(error)) throw queueFault(error);
    throw error;
  }
}

/** Tables or columns that are not there, values that are none. */
export function isStructureFault(error: unknown): boolean {
  return isStoreError(error) && /^(22|23|3F|42)/u.test(error.fields.sqlstate);
}

function queueForbidden(cause: unknown): VarveError {
  return new VarveError('permission_denied', {
    detail: { schema: QUEUE_SCHEMA },
    hint: `Let a user who may create schemas in this database run populate once; then grant this one usage on the schema ${QUEUE_SCHEMA}, all on its tables, and execute on its functions.`,
    cause,
  });
}

/** Work that needs locks which writers hold: tried again and again, each time for a moment, so that nobody queues behind it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunContext } from '../../migration/index.ts';
import { isStoreError, type Transaction } from '../../store/index.ts';

/** Milliseconds that one try waits. */
const LOCK_TIMEOUT_MS = 100;
const TRIES = 600;

/**
 * Runs work in a fenced transaction of its own with short lock waits.
 *
 * Errors: what the last try threw, by default after about two minutes.
 */
export async function shortly<T>(
  context: RunContext,
  work: (transaction: Transaction) => Promise<T>,
  { tries = TRIES }: { readonly tries?: number } = {},
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    context.signal.throwIfAborted();
    try {
      return await context.store.transaction({ lockTimeoutMs: LOCK_TIMEOUT_MS }, async (transaction) => {
        await context.fence(transaction);
        return work(transaction);
      });
    } catch (error) {
      if (!isStoreError(error, '55P03', '40P01', '40001') || attempt === tries) throw error;
      await sleep(Math.min(200, 10 * attempt));
    }
  }
}

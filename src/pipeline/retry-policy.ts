import { definitionError } from './definition-error.ts';

/** How often, and when, a failed key is tried again by itself. */
export interface RetryPolicy {
  /** Tries in all; 1: no retry. */
  readonly attempts: number;
  /** Seconds before the first retry. */
  readonly delaySeconds: number;
  /** Each further delay is so many times the one before. */
  readonly factor: number;
}

/** No retry: a pure make that failed fails again. */
export const NO_RETRY: RetryPolicy = { attempts: 1, delaySeconds: 0, factor: 1 };

/** The policy of a table's options; a member left out is that of no retry, with a delay of 30 s that doubles. */
export function retryPolicyOf(table: string, given: Partial<RetryPolicy> | undefined): RetryPolicy {
  if (given === undefined) return NO_RETRY;
  const policy = { attempts: 3, delaySeconds: 30, factor: 2, ...given };
  const { attempts, delaySeconds, factor } = policy;
  if (!Number.isInteger(attempts) || attempts < 1) throw wrong(table, 'attempts', 'a whole number from 1 on');
  if (!(delaySeconds >= 0 && delaySeconds < Infinity))
    throw wrong(table, 'delaySeconds', 'seconds from 0 on');
  if (!(factor >= 1 && factor < Infinity)) throw wrong(table, 'factor', 'a number from 1 on');
  return policy;
}

function wrong(table: string, member: string, wanted: string): Error {
  return definitionError(table, `retry.${member} is not ${wanted}`, `Give retry.${member} ${wanted}.`);
}

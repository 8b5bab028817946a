import { InvalidArgumentError } from 'commander';

/** A whole number of a flag, from 1 up. */
export function readCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/u.test(text) && count >= 1 && Number.isSafeInteger(count)) return count;
  throw new InvalidArgumentError('Not a whole number from 1 up.');
}

import { InvalidArgumentError } from 'commander';

/** A whole number of a flag, from 1 up. */
export function readCount(text: string): number {
  return readWhole(text, 1);
}

/** How many there may be at most: a whole number from 0 up. */
export function readMost(text: string): number {
  return readWhole(text, 0);
}

function readWhole(text: string, least: number): number {
  const count = Number(text);
  if (/^\d+$/u.test(text) && count >= least && Number.isSafeInteger(count)) return count;
  throw new InvalidArgumentError(`Not a whole number from ${String(least)} up.`);
}

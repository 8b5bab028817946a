/**
 * Does several things at once, each on a connection of its own; a store with one connection does one after the other.
 *
 * It ends when all have ended, also where one fails: whoever undoes what failed must not meet the others at work. Errors:
 * throws what the first of them threw.
 */
export async function atOnce<T>(works: readonly (() => Promise<T>)[]): Promise<readonly T[]> {
  const results = await Promise.allSettled(works.map((work) => work()));
  const failure = results.find((each) => each.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
}

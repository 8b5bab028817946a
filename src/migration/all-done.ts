/**
 * Waits for all of them, also where one fails: none goes on behind the caller's back. Throws the first failure, in the order
 * of the list.
 */
export async function allDone<T>(work: readonly PromiseLike<T>[]): Promise<readonly T[]> {
  const settled = await Promise.allSettled(work);
  return settled.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
}

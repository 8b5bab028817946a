/** A store whose every statement and transaction begins with the fence of a run. */
import type { RunContext } from '../migration/index.ts';
import type { Queryable, Store } from '../store/index.ts';

/**
 * What a step hands to code that knows nothing of runs, such as populate: once another process has settled the run, this
 * one writes nothing more.
 *
 * Errors: everything on it throws `run_fenced` from then on.
 */
export function fencedStore({ store, fence }: Pick<RunContext, 'store' | 'fence'>): Store {
  const transaction: Store['transaction'] = (options, work) =>
    store.transaction(options, async (inner) => {
      await fence(inner);
      return work(inner);
    });
  const alone = <T>(work: (inner: Queryable) => Promise<T>): Promise<T> => transaction({}, work);
  return {
    capabilities: store.capabilities,
    location: store.location,
    query: (statement) => alone((inner) => inner.query(statement)),
    execute: (statement) => alone((inner) => inner.execute(statement)),
    script: (text) => alone((inner) => inner.script(text)),
    transaction,
    tryLock: (name) => store.tryLock(name),
    copy: () => store.copy(),
    decidePrepared: (name, decision) => store.decidePrepared(name, decision),
    readLog: (reading) => store.readLog(reading),
    dropDeadCopies: () => store.dropDeadCopies(),
    // The store is its opener's to close.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

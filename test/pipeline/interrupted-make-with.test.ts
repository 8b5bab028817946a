import { expect, it } from 'vitest';
import { pipeline, t } from '../../src/pipeline/index.ts';
import type { Store } from '../../src/store/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { attach, deploy } from './pipeline-lab.ts';

withStores('a makeWith that is stopped before its turn', (given) => {
  it('ends the populate as interrupted, not as a fault, and leaves the key as it was', async () => {
    const lab = pipeline(uniqueName('s'));
    const Source = lab.manual('source', { key: { id: t.integer() } });
    const Out = lab.computed('out', { parents: [Source], reads: { source: Source }, makeWith: () => ({}) });
    const world = await deploy(given.store, lab);
    await world.insert(Source, [{ id: 1 }, { id: 2 }]);
    const stop = new AbortController();
    // The request comes when the transaction of the first key is open, and its make was not called yet.
    const store: Store = {
      ...given.store,
      transaction: (options, work) =>
        given.store.transaction(options, (transaction) => {
          if (options.isolation === 'repeatable read') stop.abort();
          return work(transaction);
        }),
    };
    const stopped = await attach(store, world.definitions).populate({ signal: stop.signal, isShared: false });
    expect(stopped).toMatchObject({ status: 'interrupted', findings: [] });
    expect(await world.rows(Out)).toEqual([]);
    expect(await world.populate()).toMatchObject({ status: 'done', tables: [{ computed: 2, remaining: 0 }] });
  });
});

import { expect, it } from 'vitest';
import { history, why } from '../../src/pipeline/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { versionOne } from './side-pipeline.ts';

withStores('a pipeline whose creation was rolled back', (given) => {
  it('still answers what its rows were and why', async () => {
    await using lab = await openLab(given.store);
    const id = await lab.deploy(versionOne('lab'));
    await given.store.script('insert into lab.s values (1, 10); insert into lab.side values (1, 7)');
    const populated = await lab.populate(versionOne('lab'));
    const asOf = populated.status === 'refused' ? '' : populated.run;
    expect(await lab.rollback(versionOne('lab'), id)).toMatchObject({ status: 'applied' });
    expect(await history(given.store, 'lab.r', { key: { s: 1 } })).toMatchObject({
      status: 'ok',
      versions: [{ rows: { 'lab.r': [{ s: 1, value: 17 }] }, ended: 'structure' }],
    });
    expect(await why(given.store, 'lab.r', { s: 1 }, { asOf })).toMatchObject({
      status: 'ok',
      origin: {
        computation: { origin: 'computed', recorded: [{ subject: 'lab.side', keys: [{ side: 1 }] }] },
      },
    });
  });
});

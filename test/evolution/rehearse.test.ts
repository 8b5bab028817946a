import { expect, it } from 'vitest';
import { rehearseMigration } from '../../src/migration/index.ts';
import { withPostgres } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { declaredFrom, undeclaredFrom } from './reference-case.ts';

withPostgres('a rehearsed evolution', 18, (given) => {
  it('M105 M106 M107 computes on the copy, comes back, and leaves the rows of the database', async () => {
    await using lab = await openLab(given.store);
    const before = undeclaredFrom();
    const after = declaredFrom(true);
    await lab.deploy(before);
    await lab.store.script(
      'insert into lab.s values (1, 10, 1), (2, 20, null); insert into lab.side values (1, 7)',
    );
    await lab.populate(before);
    const rows = await lab.rows('select * from lab.r order by s');
    const id = await lab.planned(after);
    const outcome = await rehearseMigration(lab.options(after), id);
    expect(outcome, JSON.stringify(outcome)).toMatchObject({
      status: 'rehearsed',
      receipt: { receipt: { rollback: { rung: 'R3' }, forward_twice: 'not_run' } },
    });
    expect(await lab.rows('select * from lab.r order by s')).toEqual(rows);
    expect(await lab.apply(after, id)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { rollback: { rung: 'R3' } } },
    });
  }, 180_000);
});

import { expect, it } from 'vitest';
import { withStores } from '../../../../test/harness/index.ts';
import { sql, type Queryable } from '../../../store/index.ts';
import { ownCatalogRows } from './catalog-rows.ts';

withStores('catalog rows of a transaction', (given) => {
  const make = async (): Promise<string> => {
    const schema = await given.freshSchema();
    await given.store.script(`create table "${schema}".t (id int primary key, v text default 'x')`);
    return schema;
  };
  const catalogsOf = async (queryable: Queryable): Promise<readonly string[]> =>
    (await ownCatalogRows(queryable, { readsRoles: true })).map(({ catalog }) => catalog);

  it('L7 tells what this transaction wrote, in savepoints too, and nothing that was taken back', async () => {
    const schema = await make();
    await given.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
      await transaction.query(sql`select pg_current_xact_id()`);
      expect(await catalogsOf(transaction)).toEqual([]);
      await transaction
        .savepoint(async () => {
          await transaction.savepoint(() => transaction.script(`comment on table "${schema}".t is 'said'`));
          throw new Error('taken back');
        })
        .catch(() => undefined);
      expect(await catalogsOf(transaction)).toEqual([]);
      await transaction.savepoint(() =>
        transaction.script(`alter table "${schema}".t alter column v set default 'y'`),
      );
      expect(await catalogsOf(transaction)).toContain('pg_attrdef');
    });
  });

  it('L7 tells nothing of what others write meanwhile', async () => {
    if (!given.store.capabilities.concurrentSessions) return expect(given.name).toBe('embedded');
    const schema = await make();
    await given.store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
      await transaction.query(sql`select pg_current_xact_id()`);
      await given.store.script(`create table "${schema}".others (id int)`);
      expect(await catalogsOf(transaction)).toEqual([]);
    });
  });
});

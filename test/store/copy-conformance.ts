import { expect, it } from 'vitest';
import { sql, type Sql, type Store } from '../../src/store/index.ts';
import type { StoreUnderTest } from '../harness/index.ts';

/** What the port promises of disposable copies; where the flag is absent, that they are refused. */
export function copies(given: StoreUnderTest): void {
  async function mouseTable(): Promise<Sql> {
    const table = sql.id(await given.freshSchema(), 'mouse');
    await given.store.execute(sql`create table ${table} (id integer primary key, name text not null)`);
    await given.store.execute(sql`insert into ${table} values (1, 'a'), (2, 'b')`);
    return table;
  }

  const namesIn = async (store: Store, table: Sql): Promise<readonly unknown[]> =>
    (await store.query(sql`select name from ${table} order by id`)).map(({ name }) => name);

  it('M107 a copy holds what the database holds, and nothing done to it comes back', async () => {
    const { store } = given;
    if (!store.capabilities.disposableCopies) {
      await expect(store.copy()).rejects.toMatchObject({ code: 'capability_missing' });
      await expect(store.dropDeadCopies()).rejects.toMatchObject({ code: 'capability_missing' });
      return;
    }
    const table = await mouseTable();
    const copy = await store.copy();
    expect(await namesIn(copy, table)).toEqual(['a', 'b']);
    expect(copy.capabilities).toEqual(store.capabilities);
    await copy.execute(sql`update ${table} set name = 'changed'`);
    await copy.execute(sql`insert into ${table} values (3, 'new')`);
    expect(await namesIn(store, table)).toEqual(['a', 'b']);
    await store.execute(sql`insert into ${table} values (4, 'later')`);
    expect(await namesIn(copy, table)).toEqual(['changed', 'changed', 'new']);
    // In use, and so no leftover.
    expect(await store.dropDeadCopies()).toBe(0);
    expect(await namesIn(copy, table)).toHaveLength(3);
    await copy[Symbol.asyncDispose]();
    await copy[Symbol.asyncDispose]();
    await expect(copy.query(sql`select 1`)).rejects.toMatchObject({ code: 'internal' });
    expect(await namesIn(store, table)).toEqual(['a', 'b', 'later']);
  }, 60_000);

  it('two copies at once are two', async () => {
    const { store } = given;
    if (!store.capabilities.disposableCopies) return;
    const table = await mouseTable();
    await using first = await store.copy();
    await using second = await store.copy();
    await first.execute(sql`delete from ${table}`);
    expect(await namesIn(second, table)).toEqual(['a', 'b']);
  }, 60_000);
}

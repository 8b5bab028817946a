import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { startPostgres, withEmbedded } from '../harness/index.ts';
import type { PostgresServer } from '../harness/postgres-server.ts';

withEmbedded('a store without a log to read', (given) => {
  it('refuses to prepare, to decide and to read', async () => {
    expect(given.store.capabilities.witness).toBe(false);
    const missing = expect.objectContaining({ code: 'capability_missing' });
    await expect(given.store.transaction({ prepareAs: 'x' }, async () => 1)).rejects.toEqual(missing);
    await expect(given.store.decidePrepared('x', 'commit')).rejects.toEqual(missing);
    await expect(given.store.readLog({ name: 'x', deadlineMs: 1000 })).rejects.toEqual(missing);
  });
});

const stores = process.env['VARVE_TEST_STORES']?.split(',');

describe.each([15, 18] as const)('a prepared transaction on PostgreSQL %i', (version) => {
  if (stores !== undefined && !stores.includes(`postgres-${version}`)) {
    it.skip(`VARVE_TEST_STORES leaves out postgres-${version}`);
    return;
  }
  let server: PostgresServer;
  let store: Store;
  beforeAll(async () => {
    const settings = { wal_level: 'logical', max_prepared_transactions: '5' };
    server = await startPostgres({ version, settings });
    store = await postgresStore({ url: server.url });
    await store.script(`
      create schema "odd.one"; create table "odd.one"."a, ""b"": INSERT:" (id int, note text);
      create table plain (id int primary key, note text); create table other (id int);
      create table parted (id int) partition by list (id); create table part partition of parted for values in (1);
      insert into other values (1);`);
  }, 60_000);
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it('is read by table and operation before it is seen by anybody, and then committed', async () => {
    await using log = await store.readLog({ name: 'one', deadlineMs: 10_000 });
    await store.transaction({ prepareAs: 'first' }, async (transaction) => {
      await transaction.script(`
        insert into plain values (1, 'table public.other: DELETE: x'), (2, 'b'); update plain set note = 'c'; delete from plain where id = 2;
        insert into "odd.one"."a, ""b"": INSERT:" values (1, e'two\\nlines'); insert into parted values (1);
        truncate other, "odd.one"."a, ""b"": INSERT:";
        create table made (id int); insert into made select generate_series(1, 1000);
        alter table plain alter column id type bigint; alter table plain rename to renamed; insert into renamed values (9);`);
      await transaction
        .savepoint(async () => {
          await transaction.execute(sql`insert into made values (5)`);
          throw new Error('back');
        })
        .catch(() => undefined);
    });
    await store.execute(sql`insert into parted values (1)`);
    expect(await store.query(sql`select count(*)::int as rows from parted`)).toEqual([{ rows: 1 }]);
    const changes = await log.changesOf('first');
    const order = (words: string[]): string[] => words.toSorted();
    const odd = 'odd.one.a, "b": INSERT:';
    expect(order(changes.map(({ table, operation, rows }) => `${operation} ${rows} ${table}`))).toEqual(
      order([
        'insert 2 public.plain',
        'update 2 public.plain',
        'delete 1 public.plain',
        `insert 1 ${odd}`,
        'insert 1 public.part',
        'truncate 1 public.other',
        `truncate 1 ${odd}`,
        'insert 1000 public.made',
        'insert 1 public.renamed',
      ]),
    );
    expect(await store.decidePrepared('first', 'commit')).toBe(true);
    expect(await store.decidePrepared('first', 'commit')).toBe(false);
    expect(await store.query(sql`select count(*)::int as rows from renamed`)).toEqual([{ rows: 2 }]);
    await store.script('alter table renamed rename to plain');
  });

  it('is aborted by another login of its owner', async () => {
    await store.script(
      `create role keeper; create role deputy login password 'x'; grant keeper to deputy; grant all on plain to keeper`,
    );
    await store.transaction({ prepareAs: 'kept' }, async (transaction) => {
      await transaction.script(`set local role keeper; insert into plain values (77)`);
    });
    const url = new URL(server.url);
    url.username = 'deputy';
    url.password = 'x';
    await using deputy = await postgresStore({ url: url.href, poolSize: 1 });
    expect(await deputy.decidePrepared('kept', 'rollback')).toBe(true);
    expect(await deputy.query(sql`select current_user::text as me`)).toEqual([{ me: 'deputy' }]);
    expect(await store.query(sql`select 1 from plain where id = 77`)).toEqual([]);
  });

  it('outlives the server, which its log does not', async () => {
    await using log = await store.readLog({ name: 'two', deadlineMs: 10_000 });
    await store.transaction({ prepareAs: 'second' }, (transaction) =>
      transaction.execute(sql`insert into plain values (88)`),
    );
    await server.crash();
    await server.restart();
    await expect(log.changesOf('second')).rejects.toEqual(
      expect.objectContaining({ code: 'witness_missing' }),
    );
    expect(await store.decidePrepared('second', 'commit')).toBe(true);
    expect(await store.query(sql`select 1 as one from plain where id = 88`)).toEqual([{ one: 1 }]);
  });

  it('M87 no log opens behind a transaction that is prepared, or that runs', async () => {
    await store.transaction({ prepareAs: 'third' }, (transaction) =>
      transaction.execute(sql`insert into plain values (99)`),
    );
    await expect(store.readLog({ name: 'three', deadlineMs: 300 })).rejects.toEqual(
      expect.objectContaining({ code: 'witness_missing' }),
    );
    await store.decidePrepared('third', 'rollback');
    await using log = await store.readLog({ name: 'three', deadlineMs: 10_000 });
    expect(await log.changesOf('third')).toEqual([]);
  });
});

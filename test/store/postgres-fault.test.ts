import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { messageOf } from '../../src/base/index.ts';
import { isStoreError, sql, type Store } from '../../src/store/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { freePort, startPostgres, uniqueName, withPostgres } from '../harness/index.ts';

async function failure(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => expect.unreachable('it did not fail'),
    (error: unknown) => error,
  );
}

/** All that could be printed of an error. */
function textOf(error: unknown): string {
  return error instanceof Error
    ? `${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`
    : String(error);
}

const url = (port: number, password = 'secret-word'): string =>
  `postgres://me:${password}@127.0.0.1:${port}/lab`;

it('tells that nothing listens there, without the password', async () => {
  const port = await freePort();
  const error = await failure(postgresStore({ url: url(port) }));
  expect(error).toMatchObject({
    code: 'database_unreachable',
    fields: { sqlstate: '08001', system: 'ECONNREFUSED', location: `postgres://127.0.0.1:${port}/lab` },
  });
  expect(textOf(error)).not.toContain('secret-word');
  expect(textOf(error)).toContain(messageOf('database_unreachable', {}));
});

it('tells that no such host exists', async () => {
  const error = await failure(postgresStore({ url: 'postgres://me:secret-word@nowhere.invalid/lab' }));
  expect(error).toMatchObject({ code: 'database_unreachable', fields: { sqlstate: '08001' } });
});

it('gives up on a host that never answers', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const error = await failure(postgresStore({ url: url(port), connectTimeoutMs: 150 }));
  expect(error).toMatchObject({ code: 'database_unreachable', fields: { sqlstate: '08006' } });
  for (const socket of sockets) socket.destroy();
  silent.close();
});

it.each(['localhost/lab', 'mysql://me:secret-word@host/lab', 'postgres://me:secret-word@[/lab'])(
  'refuses %s as a URL, without repeating it',
  async (text) => {
    const error = await failure(postgresStore({ url: text }));
    expect(error).toMatchObject({ code: 'config_invalid' });
    expect(textOf(error)).not.toContain('secret-word');
  },
);

for (const version of [15, 18] as const) {
  withPostgres('faults', version, (given) => {
    const withUser = (user: string, password: string, database?: string): string => {
      const changed = new URL(given.url());
      changed.username = user;
      changed.password = password;
      if (database !== undefined) changed.pathname = `/${database}`;
      return changed.href;
    };

    it('tells that the password is wrong, without showing it', async () => {
      const error = await failure(postgresStore({ url: withUser('postgres', 'wrong-word') }));
      expect(error).toMatchObject({ code: 'permission_denied', fields: { sqlstate: '28P01' } });
      expect(textOf(error)).not.toContain('wrong-word');
    });

    it('tells that a password is missing, and keeps no connection that never logged in', async () => {
      const open = (): number =>
        process.getActiveResourcesInfo().filter((what) => what.startsWith('TCP')).length;
      const before = open();
      const error = await failure(postgresStore({ url: withUser('postgres', '') }));
      expect(error).toMatchObject({ code: 'permission_denied', fields: { sqlstate: '28P01' } });
      await expect.poll(open).toBeLessThanOrEqual(before);
    });

    it('tells that the database does not exist', async () => {
      const error = await failure(postgresStore({ url: withUser('postgres', 'varve-test', 'nowhere') }));
      expect(error).toMatchObject({ code: 'database_unreachable', fields: { sqlstate: '3D000' } });
    });

    it('tells that the user lacks a right', async () => {
      const role = uniqueName('stranger');
      await given.store.script(
        `create role ${role} login password 'pw'; create table if not exists own (id int)`,
      );
      await using store = await postgresStore({ url: withUser(role, 'pw') });
      expect(await failure(store.query(sql`select * from own`))).toMatchObject({
        code: 'permission_denied',
        fields: { sqlstate: '42501' },
      });
      expect(await failure(installCatalog(store, { files: await readCatalogFiles() }))).toMatchObject({
        code: 'permission_denied',
      });
    });

    it('keeps its location free of credentials', () => {
      expect(given.store.location).toMatch(/^postgres:\/\/127\.0\.0\.1:\d+\/test_[0-9a-f]+$/);
    });

    const endOthers = sql`
      select pg_terminate_backend(pid)::text from pg_stat_activity
      where datname = current_database() and application_name = 'varve-doomed'`;

    it('reaches the server although the thread was busy for longer than connecting may take', async () => {
      await using store = await postgresStore({ url: given.url(), poolSize: 2, connectTimeoutMs: 300 });
      const held = Promise.withResolvers<void>();
      const first = store.transaction({}, () => held.promise);
      const second = store.query(sql`select 1 as one`);
      // The second session is on its way when the thread is taken, as by a make that computes.
      await new Promise((resolve) => setImmediate(resolve));
      const until = performance.now() + 600;
      while (performance.now() < until);
      expect(await second).toEqual([{ one: 1 }]);
      held.resolve();
      await first;
    });

    it('goes on with new sessions after its own were ended from outside', async () => {
      await using store = await postgresStore({
        url: given.url(),
        applicationName: 'varve-doomed',
        poolSize: 2,
      });
      await Promise.all([store.query(sql`select 1`), store.query(sql`select 2`)]);
      await given.store.query(endOthers);
      // The end of an idle session is heard of in its own time; until then a statement may still be sent to it.
      await expect
        .poll(() => store.query(sql`select 3 as three`).catch(() => []), { timeout: 5000 })
        .toEqual([{ three: 3 }]);
      const broken = store.transaction({}, async (transaction) => {
        await transaction.query(sql`select 1`);
        await given.store.query(endOthers);
        await transaction.query(sql`select 1`);
      });
      expect(await failure(broken)).toMatchObject({ code: 'database_unreachable' });
      expect(await store.query(sql`select 3 as three`)).toEqual([{ three: 3 }]);
    });

    it('M67 says that it does not know, when the connection breaks during a commit', async () => {
      await given.store.script('create table if not exists doubt (id integer)');
      const target = new URL(given.url());
      // Passes everything on until the client commits; then it drops the line.
      const proxy = createServer((client) => {
        const server = connect(Number(target.port), target.hostname);
        client.on('data', (data) => {
          if (!data.includes('commit\0')) return server.write(data);
          client.destroy();
          return server.destroy();
        });
        server.on('data', (data) => client.write(data));
        for (const socket of [client, server]) socket.on('error', () => undefined);
        client.on('close', () => server.destroy());
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      const through = new URL(target);
      through.port = String((proxy.address() as AddressInfo).port);
      await using store = await postgresStore({ url: through.href });
      const error = await failure(
        store.transaction({}, (transaction) => transaction.execute(sql`insert into doubt values (1)`)),
      );
      expect(error).toMatchObject({ code: 'commit_unknown', detail: { code: 'database_unreachable' } });
      proxy.close();
    });
  });

  it(`loses what was not committed when PostgreSQL ${version} crashes, and goes on after its restart`, async () => {
    await using server = await startPostgres({ version, durable: true });
    await using store = await postgresStore({ url: server.url });
    await store.script('create table entry (id integer)');
    await store.execute(sql`insert into entry values (1)`);
    const error = await failure(
      store.transaction({}, async (transaction) => {
        await transaction.execute(sql`insert into entry values (2)`);
        await server.crash();
        await transaction.execute(sql`insert into entry values (3)`);
      }),
    );
    expect(isStoreError(error)).toBe(true);
    expect(error).toMatchObject({ code: 'database_unreachable' });
    expect(await failure(store.query(sql`select 1`))).toMatchObject({ code: 'database_unreachable' });
    await server.restart();
    expect(await rowsOf(store)).toEqual([{ id: 1 }]);
  });
}

async function rowsOf(store: Store): Promise<unknown> {
  return await store.query(sql`select id from entry order by id`);
}

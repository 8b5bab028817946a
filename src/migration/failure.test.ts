import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresDatabase, type PostgresDatabase } from '../../test/harness/index.ts';
import { doubleKind } from '../../test/migration/double-kind.ts';
import { columnsOf, migrationsFolder, plannedDouble, runnerOptions } from '../../test/migration/fixture.ts';
import { VarveError } from '../base/index.ts';
import { verifyAll } from '../evidence/index.ts';
import { sql, type Store, type Transaction } from '../store/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../store/postgres/index.ts';
import {
  applyMigration,
  folderReader,
  readStatus,
  recoverRuns,
  rollbackMigration,
  type MigrationKind,
  type RunContext,
  type RunnerOptions,
  type Step,
} from './index.ts';

const TIDIED = { name: 'after: tidy', status: 'pass' };

function shell(command: string): number | null {
  return spawnSync('sh', ['-c', command]).status;
}

/** Mounting a small file system needs a right that not every machine gives. */
const canMount = ((): boolean => {
  const status = shell('d=$(mktemp -d) && mount -t tmpfs -o size=64k none "$d" && umount "$d" && rmdir "$d"');
  if (status !== 0) console.warn('full disks are not tested here: no right to mount a small file system');
  return status === 0;
})();

describe('when something outside fails', () => {
  let database: PostgresDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await postgresDatabase(18);
    store = await postgresStore({ url: database.url });
    await installCatalog(store, { files: await readCatalogFiles() });
  }, 60_000);
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  async function scene(place?: string) {
    await store.script(`
      alter table varve.ledger disable trigger ledger_only_grows;
      delete from varve.ledger;
      alter table varve.ledger enable always trigger ledger_only_grows;`);
    const folder = place === undefined ? await migrationsFolder() : undefined;
    const root = folder?.root ?? join(place ?? '', 'migrations');
    const options = runnerOptions(store, root);
    const schema = `s_${Math.random().toString(36).slice(2)}`;
    const planned = await plannedDouble(options, schema);
    return { root, options, ...planned, [Symbol.asyncDispose]: async () => folder?.[Symbol.asyncDispose]() };
  }

  async function expectWhole(root: string, outcome: string): Promise<void> {
    expect(await verifyAll(folderReader(root))).toMatchObject({ findings: [], receipts: [{ outcome }] });
  }

  /** A connection that is cut as the server's answer to COMMIT comes by: the commit happened, and its runner does not know. */
  async function cuttingProxy(
    when: 'before' | 'after' | 'for good',
  ): Promise<AsyncDisposable & { readonly url: string; readonly arm: () => void }> {
    const target = new URL(database.url);
    const sockets = new Set<Socket>();
    let armed = false;
    const proxy = createServer((client) => {
      const server = connect(Number(target.port), target.hostname);
      let cutting = false;
      for (const socket of [client, server]) {
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => (client.destroy(), server.destroy()));
      }
      client.on('data', (data) => {
        if (armed && data.includes('commit')) {
          armed = false;
          if (when === 'before') return void client.destroy();
          cutting = true;
        }
        server.write(data);
      });
      server.on('data', (data) => {
        if (!cutting) return void client.write(data);
        client.destroy();
        if (when !== 'for good') return;
        proxy.close();
        for (const socket of sockets) socket.destroy();
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = proxy.address();
    const url = new URL(database.url);
    url.port = String(typeof address === 'object' && address !== null ? address.port : 0);
    return {
      url: url.href,
      arm: () => (armed = true),
      [Symbol.asyncDispose]: async () => {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => proxy.close(resolve));
      },
    };
  }

  it.each([
    ['after', 'applied', 'committed', ['double', 'id', 'value']],
    ['before', 'rolled_back', 'rolled_back', ['id', 'value']],
  ] as const)(
    'a connection lost %s the server took COMMIT ends as %s, by the ledger row',
    async (when, status, outcome, columns) => {
      await using s = await scene();
      await using proxy = await cuttingProxy(when);
      await using through = await postgresStore({ url: proxy.url });
      const options: RunnerOptions = {
        ...s.options,
        store: through,
        fault: async (point) => {
          if (point === 'F12_ledger_row') proxy.arm();
          await Promise.resolve();
        },
      };
      expect(await applyMigration(options, s.id)).toMatchObject({ status });
      expect(await columnsOf(store, s.table)).toEqual(columns);
      await expectWhole(s.root, outcome);
    },
  );

  it('a store that stays silent after COMMIT leaves the run indeterminate, and recover settles it', async () => {
    await using s = await scene();
    await using proxy = await cuttingProxy('for good');
    await using through = await postgresStore({ url: proxy.url, connectTimeoutMs: 500 });
    const options: RunnerOptions = {
      ...s.options,
      store: through,
      deadlineMs: 1_500,
      fault: async (point) => {
        if (point === 'F12_ledger_row') proxy.arm();
        await Promise.resolve();
      },
    };
    expect(await applyMigration(options, s.id)).toMatchObject({
      status: 'indeterminate',
      findings: [{ code: 'database_unreachable' }],
    });
    expect(await recoverRuns(s.options)).toMatchObject({ status: 'recovered' });
    expect((await readStatus(s.options)).unfinished).toEqual([]);
    expect(await columnsOf(store, s.table)).toContain('double');
    await expectWhole(s.root, 'committed');
  });

  it('a runner that lost its lock writes nothing after another one has undone its run', async () => {
    await using s = await scene();
    let recovered: unknown;
    const options: RunnerOptions = {
      ...s.options,
      fault: async (point) => {
        if (point !== 'T01_batch' || recovered !== undefined) return;
        await store.query(sql`
          select pg_terminate_backend(pid)::text from pg_locks
          where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`);
        await using other = await postgresStore({ url: database.url });
        recovered = await recoverRuns({ ...s.options, store: other });
      },
    };
    await expect(applyMigration(options, s.id)).rejects.toMatchObject({ code: 'interrupted' });
    expect(recovered).toMatchObject({ status: 'recovered', runs: [{ status: 'rolled_back' }] });
    expect(await columnsOf(store, s.table)).toEqual(['id', 'value']);
    expect(await columnsOf(store, `${s.table}_next`)).toEqual([]);
    await expectWhole(s.root, 'rolled_back');
  });

  it('waits for a reader in short tries, and takes the work back when the deadline passes', async () => {
    await using s = await scene();
    await using reader = await postgresStore({ url: database.url });
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const reading = reader.transaction({}, async (transaction) => {
      await transaction.query(sql`select * from ${sql.id(...s.table.split('.'))}`);
      await held;
    });
    const outcome = await applyMigration({ ...s.options, deadlineMs: 100 }, s.id);
    release();
    await reading;
    expect(outcome).toMatchObject({
      status: 'rolled_back',
      receipt: { receipt: { proof: { status: 'equal' } } },
    });
    expect(await applyMigration(s.options, s.id)).toMatchObject({ status: 'applied' });
    await expectWhole(s.root, 'committed');
  });

  it('names the table that it could not lock, and who holds it', async () => {
    await using s = await scene();
    const url = new URL(database.url);
    url.searchParams.set('application_name', 'nightly report');
    await using reader = await postgresStore({ url: url.href });
    const outcome = await reader.transaction({}, async (transaction) => {
      await transaction.query(sql`select * from ${sql.id(...s.table.split('.'))}`);
      const [{ pid } = { pid: 0 }] = await transaction.query<{ pid: number }>(
        sql`select pg_backend_pid() as pid`,
      );
      const applied = await applyMigration({ ...s.options, deadlineMs: 300 }, s.id);
      expect(applied.findings).toMatchObject([
        {
          code: 'lock_unavailable',
          severity: 'error',
          subject: s.table,
          detail: { mode: 'AccessExclusiveLock', holders: [{ pid, application: 'nightly report' }] },
        },
      ]);
      return applied;
    });
    expect(outcome).toMatchObject({ status: 'rolled_back' });
    expect(await columnsOf(store, s.table)).toEqual(['id', 'value']);
  });

  it('keeps no reader waiting longer than one try', async () => {
    await using s = await scene();
    await using readers = await postgresStore({ url: database.url });
    const read = (transaction: Transaction) =>
      transaction.query(sql`select count(*) from ${sql.id(...s.table.split('.'))}`);
    const running = { applied: false, reads: 0 };
    const outcome = await readers.transaction({}, async (long) => {
      await read(long);
      const applying = applyMigration({ ...s.options, deadlineMs: 1_500 }, s.id);
      void applying.finally(() => (running.applied = true));
      while (!running.applied) {
        // Twice a try and more: one that queued behind the whole deadline would fail.
        await readers.transaction({ lockTimeoutMs: 400 }, read);
        running.reads += 1;
      }
      return applying;
    });
    expect(outcome).toMatchObject({ status: 'rolled_back', findings: [{ code: 'lock_unavailable' }] });
    expect(running.reads).toBeGreaterThan(5);
  });

  it('tries again, from the steps that come before each try, where a step has not caught up', async () => {
    await using s = await scene();
    const done: string[] = [];
    const late = (mayCatchUp: boolean): MigrationKind => ({
      ...doubleKind,
      apply: (bound) => [
        ...doubleKind
          .apply(bound)
          .map((step): Step =>
            step.name !== 'fill' || step.mode !== 'beside'
              ? step
              : { ...step, run: (context: RunContext) => (done.push('fill'), step.run(context)) },
          ),
        {
          mode: 'decide',
          name: 'look',
          run: () => {
            done.push('look');
            if (mayCatchUp && done.length > 4) return Promise.resolve({ findings: [] });
            const hint = 'Wait until others write less.';
            return Promise.reject(new VarveError('not_caught_up', { detail: { units: 7 }, hint }));
          },
        },
      ],
    });
    expect(await applyMigration({ ...s.options, deadlineMs: 100, kinds: [late(false)] }, s.id)).toMatchObject(
      {
        status: 'rolled_back',
        findings: [{ code: 'not_caught_up', detail: { units: 7 } }],
      },
    );
    done.length = 0;
    expect(await applyMigration({ ...s.options, kinds: [late(true)] }, s.id)).toMatchObject({
      status: 'applied',
    });
    // Once as a step of its own, then before each try.
    expect(done).toEqual(['fill', 'fill', 'look', 'fill', 'look']);
  });

  it('leaves a run open while its work after the commit cannot be done, and lets nothing begin beside it', async () => {
    await using s = await scene();
    await using reader = await postgresStore({ url: database.url });
    const scratch = sql.id(...`${s.table}_scratch`.split('.'));
    await reader.transaction({}, async (transaction) => {
      const outcome = await applyMigration(
        {
          ...s.options,
          deadlineMs: 300,
          fault: async (point) => {
            if (point === 'F13_committed') await transaction.query(sql`select * from ${scratch}`);
          },
        },
        s.id,
      );
      expect(outcome).toMatchObject({
        status: 'indeterminate',
        findings: [{ code: 'after_incomplete', severity: 'warning', detail: { step: 'tidy' } }],
      });
      expect(outcome).not.toHaveProperty('receipt');
      expect(await columnsOf(store, s.table)).toEqual(['double', 'id', 'value']);
      const again = { ...s.options, deadlineMs: 200 };
      const refused = { status: 'refused', findings: [{ code: 'after_incomplete', severity: 'error' }] };
      expect(await applyMigration(again, s.id)).toMatchObject(refused);
      expect(await rollbackMigration(again, s.id)).toMatchObject(refused);
      expect(await recoverRuns(again)).toMatchObject({
        status: 'indeterminate',
        completed: [],
        findings: [{ code: 'after_incomplete' }],
      });
    });
    expect(await recoverRuns(s.options)).toMatchObject({
      status: 'recovered',
      completed: [{ receipt: { validation: { status: 'pass', checks: expect.arrayContaining([TIDIED]) } } }],
    });
    expect(await columnsOf(store, `${s.table}_scratch`)).toEqual([]);
    await expectWhole(s.root, 'committed');
  });

  it('tells in the receipt of work after the commit that failed for good', async () => {
    await using s = await scene();
    const failing: MigrationKind = {
      ...doubleKind,
      apply: (bound) => [
        ...doubleKind.apply(bound),
        {
          mode: 'after',
          name: 'check',
          run: async ({ store: given }) => {
            await given.query(sql`select 1 / 0`);
            return { findings: [] };
          },
        },
      ],
    };
    expect(await applyMigration({ ...s.options, kinds: [failing] }, s.id)).toMatchObject({
      status: 'applied',
      receipt: {
        receipt: {
          validation: {
            status: 'fail',
            checks: expect.arrayContaining([TIDIED, { name: 'after: check', status: 'fail' }]),
            findings: [{ code: 'sql_invalid', subject: 'check' }],
          },
        },
      },
    });
    expect(await rollbackMigration(s.options, s.id)).toMatchObject({ status: 'applied' });
  });

  describe.skipIf(!canMount)('on a full disk', () => {
    async function smallDisk(): Promise<
      AsyncDisposable & { readonly place: string; readonly fill: () => Promise<void> }
    > {
      const place = await mkdtemp(join(tmpdir(), 'varve-disk-'));
      shell(`mount -t tmpfs -o size=3m none ${place}`);
      return {
        place,
        fill: async () => {
          const { bavail, bsize } = await statfs(place);
          await writeFile(join(place, 'filler'), new Uint8Array(bavail * bsize));
        },
        [Symbol.asyncDispose]: async () => {
          shell(`umount ${place}`);
          await rm(place, { recursive: true, force: true });
        },
      };
    }

    it('F15 a run is refused before it begins', async () => {
      await using disk = await smallDisk();
      await using s = await scene(disk.place);
      await disk.fill();
      expect(await applyMigration(s.options, s.id)).toMatchObject({
        status: 'refused',
        findings: [{ code: 'evidence_unwritable' }],
      });
      expect(await columnsOf(store, s.table)).toEqual(['id', 'value']);
      await rm(join(disk.place, 'filler'));
      expect(await applyMigration(s.options, s.id)).toMatchObject({ status: 'applied' });
      await expectWhole(s.root, 'committed');
    });

    it('F15 M66 a receipt finds the room that was kept for it', async () => {
      await using disk = await smallDisk();
      await using s = await scene(disk.place);
      const fault = async (point: string): Promise<void> =>
        point === 'F17_receipt_announced' ? disk.fill() : undefined;
      expect(await applyMigration({ ...s.options, fault }, s.id)).toMatchObject({ status: 'applied' });
      await expectWhole(s.root, 'committed');
    });

    it('F15 M66 that leaves no room at all after the commit is told by 5, and recovered once there is room', async () => {
      await using disk = await smallDisk();
      await using s = await scene(disk.place);
      const fault = async (point: string): Promise<void> => {
        if (point !== 'F16_verified') return;
        const [run = ''] = await readdir(join(s.root, 'runs'));
        await rm(join(s.root, 'runs', run, 'reserve'));
        await disk.fill();
      };
      expect(await applyMigration({ ...s.options, fault }, s.id)).toMatchObject({
        status: 'indeterminate',
        findings: [{ code: 'evidence_not_written', detail: { reason: 'ENOSPC' } }],
      });
      expect(await columnsOf(store, s.table)).toEqual(['double', 'id', 'value']);
      await rm(join(disk.place, 'filler'));
      expect(await recoverRuns(s.options)).toMatchObject({ status: 'recovered' });
      await expectWhole(s.root, 'committed');
    });

    it('F15 midway, takes the work back', async () => {
      await using disk = await smallDisk();
      await using s = await scene(disk.place);
      const fault = async (point: string): Promise<void> =>
        point === 'F10_observed' ? disk.fill() : undefined;
      expect(await applyMigration({ ...s.options, fault }, s.id)).toMatchObject({ status: 'rolled_back' });
      expect(await columnsOf(store, `${s.table}_next`)).toEqual([]);
      await expectWhole(s.root, 'rolled_back');
    });
  });
});

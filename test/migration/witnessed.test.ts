import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyAll } from '../../src/evidence/index.ts';
import {
  applyMigration,
  folderReader,
  readStatus,
  recoverRuns,
  rehearseMigration,
  rollbackMigration,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { addressOf, confinedOptions, confinedServer, type ConfinedServer } from './confined-server.ts';
import { forgetLedger, migrationsFolder } from './fixture.ts';
import { PG_ID, planSql, type SqlBundle } from './sql-bundle.ts';
import { startRun } from './start-run.ts';

const stores = process.env['VARVE_TEST_STORES'];
const isWanted = stores?.split(',').includes('postgres-18') ?? true;

describe.skipIf(!isWanted)('a witnessed run on PostgreSQL', () => {
  let given: ConfinedServer;
  beforeAll(async () => {
    given = await confinedServer({ isLogical: true, durable: true });
  }, 60_000);
  afterAll(() => given[Symbol.asyncDispose]());

  interface Scene extends AsyncDisposable {
    readonly options: RunnerOptions;
    readonly schema: string;
  }

  /** A planned bundle of its own, in a database without earlier runs. */
  async function scene(
    bundle: Omit<SqlBundle, 'schema'>,
    before: (schema: string, owner: string) => string = () => '',
  ): Promise<Scene> {
    await forgetLedger(given.store);
    const folder = await migrationsFolder();
    const { schema, owner } = await given.scene();
    await given.store.script(before(schema, owner));
    const options = confinedOptions(given, folder.root);
    const planned = await planSql(options, {
      tables: ['plot'],
      forbiddenTables: ['secret'],
      rollback: 'drop table if exists nothing_at_all',
      ...bundle,
      schema,
    });
    expect(planned.status, JSON.stringify(planned.findings)).toBe('planned');
    return { options, schema, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
  }

  const prepared = (): Promise<readonly unknown[]> =>
    given.store.query(sql`select gid from pg_prepared_xacts`);
  const slots = (): Promise<readonly unknown[]> =>
    given.store.query(sql`select slot_name from pg_replication_slots`);
  async function areaOf(schema: string): Promise<unknown> {
    const [row] = await given.store.query(sql.raw(`select sum(area)::int as area from ${schema}.plot`));
    return row?.['area'];
  }
  async function expectNothingLeft({ options }: Scene): Promise<void> {
    expect(await prepared()).toEqual([]);
    expect(await slots()).toEqual([]);
    expect(
      await given.store.query(sql`select 1 from pg_auth_members where member = 'varve_runner'::regrole`),
    ).toEqual([]);
    expect((await readStatus(options)).unfinished).toEqual([]);
    expect((await verifyAll(folderReader(options.root))).findings).toEqual([]);
  }

  it('M81 M86 commits what the log agrees with, and the receipt says witnessed', async () => {
    await using s = await scene(
      {
        tables: ['plot', 'made', 'renamed', 'renamed_before', 'parted', 'gone'],
        forward: `
          update plot set area = area + 1; create table made (id int); insert into made select generate_series(1, 100);
          insert into parted values (1); truncate gone;
          insert into renamed_before values (1); alter table renamed_before rename to renamed; insert into renamed values (2);`,
        rollback: `drop table made; delete from parted; insert into gone values (1); update plot set area = area - 1;`,
      },
      (schema, owner) => `
        set role ${owner};
        create table ${schema}.parted (id int) partition by list (id);
        create table ${schema}.part partition of ${schema}.parted for values in (1);
        create table ${schema}.renamed_before (id int);
        create table ${schema}.gone (id int); insert into ${schema}.gone values (1);
        reset role;`,
    );
    const outcome = await applyMigration(s.options, PG_ID);
    expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({
      status: 'applied',
      enforcement: { level: 'witnessed', role: 'exact', layers: expect.arrayContaining(['L4', 'L9']) },
    });
    expect(await areaOf(s.schema)).toBe(20);
    await expectNothingLeft(s);
  }, 90_000);

  it('M86 the way back is witnessed as well', async () => {
    await using s = await scene({
      forward: 'update plot set area = area + 1',
      rollback: 'update plot set area = area - 1',
    });
    expect(await applyMigration(s.options, PG_ID)).toMatchObject({ status: 'applied' });
    const back = await rollbackMigration(s.options, PG_ID);
    expect(back, JSON.stringify(back.findings)).toMatchObject({
      status: 'applied',
      enforcement: { level: 'witnessed' },
    });
    await expectNothingLeft(s);
  }, 90_000);

  it('M86 a change that no counter saw, since a mighty function stopped counting, is seen in the log', async () => {
    await using s = await scene(
      { forward: 'select quiet()' },
      (schema, owner) => `
      create function ${schema}.quiet() returns void language sql security definer set track_counts = off as $$ insert into ${schema}.plot values (99, 0) $$;
      grant execute on function ${schema}.quiet() to ${owner};`,
    );
    const outcome = await applyMigration(s.options, PG_ID);
    expect(outcome.status, JSON.stringify(outcome.findings)).toBe('rolled_back');
    expect(outcome.findings).toContainEqual(
      expect.objectContaining({
        code: 'witness_disagrees',
        subject: `${s.schema}.plot`,
        detail: { logged: 1, counted: null },
      }),
    );
    expect(await areaOf(s.schema)).toBe(15);
    await expectNothingLeft(s);
  }, 90_000);

  it('M87 a verdict that is lost aborts, and no log opens behind another’s prepared transaction', async () => {
    await using s = await scene({ forward: 'update plot set area = 0' });
    const outcome = await applyMigration(
      {
        ...s.options,
        fault: async (point) => {
          if (point !== 'P05_prepared') return;
          await given.store.query(
            sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'varve_verify'`,
          );
        },
      },
      PG_ID,
    );
    expect(outcome.status).toBe('rolled_back');
    expect(outcome.findings.map(({ code }) => code)).toContain('witness_missing');
    expect(await areaOf(s.schema)).toBe(15);
    await expectNothingLeft(s);

    await given.store.transaction({ prepareAs: 'somebody' }, (transaction) =>
      transaction.execute(sql`insert into ${sql.id(s.schema, 'secret')} values (2, 'x')`),
    );
    const blocked = await applyMigration({ ...s.options, deadlineMs: 500 }, PG_ID);
    expect(blocked.findings.map(({ code }) => code)).toContain('witness_missing');
    expect(await areaOf(s.schema)).toBe(15);
    // That of another is left alone.
    expect(await prepared()).toEqual([{ gid: 'somebody' }]);
    await given.store.decidePrepared('somebody', 'rollback');
    await expectNothingLeft(s);
  }, 90_000);

  it.each([
    ['a temporary table', { forward: 'create temporary table t (id int)', statements: ['temporary_tables'] }],
    ['NOTIFY', { forward: `update plot set area = 1; notify somebody` }],
  ])(
    'M87 a script with %s is not witnessed, and its plan says so',
    async (_title, bundle) => {
      await using s = await scene(bundle);
      const outcome = await applyMigration(s.options, PG_ID);
      expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({
        status: 'applied',
        enforcement: { level: 'confined' },
      });
    },
    90_000,
  );

  it('M87 what only shows at PREPARE aborts', async () => {
    await using s = await scene(
      { forward: 'select hidden()' },
      (schema, owner) => `
      create function ${schema}.hidden() returns void language plpgsql as $$ begin perform pg_notify('somebody', 'x'); update ${schema}.plot set area = 0; end $$;
      alter function ${schema}.hidden() owner to ${owner};`,
    );
    const outcome = await applyMigration(s.options, PG_ID);
    expect(outcome.status, JSON.stringify(outcome.findings)).toBe('rolled_back');
    expect(outcome.findings).toContainEqual(
      expect.objectContaining({ code: 'witness_missing', detail: { reason: 'not_preparable' } }),
    );
    expect(await areaOf(s.schema)).toBe(15);
    await expectNothingLeft(s);
  }, 90_000);

  it('rehearses on a copy with both logins', async () => {
    await using s = await scene({
      forward: 'alter table plot add column x int',
      rollback: 'alter table plot drop column x',
    });
    const outcome = await rehearseMigration(s.options, PG_ID);
    expect(outcome.status, JSON.stringify(outcome.findings)).toBe('rehearsed');
    await expectNothingLeft(s);
  }, 90_000);

  it.each([
    ['P05_prepared', 'recover', 15],
    ['P05_prepared', 'apply', 0],
    ['P06_witnessed', 'recover', 0],
    ['P06_witnessed', 'apply', 0],
    ['P06_witnessed', 'recover elsewhere', 15],
  ] as const)(
    'M88 F14 a runner killed at %s, ended by %s, comes to the one true end',
    async (point, verb, area) => {
      await using s = await scene({ forward: 'update plot set area = 0', forbiddenTables: [] });
      expect(await child(given, s.options.root, 'apply', point)).toEqual({
        signal: 'SIGKILL',
        status: undefined,
      });
      expect(await prepared()).toHaveLength(1);
      // The verdict is on the disk of the runner alone.
      if (verb === 'recover elsewhere')
        for (const lost of ['runs', 'evidence']) await rm(join(s.options.root, lost), { recursive: true });
      const [word = ''] = verb.split(' ');
      const ended = await child(given, s.options.root, word);
      expect(ended).toEqual({ signal: null, status: word === 'apply' ? 'applied' : 'recovered' });
      expect(await areaOf(s.schema)).toBe(area);
      await expectNothingLeft(s);
    },
    90_000,
  );

  it.each([
    ['P05_prepared', 'rolled_back', 15],
    ['P06_witnessed', 'applied', 0],
  ] as const)(
    'F14 a server killed at %s: the run is %s',
    async (point, status, area) => {
      await using s = await scene({ forward: 'update plot set area = 0' });
      const fault = async (reached: string): Promise<void> => {
        if (reached !== point) return;
        await given.server.crash();
        await given.server.restart();
      };
      const outcome = await applyMigration({ ...s.options, fault }, PG_ID);
      // The lock went with the server, so that a runner may have to be called once more.
      if (outcome.status !== status) {
        const recovered = await recoverRuns(s.options);
        expect(recovered.status, JSON.stringify(recovered.findings)).toBe('recovered');
      }
      expect(await areaOf(s.schema)).toBe(area);
      await expectNothingLeft(s);
    },
    90_000,
  );
});

async function child(
  given: ConfinedServer,
  root: string,
  verb: string,
  point?: string,
): Promise<{ readonly signal: string | null; readonly status: string | undefined }> {
  const env = {
    VARVE_TEST_RUNNER: addressOf(given.server.url, 'varve_runner'),
    VARVE_TEST_VERIFY: addressOf(given.server.url, 'varve_verify'),
  };
  const about = { address: given.server.url, root, verb, id: PG_ID, env };
  const { signal, status } = await startRun({ ...about, ...(point === undefined ? {} : { point }) });
  return { signal, status };
}

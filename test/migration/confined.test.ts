import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyAll } from '../../src/evidence/index.ts';
import {
  applyMigration,
  folderReader,
  planMigration,
  readStatus,
  rollbackMigration,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { installCatalog, postgresStore, readCatalogFiles } from '../../src/store/postgres/index.ts';
import {
  addressOf,
  confinedOptions,
  confinedServer,
  rolesScript,
  type ConfinedServer,
} from './confined-server.ts';
import { FAULT_CASES } from './fault-case.ts';
import { forgetLedger, migrationsFolder } from './fixture.ts';
import { PG_ID, planSql, type SqlBundle } from './sql-bundle.ts';
import { startRun } from './start-run.ts';

const stores = process.env['VARVE_TEST_STORES'];
const NO_WAY_BACK = 'drop table if exists nothing_at_all';
const isWanted = stores?.split(',').includes('postgres-18') ?? true;

describe.skipIf(!isWanted)('a confined run on PostgreSQL', () => {
  let given: ConfinedServer;
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let options: RunnerOptions;
  let count = 0;
  beforeAll(async () => {
    given = await confinedServer();
    folder = await migrationsFolder();
    options = confinedOptions(given, folder.root);
  }, 60_000);
  afterAll(async () => {
    await folder[Symbol.asyncDispose]();
    await given[Symbol.asyncDispose]();
  });

  /** What the runner's login is lent just now. */
  async function lent(): Promise<readonly string[]> {
    const rows = await given.store.query<{ role: string }>(sql`
      select roleid::regrole::text as role from pg_auth_members where member = 'varve_runner'::regrole order by 1`);
    return rows.map(({ role }) => role);
  }

  /** Runs a script whose scope is `plot`; `secret` is protected. */
  async function run(
    bundle: Omit<SqlBundle, 'schema'>,
    before: (scene: { schema: string; owner: string }) => string = () => '',
  ): Promise<Awaited<ReturnType<typeof applyMigration>> & { readonly schema: string }> {
    const scene = await given.scene();
    await given.store.script(before(scene));
    count += 1;
    const id = `PG-MIG-2026-06-01-${String(count).padStart(2, '0')}`;
    const { schema } = scene;
    const planned = await planSql(options, {
      tables: ['plot'],
      forbiddenTables: ['secret'],
      rollback: NO_WAY_BACK,
      ...bundle,
      forward: bundle.forward.replaceAll(':s', schema),
      ...(bundle.invariants === undefined
        ? {}
        : {
            invariants: bundle.invariants.map((each) => ({
              ...each,
              query: each.query.replaceAll(':s', schema),
            })),
          }),
      id,
      schema,
    });
    expect(planned.status, JSON.stringify(planned.findings)).toBe('planned');
    return { ...(await applyMigration(options, id)), schema };
  }

  it('M93 a run that may not begin leaves no session of its login behind', async () => {
    const { schema } = await given.scene();
    count += 1;
    const id = `PG-MIG-2026-06-01-${String(count).padStart(2, '0')}`;
    await planSql(options, {
      id,
      schema,
      tables: ['plot'],
      forward: 'update plot set area = 1',
      rollback: NO_WAY_BACK,
    });
    await using lock = await given.store.tryLock('migration');
    expect(lock).toBeDefined();
    expect(await applyMigration(options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'run_in_progress' }],
    });
    await expect
      .poll(() => given.store.query(sql`select from pg_stat_activity where usename = 'varve_runner'`))
      .toEqual([]);
    expect(await lent()).toEqual([]);
  });

  it('M84 M85 is lent the role that owns the allowed tables and nothing else, there and back', async () => {
    const { schema, owner } = await given.scene();
    const planned = await planSql(options, {
      schema,
      tables: ['plot', 'note'],
      forbiddenTables: ['secret'],
      forward: `alter table plot add column name text; update plot set name = 'x'; create table note (id int);`,
      rollback: `drop table note; alter table plot drop column name;`,
    });
    expect(planned.findings).toEqual([]);
    const outcome = await applyMigration(options, PG_ID);
    expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({
      status: 'applied',
      enforcement: { level: 'confined', role: 'exact', layers: expect.arrayContaining(['L2', 'L3', 'L4']) },
    });
    expect(await lent()).toEqual([]);
    expect(await given.store.query(sql`select tableowner from pg_tables where tablename = 'note'`)).toEqual([
      { tableowner: owner },
    ]);
    const back = await rollbackMigration(options, PG_ID);
    expect(back, JSON.stringify(back.findings)).toMatchObject({
      status: 'applied',
      enforcement: { level: 'confined', role: 'exact' },
    });
    expect(await lent()).toEqual([]);
    expect((await readStatus(options)).unfinished).toEqual([]);
    expect((await verifyAll(folderReader(options.root))).findings).toEqual([]);
  }, 60_000);

  it.each([
    [
      'owns a table out of scope',
      (s: string, o: string) => `create table ${s}.lone (id int); alter table ${s}.lone owner to ${o};`,
    ],
    ['may write to a table out of scope', (s: string, o: string) => `grant insert on ${s}.secret to ${o};`],
    [
      'may write to a column of a table out of scope',
      (s: string, o: string) => `grant update (place) on ${s}.secret to ${o};`,
    ],
    [
      'may make objects in a schema out of scope',
      (s: string, o: string) => `create schema ${s}_other authorization ${o};`,
    ],
    ['is a member of a role of the server', (_: string, o: string) => `grant pg_write_all_data to ${o};`],
    ['may make roles', (_: string, o: string) => `alter role ${o} createrole;`],
  ])(
    'M85 says wide, and stays below confined, where the lent role %s',
    async (_title, wider) => {
      const outcome = await run({ forward: 'update plot set area = 0' }, ({ schema, owner }) =>
        wider(schema, owner),
      );
      expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({
        status: 'applied',
        enforcement: { level: 'guarded', role: 'wide' },
      });
      expect(await lent()).toEqual([]);
    },
    60_000,
  );

  it('M109 keeps what it overwrites though it may read nothing of it, and its way back gives it back', async () => {
    const { schema } = await given.scene();
    const id = 'PG-MIG-2026-06-09-01';
    const planned = await planSql(options, {
      id,
      schema,
      tables: ['plot'],
      forbiddenTables: ['secret'],
      forward: `update plot set area = 0; delete from plot where id = 1`,
      rollback: `insert into plot select * from varve.captured(null::plot) c where c.id = 1;
        update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id`,
    });
    expect(planned.findings).toEqual([]);
    const outcome = await applyMigration(options, id);
    expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({
      status: 'applied',
      enforcement: { level: 'confined', role: 'exact' },
    });
    const back = await rollbackMigration(options, id);
    expect(back, JSON.stringify(back.findings)).toMatchObject({
      status: 'applied',
      enforcement: { level: 'confined' },
      receipt: { receipt: { proof: { status: 'equal' } } },
    });
    const nosy = await run({ forward: 'select count(*) from varve.captured_row' });
    expect(nosy.status).not.toBe('applied');
    const grants = await given.store.query(sql`
      select from pg_class c, aclexplode(c.relacl) a where c.relnamespace = 'varve'::regnamespace
        and a.grantee not in (c.relowner) and c.relname like 'captured%'`);
    expect(grants).toEqual([]);
  }, 60_000);

  it('M75 claims no login where the tables belong to a superuser, or to two roles', async () => {
    for (const owner of ['postgres', 'other']) {
      const outcome = await run({ forward: 'update plot set area = 0' }, ({ schema }) =>
        owner === 'postgres'
          ? `alter table ${schema}.plot owner to postgres;`
          : `create role ${schema}_other; create table ${schema}.more (id int); alter table ${schema}.more owner to ${schema}_other;`,
      );
      const two = owner === 'postgres' ? { role: 'none' } : { role: 'exact' };
      expect(outcome).toMatchObject({ status: 'applied', enforcement: two });
    }
    const outcome = await run(
      { forward: 'update plot set area = 0', tables: ['plot', 'more'] },
      ({ schema }) =>
        `create role ${schema}_more; create table ${schema}.more (id int); alter table ${schema}.more owner to ${schema}_more;`,
    );
    expect(outcome).toMatchObject({ status: 'applied', enforcement: { level: 'guarded', role: 'none' } });
    expect('enforcement' in outcome && outcome.enforcement.layers).not.toContain('L4');
  }, 60_000);

  const become = (words: string): string => `do $$ begin execute '${words}'; end $$`;
  it.each([
    ['F5 RESET ROLE leads to a login that may nothing', become('reset role'), ['settings_changed']],
    [
      'F5 and with it nothing is written',
      `${become('reset role')}; update plot set area = 0`,
      ['statement_failed'],
    ],
    ['F5 the owner of the guards cannot be regained', become('set role varve_owner'), ['statement_failed']],
    ['F5 nor a superuser', become('set role postgres'), ['statement_failed']],
    [
      'F5 SET SESSION AUTHORIZATION is denied',
      become('set session authorization postgres'),
      ['statement_failed'],
    ],
    [
      'F5 nor by the setting',
      become(`select set_con' || 'fig(''role'', ''postgres'', true)`),
      ['statement_failed'],
    ],
    [
      'F6 the replication role is denied',
      become(`select set_con' || 'fig(''session_replication_role'', ''replica'', true)`),
      ['statement_failed'],
    ],
    [
      'F6 event triggers are not its own to drop',
      become('drop event trigger varve_note_ddl'),
      ['statement_failed'],
    ],
    [
      'F6 nor the guards of a protected table',
      become('drop trigger varve_deny on :s.secret'),
      ['statement_failed'],
    ],
    ['F6 nor the schema of the guards', become('drop schema varve cascade'), ['statement_failed']],
    [
      'F6 nor the function that takes them away',
      become('select varve.disarm_guards(null, null)'),
      ['statement_failed'],
    ],
    ['F6 counting cannot be switched off', become('set local track_counts = off'), ['statement_failed']],
    ['F7 a system catalog', become('update pg_class set relname = relname'), ['statement_failed']],
    ['F8 COPY PROGRAM', become(`copy :s.plot to program ''cat''`), ['statement_failed']],
    ['F8 a file of the server', become(`select pg_read_' || 'file(''/etc/passwd'')`), ['statement_failed']],
    [
      'F8 an untrusted language',
      become(`create function :s.f() returns int language c as ''x'', ''y''`),
      ['statement_failed'],
    ],
    [
      'the ledger is out of reach',
      become('insert into varve.ledger select * from varve.ledger'),
      ['statement_failed'],
    ],
    ['and cannot be read', become('select count(*) from varve.ledger'), ['statement_failed']],
  ])(
    '%s',
    async (_title, forward, codes) => {
      const outcome = await run({ forward, statements: ['do', 'dynamic_sql'] });
      expect(outcome.status, JSON.stringify(outcome.findings)).toBe('rolled_back');
      expect(outcome.findings.map(({ code }) => code)).toEqual(expect.arrayContaining(codes));
      expect(
        await given.store.query(
          sql.raw(
            `select (select sum(area) from ${outcome.schema}.plot)::int as area, (select place from ${outcome.schema}.secret) as place`,
          ),
        ),
      ).toEqual([{ area: 15, place: 'kept' }]);
      expect(await lent()).toEqual([]);
    },
    60_000,
  );

  it.each([
    ['a definer function of a mighty user', `select :s.leak()`],
    ['a trigger that a mighty user made', `update plot set area = 1`],
  ])(
    'F2 %s writes a protected table, and the guard tells which',
    async (_title, forward) => {
      const outcome = await run(
        { forward },
        ({ schema, owner }) => `
      create function ${schema}.leak() returns void language sql security definer as $$ update ${schema}.secret set place = 'lost' $$;
      create function ${schema}.leak_row() returns trigger language plpgsql security definer as $$ begin update ${schema}.secret set place = 'lost'; return null; end $$;
      create trigger leak after update on ${schema}.plot for each row execute function ${schema}.leak_row();
      grant execute on function ${schema}.leak(), ${schema}.leak_row() to ${owner};`,
      );
      expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({
        status: 'rolled_back',
        findings: [
          expect.objectContaining({ code: 'protected_domain_changed', subject: `${outcome.schema}.secret` }),
        ],
      });
    },
    60_000,
  );

  it('a query of the declaration that calls what the script made may no more than the script', async () => {
    const outcome = await run({
      forward: `create function become() returns bool language plpgsql as $$ begin execute 'set local role varve_owner'; return true; end $$`,
      objects: ['become'],
      statements: ['dynamic_sql'],
      invariants: [{ name: 'harmless', query: 'select :s.become()', expect: true }],
    });
    expect(outcome.status).toBe('rolled_back');
    expect(outcome.findings.map(({ code }) => code)).toContain('invariant_failed');
  }, 60_000);

  it('a member of the owner is found before the script, and the run ends', async () => {
    const outcome = await run(
      { forward: 'update plot set area = 0' },
      ({ owner }) => `grant varve_owner to ${owner};`,
    );
    expect(outcome).toMatchObject({ status: 'rolled_back' });
    expect(outcome.findings).toContainEqual(
      expect.objectContaining({
        code: 'permission_denied',
        detail: expect.objectContaining({ reason: 'still_member' }),
      }),
    );
  }, 60_000);

  it('M74 prod, which asks for confined, plans it with the login and refuses without', async () => {
    const { schema } = await given.scene();
    const bundle = {
      schema,
      tables: ['plot'],
      forward: 'update plot set area = 0',
      id: 'PG-MIG-2026-06-02-01',
      rollback: NO_WAY_BACK,
    };
    const { runnerLogin: _, ...without } = { ...options, environment: 'prod' } as const;
    const planned = await planSql({ ...options, environment: 'prod' }, bundle);
    expect(planned.findings.map(({ code }) => code)).not.toContain('level_too_low');
    expect((await planMigration(without, bundle.id)).findings).toContainEqual(
      expect.objectContaining({
        code: 'level_too_low',
        detail: expect.objectContaining({ least: 'confined' }),
      }),
    );
  }, 60_000);

  it('a login that is another user, or another database’s, runs nothing', async () => {
    await given.store.script('create database elsewhere');
    const there = new URL(addressOf(given.server.url, 'varve_runner'));
    there.pathname = '/elsewhere';
    const address = new URL(given.server.url);
    address.pathname = '/elsewhere';
    await using elsewhere = await postgresStore({ url: address.href, poolSize: 1 });
    await installCatalog(elsewhere, { files: await readCatalogFiles() });
    await elsewhere.script(await rolesScript());
    const logins = [
      { open: () => postgresStore({ url: given.server.url, poolSize: 1 }) },
      { open: () => postgresStore({ url: there.href, poolSize: 1 }) },
    ];
    for (const [index, runnerLogin] of logins.entries()) {
      const { schema } = await given.scene();
      const id = `PG-MIG-2026-06-03-0${String(index + 1)}`;
      const strange = { ...options, runnerLogin };
      await planSql(strange, {
        schema,
        tables: ['plot'],
        forward: 'update plot set area = 0',
        rollback: NO_WAY_BACK,
        id,
      });
      const outcome = await applyMigration(strange, id);
      expect(outcome.status, JSON.stringify(outcome.findings)).toBe('rolled_back');
      expect(outcome.findings.map(({ code }) => code)).toContain('permission_denied');
      expect(await lent()).toEqual([]);
    }
  }, 60_000);

  it('the script of the roles runs again', async () => {
    await given.store.script(await rolesScript());
    expect(await run({ forward: 'update plot set area = 0' })).toMatchObject({
      status: 'applied',
      enforcement: { level: 'confined' },
    });
  }, 60_000);

  it('M109 M84 what a confined run overwrites is kept, its way back reads that, and nothing else of varve is open to it', async () => {
    const { schema } = await given.scene();
    const planned = await planSql(options, {
      id: 'PG-MIG-2026-06-30-01',
      schema,
      tables: ['plot'],
      forbiddenTables: ['secret'],
      forward:
        'alter table plot add column x int; update plot set x = id; alter table plot drop column area;',
      rollback: `alter table plot drop column x; alter table plot add column area float8;
        update plot p set area = c.area from varve.captured(null::plot) c where c.id = p.id;
        alter table plot alter column area set not null;`,
    });
    expect(planned.findings).toEqual([]);
    const before = await given.store.query(sql`select area from ${sql.id(schema, 'plot')} order by id`);
    const outcome = await applyMigration(options, 'PG-MIG-2026-06-30-01');
    expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({
      status: 'applied',
      enforcement: { level: 'confined', role: 'exact' },
    });
    const back = await rollbackMigration(options, 'PG-MIG-2026-06-30-01');
    expect(back, JSON.stringify(back.findings)).toMatchObject({
      status: 'applied',
      receipt: { receipt: { proof: { status: 'equal' }, rollback: { class: 'restore_from_capture' } } },
    });
    expect(await given.store.query(sql`select area from ${sql.id(schema, 'plot')} order by id`)).toEqual(
      before,
    );
    expect(
      await given.store
        .query(sql`select p.proname from pg_proc p join pg_roles r on r.rolname not in ('varve_owner', current_user)
        and not r.rolsuper and r.rolname !~ '^pg_' and not pg_has_role(r.oid, 'varve_owner', 'member') where p.pronamespace = 'varve'::regnamespace and p.proname ~ '^(arm_|disarm_|captured|capture_table)'
        and has_function_privilege(r.oid, p.oid, 'execute')`),
    ).toEqual([]);
    const reading = await run({
      forward: 'create table plot_copy as select * from varve.captured_row',
      tables: ['plot', 'plot_copy'],
    });
    expect(reading, JSON.stringify(reading)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'construct_refused', detail: { reason: 'own_catalog' } }],
    });
  }, 60_000);

  it.each(
    ['P00_lent', 'F08_deciding', 'P01_guarded', 'P02_statement', 'P03_observed', 'F12_ledger_row'].map(
      (point, index) => [point, index % 2 === 0 ? 'recover' : 'apply'] as const,
    ),
  )(
    'M84 F14 what was lent at %s, where the runner was killed, is taken back by %s',
    async (point, verb) => {
      await using own = await migrationsFolder();
      await forgetLedger(given.store);
      const { schema, owner } = await given.scene();
      const mine = confinedOptions(given, own.root);
      await planSql(mine, {
        schema,
        tables: ['plot'],
        forward: 'alter table plot add column x int; update plot set x = id;',
        rollback: 'alter table plot drop column x;',
      });
      expect(await child(given, own.root, 'apply', point)).toEqual({ signal: 'SIGKILL', status: undefined });
      expect(await lent()).toContain(owner);
      const ended = await child(given, own.root, verb);
      expect(ended).toEqual({ signal: null, status: verb === 'apply' ? 'applied' : 'recovered' });
      expect(await lent()).toEqual([]);
      expect((await readStatus(mine)).unfinished).toEqual([]);
      expect((await verifyAll(folderReader(own.root))).findings).toEqual([]);
      const [row] = await given.store.query(sql`
      select count(*)::int as columns from pg_attribute where attrelid = to_regclass(${`${schema}.plot`}) and attname = 'x'`);
      expect(row).toEqual({ columns: verb === 'apply' ? 1 : 0 });
      expect(await given.store.query(sql`select evtname from pg_event_trigger`)).toEqual([]);
    },
    60_000,
  );

  it.each(['P02_statement', 'F13_committed'])(
    'M84 what was lent at %s is taken back by who settles the run without its bundle',
    async (point) => {
      await using own = await migrationsFolder();
      await forgetLedger(given.store);
      const { schema, owner } = await given.scene();
      const mine = confinedOptions(given, own.root);
      await planSql(mine, {
        schema,
        tables: ['plot'],
        forward: 'alter table plot add column x int;',
        rollback: 'alter table plot drop column x;',
      });
      expect(await child(given, own.root, 'apply', point)).toEqual({ signal: 'SIGKILL', status: undefined });
      // As after a kill behind the commit, when the session's own end could not take it back.
      await given.store.script(`grant varve_owner to varve_runner; grant ${owner} to varve_runner`);
      await rm(join(own.root, 'postgis'), { recursive: true });
      await child(given, own.root, 'recover');
      const left = await lent();
      await forgetLedger(given.store);
      expect(left).toEqual([]);
    },
    60_000,
  );

  const seen = FAULT_CASES.filter(({ title, end }) => end === 'rolled_back' && /^F[1269] /u.test(title));
  it('there are fault cases to run with the login', () => expect(seen.length).toBeGreaterThan(10));
  it.each(seen.map((fault) => [fault.title, fault] as const))(
    '%s, with the login',
    async (_title, fault) => {
      const { schema, owner } = await given.scene();
      await given.store.script(`drop table ${schema}.plot, ${schema}.secret`);
      const named = (text: string): string => text.replaceAll(':s', schema);
      await given.store.script(named(fault.given));
      // What is in scope belongs to the lent role, all else to the superuser.
      for (const table of fault.bundle.tables ?? [])
        await given.store.script(`alter table if exists ${schema}.${table} owner to ${owner}`);
      count += 1;
      const id = `PG-MIG-2026-06-${String(4 + Math.floor(count / 99)).padStart(2, '0')}-${String((count % 99) + 1).padStart(2, '0')}`;
      const planned = await planSql(options, {
        ...fault.bundle,
        id,
        schema,
        forward: named(fault.bundle.forward),
        rollback: 'drop table if exists nothing_at_all',
      });
      expect(planned.findings).toEqual([]);
      const outcome = await applyMigration(options, id);
      expect(outcome.status, JSON.stringify(outcome.findings)).toBe('rolled_back');
      expect(await given.store.query(sql.raw(named(fault.after)))).toEqual([{ state: fault.wantAfter }]);
      expect(await lent()).toEqual([]);
    },
    60_000,
  );
});

async function child(
  given: ConfinedServer,
  root: string,
  verb: string,
  point?: string,
): Promise<{ readonly signal: string | null; readonly status: string | undefined }> {
  const env = { VARVE_TEST_RUNNER: addressOf(given.server.url, 'varve_runner') };
  const about = { address: given.server.url, root, verb, id: PG_ID, env };
  const { signal, status } = await startRun({ ...about, ...(point === undefined ? {} : { point }) });
  return { signal, status };
}

import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApprovedException } from '../../src/evidence/index.ts';
import {
  applyMigration,
  approveMigration,
  createKeyPair,
  DEFAULT_SETTINGS,
  readSignerReference,
  registerKey,
  rehearseMigration,
  type RunnerOptions,
  type RunOutcome,
} from '../../src/migration/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { migrationsFolder } from './fixture.ts';
import { planSql, sqlOptions, type SqlBundle } from './sql-bundle.ts';

function suite(given: StoreUnderTest): void {
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let options: RunnerOptions;
  let approver: Awaited<ReturnType<typeof readSignerReference>>;
  let count = 0;
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
    const plain = sqlOptions(given.store, folder.root);
    // Small numbers, so that a test needs no million of rows.
    const settings = {
      ...DEFAULT_SETTINGS,
      ...plain.settings,
      large: { ...DEFAULT_SETTINGS.large, indexRows: 5, backfillRows: 3 },
    };
    options = { ...plain, settings };
    const { privatePem, publicKey } = createKeyPair();
    approver = await readSignerReference('test', privatePem);
    await registerKey(folder.root, options.clock, {
      principal: 'user:eve',
      publicKey,
      role: 'approver',
      environments: ['dev'],
    });
  }, 60_000);
  afterAll(() => folder[Symbol.asyncDispose]());

  /** Runs a script on a table of five rows, with what was allowed before. */
  async function run(
    forward: string,
    about: Partial<SqlBundle> & {
      readonly given?: string;
      readonly except?: (schema: string) => readonly ApprovedException[];
      readonly protects?: (schema: string) => readonly string[];
    } = {},
  ): Promise<RunOutcome & { readonly schema: string }> {
    const schema = await given.freshSchema();
    const { given: more = '', except, protects, ...bundle } = about;
    const own =
      protects === undefined
        ? options
        : {
            ...options,
            settings: {
              ...(options.settings ?? DEFAULT_SETTINGS),
              protected: { schemas: [], tables: protects(schema) },
            },
          };
    await given.store.script(`
      create table ${schema}.plot (id int primary key, area float8);
      insert into ${schema}.plot select i, i from generate_series(1, 5) i;
      ${more.replaceAll(':s', schema)}`);
    count += 1;
    const id = `PG-MIG-2026-07-01-${String(count).padStart(2, '0')}`;
    const planned = await planSql(own, {
      id,
      schema,
      tables: ['plot'],
      rollback: 'drop table if exists nothing_at_all',
      ...bundle,
      forward: forward.replaceAll(':s', schema),
    });
    expect(planned.status, JSON.stringify(planned.findings)).toBe('planned');
    if (except !== undefined) {
      if ('code' in approver) throw new Error('This key ought to be fine.');
      const exceptions = except(schema);
      const signed = await approveMigration(own, id, {
        principal: 'user:eve',
        grant: 'apply',
        signer: approver,
        exceptions,
      });
      expect(signed.status, JSON.stringify(signed)).toBe('approved');
    }
    return { ...(await applyMigration(own, id)), schema };
  }

  it.each([
    ['row security switched off', 'alter table plot disable row level security', 'row_security_off'],
    ['row security no longer forced', 'alter table plot no force row level security', 'row_security_off'],
    ['a policy dropped', 'drop policy own on plot', 'policy_dropped'],
    ['a policy loosened', 'alter policy own on plot using (true)', 'policy_changed'],
    [
      'a policy added, which lets more rows through',
      'create policy more on plot using (true)',
      'policy_added',
    ],
    ['a wider GRANT', 'grant select on plot to public', 'wider_grant'],
    ['a GRANT of a column’s table, WITH GRANT OPTION', 'grant all on plot to public', 'wider_grant'],
    ['a GRANT by dynamic SQL', `do $$ begin execute 'grant select on plot to public'; end $$`, 'wider_grant'],
  ])(
    'M59 %s wants a review, and is applied with a signature that names it',
    async (_title, forward, reason) => {
      const about = {
        statements: ['do', 'dynamic_sql'],
        given: `alter table :s.plot enable row level security, force row level security; create policy own on :s.plot using (id = 1);`,
      };
      const found = await run(forward, about);
      // Before anything runs where the text says it, else before the commit.
      expect(found.status, JSON.stringify(found.findings)).toBe(
        forward.startsWith('do ') ? 'rolled_back' : 'refused',
      );
      expect(found.findings).toContainEqual(
        expect.objectContaining({
          code: 'policy_reduced',
          severity: 'review',
          subject: `${found.schema}.plot`,
          detail: { reasons: [reason] },
        }),
      );
      const signed = await run(forward, {
        ...about,
        changeClass: 'governance-critical',
        except: (schema) => [{ code: 'policy_reduced', subject: `${schema}.plot`, ceiling: null }],
      });
      expect(signed.status, JSON.stringify(signed.findings)).toBe('applied');
    },
    60_000,
  );

  it('M59 a new function that acts as its owner wants a review', async () => {
    const found = await run(
      `create function area() returns int language sql security definer as 'select 1'`,
      {
        objects: ['area'],
      },
    );
    expect(found.findings).toContainEqual(
      expect.objectContaining({ code: 'policy_reduced', detail: { reasons: ['definer_function'] } }),
    );
  }, 60_000);

  it('M59 less than before, and what a script made itself, wants none', async () => {
    const found = await run(
      `revoke select on plot from public; alter table plot enable row level security; create table made (id int); grant select on made to public;
       create function area() returns int language sql as 'select 1'`,
      { tables: ['plot', 'made'], objects: ['area'], given: 'grant select on :s.plot to public;' },
    );
    expect(found.status, JSON.stringify(found.findings)).toBe('applied');
  }, 60_000);

  it('M59 M26 many rows written want a review, up to the number that was signed', async () => {
    const forward = 'update plot set area = 0 where id <= 3';
    const found = await run(forward);
    expect(found.findings).toContainEqual(
      expect.objectContaining({
        code: 'backfill_large',
        subject: `${found.schema}.plot`,
        detail: expect.objectContaining({ rows: 3 }),
      }),
    );
    expect((await run('update plot set area = 0 where id <= 2')).status).toBe('applied');
    const allowed = (ceiling: number) => (schema: string) => [
      { code: 'backfill_large', subject: `${schema}.plot`, ceiling },
    ];
    expect((await run(forward, { except: allowed(2) })).status).toBe('rolled_back');
    expect((await run(forward, { except: allowed(3) })).status).toBe('applied');
  }, 60_000);

  it('M59 M91 an index that is built CONCURRENTLY over many rows wants one as well, before it is built where that is known', async () => {
    const about = {
      phases: [{ file: 'forward.sql', mode: 'nontransactional' as const }],
      rollback: 'drop index plot_area',
    };
    const forward = 'create index concurrently plot_area on :s.plot (area)';
    const found = await run(forward, about);
    expect(found.status, JSON.stringify(found.findings)).toBe('rolled_back');
    const known = await run(forward, { ...about, given: 'analyze :s.plot' });
    expect(known.status, JSON.stringify(known.findings)).toBe('refused');
    for (const outcome of [found, known])
      expect(outcome.findings).toContainEqual(
        expect.objectContaining({
          code: 'index_rebuild_large',
          subject: `${outcome.schema}.plot`,
          detail: expect.objectContaining({ rows: 5 }),
        }),
      );
    const signed = await run(forward, {
      ...about,
      changeClass: 'review-required',
      given: 'analyze :s.plot',
      except: (schema) => [{ code: 'index_rebuild_large', subject: `${schema}.plot`, ceiling: 5 }],
    });
    expect(signed.status, JSON.stringify(signed.findings)).toBe('applied');
  }, 60_000);

  it('M59 an index over many rows wants a review, whether made or built anew', async () => {
    for (const forward of ['create index plot_area on plot (area)', 'reindex table plot']) {
      const found = await run(forward);
      expect(found.findings).toContainEqual(
        expect.objectContaining({
          code: 'index_rebuild_large',
          detail: expect.objectContaining({ rows: 5 }),
        }),
      );
    }
  }, 60_000);

  it('M26 an effect beyond its limit is committed where a signature allowed it, and not above its ceiling', async () => {
    const about = { limits: { max_row_backfill: 1 } };
    const forward = 'update plot set area = 0 where id <= 2';
    const excepted = (ceiling: number) => () => [
      { code: 'limit_exceeded', subject: 'max_row_backfill', ceiling },
    ];
    expect((await run(forward, about)).status).toBe('rolled_back');
    expect((await run(forward, { ...about, except: excepted(1) })).status).toBe('rolled_back');
    const outcome = await run(forward, { ...about, except: excepted(2) });
    expect(outcome.status, JSON.stringify(outcome.findings)).toBe('applied');
    if (outcome.status !== 'applied') return;
    expect(outcome.receipt.receipt.validation).toMatchObject({
      status: 'pass',
      findings: expect.arrayContaining([
        expect.objectContaining({
          code: 'limit_exceeded',
          severity: 'warning',
          detail: expect.objectContaining({ allowedBy: ['user:eve'] }),
        }),
      ]),
    });
  }, 60_000);

  it('M26 a rehearsal goes by the signatures that a run would go by', async () => {
    const schema = await given.freshSchema();
    await given.store.script(`create table ${schema}.plot (id int primary key, area float8);
      insert into ${schema}.plot select i, i from generate_series(1, 5) i`);
    count += 1;
    const id = `PG-MIG-2026-07-01-${String(count).padStart(2, '0')}`;
    await planSql(options, {
      id,
      schema,
      tables: ['plot'],
      limits: { max_row_backfill: 1 },
      forward: 'alter table plot add column note text; update plot set note = $$x$$ where id <= 2;',
      rollback: 'alter table plot drop column note',
    });
    expect(await rehearseMigration(options, id)).toMatchObject({
      status: 'failed',
      findings: expect.arrayContaining([expect.objectContaining({ code: 'limit_exceeded' })]),
    });
    if ('code' in approver) throw new Error('This key ought to be fine.');
    await approveMigration(options, id, {
      principal: 'user:eve',
      grant: 'apply',
      signer: approver,
      exceptions: [{ code: 'limit_exceeded', subject: 'max_row_backfill', ceiling: 2 }],
    });
    const signed = await rehearseMigration(options, id);
    expect(signed.status, JSON.stringify(signed.findings)).toBe('rehearsed');
  }, 180_000);

  it('M26 M27 a table of the project’s protected list is written where a signature names it', async () => {
    const protects = (schema: string): readonly string[] => [`${schema}.plot`];
    const forward = `do $$ begin execute 'update plot set area = 0 where id = 1'; end $$`;
    const about = { protects, statements: ['do', 'dynamic_sql'] };
    const found = await run(forward, about);
    expect(found.status).toBe('rolled_back');
    expect(found.findings.map(({ code }) => code)).toContain('protected_domain_changed');
    const outcome = await run(forward, {
      ...about,
      except: (schema) => [{ code: 'protected_domain_changed', subject: `${schema}.plot`, ceiling: null }],
    });
    expect(outcome.status, JSON.stringify(outcome.findings)).toBe('applied');
  }, 60_000);

  it('M126 notices are counted, and none of their words is in the receipt', async () => {
    const outcome = await run(
      `do $$ begin raise notice 'the place is %', 'Hidden Valley'; raise warning 'Hidden Valley'; end $$`,
      { statements: ['do'] },
    );
    expect(outcome.status, JSON.stringify(outcome.findings)).toBe('applied');
    if (outcome.status !== 'applied') return;
    expect(outcome.receipt.receipt.validation.findings).toContainEqual(
      expect.objectContaining({ code: 'notices_counted', severity: 'info', detail: { count: 2 } }),
    );
    expect(JSON.stringify(outcome)).not.toContain('Hidden');
  }, 60_000);
}

withEmbedded('what a run finds', suite);
withPostgres('what a run finds', 18, suite);

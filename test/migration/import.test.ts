import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { flywayChecksum } from '../../src/migration/import/flyway.ts';
import { graphileHash } from '../../src/migration/import/graphile.ts';
import {
  adoptedFindings,
  adoptHistory,
  applyMigration,
  findAdoptions,
  readAdopted,
  readStatus,
  rollbackMigration,
  verifyReceipts,
  type AdoptHistoryOptions,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { importedKind } from '../../src/migration/kind/imported/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { forgetLedger, runnerOptions } from './fixture.ts';

function suite(given: StoreUnderTest): void {
  let project: string;
  let options: RunnerOptions;

  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
  }, 60_000);

  beforeEach(async () => {
    project = await mkdtemp(join(tmpdir(), 'varve-import-'));
    options = { ...runnerOptions(given.store, join(project, 'migrations')), kinds: [importedKind] };
    await forgetLedger(given.store);
    await given.store.script(`
      drop table if exists public.flyway_schema_history; drop table if exists public._prisma_migrations;
      drop schema if exists graphile_migrate cascade; drop schema if exists other cascade;`);
    return () => rm(project, { recursive: true });
  });

  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(project, path)), { recursive: true });
    await writeFile(join(project, path), text);
  };
  /** What came of it, short: ids, and findings as code and subject. */
  const adopt = async (folder: string, more: Partial<AdoptHistoryOptions> = {}) => {
    const result = await adoptHistory(options, { folder, allApplied: false, ...more });
    const findings = result.findings.map(({ code, subject }) => `${code} ${subject}`);
    if (result.status === 'refused') return { status: result.status, findings };
    const { status, table, adopted, pending, migrationId, alreadyCount } = result;
    return {
      status,
      table,
      migrationId,
      alreadyCount,
      adopted: adopted.map(({ id }) => id),
      pending: pending.map(({ id }) => id),
      findings,
    };
  };
  const applyIt = async (id: string | undefined) => applyMigration(options, id ?? '');

  describe('Flyway', () => {
    const texts: Readonly<Record<string, string>> = {
      'db/V1__users.sql': 'create table users (id int);\n',
      'db/V2__more.sql': '\uFEFFcreate table more (id int);\r\ncreate table most (id int);\r\n',
      'db/R__views.sql': 'create or replace view v as select 1;\n',
      'db/V3__later.sql': 'create table later (id int);\n',
    };
    const row = (rank: number, version: string | null, description: string, about: FlywayAbout = {}) =>
      given.store.execute(sql`
        insert into public.flyway_schema_history (installed_rank, version, description, type, script, checksum,
          installed_by, execution_time, success)
        values (${rank}, ${version}, ${description}, ${about.type ?? 'SQL'}, 'x', ${about.checksum ?? null}::int, 'test', 1,
          ${about.success ?? true})`);
    interface FlywayAbout {
      readonly type?: string;
      readonly checksum?: string;
      readonly success?: boolean;
    }
    const checksum = (path: string): string => flywayChecksum(texts[path] ?? '');

    beforeEach(async () => {
      for (const [path, text] of Object.entries(texts)) await put(path, text);
      await given.store.script(FLYWAY_TABLE);
      await row(1, '1', 'users', { checksum: checksum('db/V1__users.sql') });
      await row(2, '2', 'more', { checksum: checksum('db/V2__more.sql') });
      await row(3, null, 'views', { checksum: checksum('db/R__views.sql') });
    });

    it('takes over what was applied with a run and a receipt of its own, and writes nothing else', async () => {
      const before = await tableRows(given.store, 'public.flyway_schema_history');
      const planned = await adopt('db');
      expect(planned).toMatchObject({
        status: 'planned',
        table: 'public.flyway_schema_history',
        adopted: ['V1', 'V2', 'R__views'],
        pending: ['V3'],
        findings: ['import_pending V3__later.sql'],
      });
      expect((await readStatus(options)).migrations).toMatchObject([{ status: 'pending' }]);
      const applied = await applyIt(planned.migrationId);
      expect(applied).toMatchObject({ status: 'applied', already: false, tables: [] });
      if (applied.status !== 'applied') return;
      expect(applied.receipt.receipt).toMatchObject({
        outcome: 'committed',
        enforcement: { level: 'observed' },
        validation: { status: 'pass' },
      });
      expect(applied.receipt.receipt.validation.checks).toContainEqual({
        name: 'nothing_written',
        status: 'pass',
      });
      expect(applied.receipt.receipt.inputs.map(({ path }) => path)).toContain('adopted_history.json');
      expect(await tableRows(given.store, 'public.flyway_schema_history')).toEqual(before);
      const status = await readStatus(options);
      const adopted = await readAdopted(options.root, status);
      expect(adopted.map(({ tool, item, file }) => [tool, item.id, item.checksum, file])).toEqual([
        ['flyway', 'V1', checksum('db/V1__users.sql'), 'same'],
        ['flyway', 'V2', checksum('db/V2__more.sql'), 'same'],
        ['flyway', 'R__views', checksum('db/R__views.sql'), 'same'],
      ]);
      expect((await verifyReceipts(options.root)).findings).toEqual([]);
      expect(await applyIt(planned.migrationId)).toMatchObject({ status: 'applied', already: true });
    });

    it('takes over only what is new when it is called again', async () => {
      const first = await adopt('db');
      expect(await adopt('db')).toMatchObject({
        status: 'nothing',
        alreadyCount: 3,
        migrationId: first.migrationId,
      });
      await applyIt(first.migrationId);
      expect(await adopt('db')).toMatchObject({ status: 'nothing', migrationId: undefined });
      await row(4, '3', 'later', { checksum: checksum('db/V3__later.sql') });
      const second = await adopt('db');
      expect(second).toMatchObject({ status: 'planned', adopted: ['V3'], alreadyCount: 3 });
      expect(await applyIt(second.migrationId)).toMatchObject({ status: 'applied' });
      expect(await readAdopted(options.root, await readStatus(options))).toHaveLength(4);
    });

    it('finds files that were changed or lost afterwards, and nothing in other line ends', async () => {
      await applyIt((await adopt('db')).migrationId);
      const drift = async () => {
        const adopted = await readAdopted(options.root, await readStatus(options));
        return adoptedFindings(adopted).map(
          ({ code, severity, subject }) => `${severity} ${code} ${subject}`,
        );
      };
      await put('db/V2__more.sql', 'create table more (id int);\ncreate table most (id int);\n');
      expect(await drift()).toEqual([]);
      await put('db/V1__users.sql', 'create table users (id bigint);\n');
      await put('db/R__views.sql', 'create or replace view v as select 2;\n');
      await rm(join(project, 'db/V2__more.sql'));
      expect(await drift()).toEqual([
        'error import_differs db/V1__users.sql',
        'error import_missing db/V2__more.sql',
        'warning import_differs db/R__views.sql',
      ]);
      expect((await adopt('db')).status).toBe('refused');
    });

    it('takes a repeatable migration over again once its tool has applied it again', async () => {
      const first = await adopt('db');
      const changed = 'create or replace view v as select 2;\n';
      await put('db/R__views.sql', changed);
      expect(await adopt('db')).toMatchObject({ status: 'nothing', pending: ['V3', 'R__views'] });
      await row(4, null, 'views', { checksum: flywayChecksum(changed) });
      const second = await adopt('db');
      expect(second).toMatchObject({ status: 'planned', adopted: ['R__views'], alreadyCount: 2 });
      // In another environment both are applied at once, in their order.
      const outcome = await applyIt(first.migrationId);
      expect(outcome).toMatchObject({ status: 'applied' });
      expect(await applyIt(second.migrationId)).toMatchObject({ status: 'applied' });
      const adopted = await readAdopted(options.root, await readStatus(options));
      expect(adopted.map(({ item, file }) => [item.id, file])).toEqual([
        ['V1', 'same'],
        ['V2', 'same'],
        ['R__views', 'same'],
      ]);
    });

    it('refuses what differs, what failed and what has no file', async () => {
      await put('db/V1__users.sql', 'create table users (id bigint);\n');
      await row(4, '3', 'later', { checksum: checksum('db/V3__later.sql'), success: false });
      await row(5, '4', 'lost', { checksum: '7' });
      expect(await adopt('db')).toEqual({
        status: 'refused',
        findings: ['import_differs V1__users.sql', 'import_failed V3__later.sql', 'import_missing V4'],
      });
      expect(await findAdoptions(options.root)).toEqual([]);
    });

    it('knows undone, deleted, baseline and Java entries', async () => {
      await row(4, '3', 'later', { checksum: checksum('db/V3__later.sql') });
      await row(5, '3', 'later', { type: 'UNDO_SQL', checksum: '1' });
      await row(6, '9', 'gone', { success: false });
      await row(7, '9', 'gone', { type: 'DELETE' });
      await row(8, '10', 'program', { type: 'JDBC' });
      await put('db/V0_5__old.sql', 'x');
      await row(0, '0.9', '<< Flyway Baseline >>', { type: 'BASELINE' });
      const result = await adoptHistory(options, { folder: 'db', allApplied: false });
      expect(result.findings.map(({ subject, detail }) => [subject, detail['reason']])).toEqual([
        ['V0_5__old.sql', 'below_baseline'],
        ['V3__later.sql', 'undone'],
        ['V10', undefined],
      ]);
      expect(result.status).toBe('planned');
    });

    it('refuses to record what no longer holds when it is applied', async () => {
      const { migrationId } = await adopt('db');
      await given.store.execute(
        sql`update public.flyway_schema_history set checksum = 1 where version = '1'`,
      );
      expect(await applyIt(migrationId)).toMatchObject({
        status: 'refused',
        findings: [{ code: 'import_differs', subject: 'V1__users.sql' }],
      });
      await given.store.execute(sql`drop table public.flyway_schema_history`);
      expect(await applyIt(migrationId)).toMatchObject({ findings: [{ code: 'import_unproved' }] });
    });

    it('lets go of them again, and can take them over another time', async () => {
      const { migrationId } = await adopt('db');
      await applyIt(migrationId);
      const back = await rollbackMigration(options, migrationId ?? '');
      expect(back).toMatchObject({ status: 'applied', direction: 'rollback' });
      expect(back.status === 'applied' ? back.receipt.receipt.proof?.status : undefined).toBe('equal');
      expect(await readAdopted(options.root, await readStatus(options))).toEqual([]);
      expect(await findAdoptions(options.root)).toMatchObject([{ isTakenBack: true }]);
      const again = await adopt('db');
      expect(again).toMatchObject({ status: 'planned', adopted: ['V1', 'V2', 'R__views'] });
      expect(again.migrationId).not.toBe(migrationId);
      expect((await verifyReceipts(options.root)).findings).toEqual([]);
    });

    it('asks which table where there are two, and takes the one that is named', async () => {
      await given.store.script('create schema other');
      await given.store.script(FLYWAY_TABLE.replaceAll('public.', 'other.'));
      expect(await adopt('db')).toEqual({
        status: 'refused',
        findings: ['import_ambiguous flyway_schema_history'],
      });
      expect(await adopt('db', { table: 'other.flyway_schema_history' })).toMatchObject({
        status: 'nothing',
        pending: ['V1', 'V2', 'V3', 'R__views'],
      });
      await given.store.script('create table other.stranger (id int)');
      expect(await adopt('db', { table: 'other.stranger' })).toMatchObject({
        findings: ['import_unproved db'],
      });
      expect(await adopt('db', { table: 'other.nothing' })).toMatchObject({
        findings: ['import_unproved db'],
      });
    });
  });

  it('takes over the committed migrations of graphile-migrate', async () => {
    await given.store.script(GRAPHILE_TABLE);
    let previous: string | null = null;
    for (const name of ['000001.sql', '000002-more_rows.sql', '000003.sql']) {
      const body = `select '${name}';`;
      const hash: string = graphileHash(body, previous);
      await put(`work/committed/${name}`, `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n\n${body}\n`);
      if (name !== '000003.sql')
        await given.store.execute(sql`
          insert into graphile_migrate.migrations (hash, previous_hash, filename) values (${hash}, ${previous}, ${name})`);
      previous = hash;
    }
    await put('work/current.sql', '-- Enter migration here');
    const planned = await adopt('work');
    expect(planned).toMatchObject({
      adopted: ['000001.sql', '000002-more_rows.sql'],
      pending: ['000003.sql'],
      table: 'graphile_migrate.migrations',
    });
    expect(await applyIt(planned.migrationId)).toMatchObject({ status: 'applied' });
    await rm(join(project, 'work/committed/000002-more_rows.sql'));
    expect(await adopt('work')).toEqual({
      status: 'refused',
      findings: ['import_invalid committed/000003.sql'],
    });
  });

  it("takes over Prisma's migrations, tried again and checked out with other line ends", async () => {
    await given.store.script(PRISMA_TABLE);
    await put('prisma/migrations/migration_lock.toml', 'provider = "postgresql"\n');
    const names = [
      '20260101000000_init',
      '20260102000000_again',
      '20260103000000_broken',
      '20260104000000_new',
    ];
    for (const name of names)
      await put(`prisma/migrations/${name}/migration.sql`, `select 1;\nselect '${name}';\n`);
    const sum = async (name: string, crlf = false): Promise<string> => {
      const text = await readFile(join(project, 'prisma/migrations', name, 'migration.sql'), 'utf8');
      const { createHash } = await import('node:crypto');
      return createHash('sha256')
        .update(crlf ? text.replaceAll('\n', '\r\n') : text)
        .digest('hex');
    };
    const row = async (
      id: string,
      at: number,
      about: { readonly finished: boolean; readonly rolledBack: boolean; readonly crlf?: boolean },
    ) => {
      const name = names[at] ?? '';
      await given.store.execute(sql`
        insert into public._prisma_migrations (id, checksum, migration_name, finished_at, rolled_back_at, started_at)
        values (${id}, ${await sum(name, about.crlf)}, ${name}, case when ${about.finished} then now() end,
          case when ${about.rolledBack} then now() end, now())`);
    };
    await row('a', 0, { finished: true, rolledBack: false, crlf: true });
    await row('b', 1, { finished: false, rolledBack: true });
    await row('c', 1, { finished: true, rolledBack: false });
    await row('d', 2, { finished: false, rolledBack: false });
    const folder = 'prisma/migrations';
    expect(await adopt(folder)).toEqual({
      status: 'refused',
      findings: [
        'import_failed 20260103000000_broken/migration.sql',
        'import_pending 20260104000000_new/migration.sql',
      ],
    });
    await given.store.execute(
      sql`update public._prisma_migrations set rolled_back_at = now() where id = 'd'`,
    );
    const planned = await adopt(folder);
    expect(planned).toMatchObject({ adopted: names.slice(0, 2), pending: names.slice(2) });
    expect(await applyIt(planned.migrationId)).toMatchObject({ status: 'applied' });
  });

  it('takes over numbered scripts only where somebody says that all were applied', async () => {
    for (let at = 1; at <= 1000; at++)
      await put(`sql/${String(at).padStart(4, '0')}_step.sql`, `select ${at};\n`);
    expect(await adopt('sql')).toEqual({ status: 'refused', findings: ['import_unproved sql'] });
    const planned = await adopt('sql', { allApplied: true });
    expect(planned).toMatchObject({ status: 'planned', table: null, alreadyCount: 0 });
    expect(planned.adopted).toHaveLength(1000);
    expect(await applyIt(planned.migrationId)).toMatchObject({ status: 'applied' });
    await put('sql/1001_step.sql', 'select 1001;\n');
    expect(await adopt('sql', { allApplied: true })).toMatchObject({
      adopted: ['1001_step'],
      alreadyCount: 1000,
    });
  }, 60_000);

  it('does not let --all-applied overrule a table', async () => {
    await given.store.script(FLYWAY_TABLE);
    await put('db/V1__a.sql', 'a');
    expect(await adopt('db', { allApplied: true })).toEqual({
      status: 'refused',
      findings: ['usage --all-applied'],
    });
  });
}

withEmbedded('history of other tools', suite);
withPostgres('history of other tools', 18, suite);

async function tableRows(store: Store, table: string): Promise<unknown> {
  const [schema = '', name = ''] = table.split('.');
  return store.query(sql`select * from ${sql.id(schema, name)} order by 1`);
}

const FLYWAY_TABLE = `
  create table public.flyway_schema_history (
    installed_rank int primary key, version varchar(50), description varchar(200) not null, type varchar(20) not null,
    script varchar(1000) not null, checksum int, installed_by varchar(100) not null,
    installed_on timestamp not null default now(), execution_time int not null, success boolean not null);`;

const GRAPHILE_TABLE = `
  create schema graphile_migrate;
  create table graphile_migrate.migrations (hash text primary key, previous_hash text references graphile_migrate.migrations,
    filename text not null, date timestamptz not null default now());`;

const PRISMA_TABLE = `
  create table public._prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null, finished_at timestamptz,
    migration_name varchar(255) not null, logs text, rolled_back_at timestamptz, started_at timestamptz not null default now(),
    applied_steps_count int not null default 0);`;

import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { withStores, type StoreUnderTest } from '../../test/harness/index.ts';
import { doubleKind } from '../../test/migration/double-kind.ts';
import { columnsOf, migrationsFolder, plannedDouble, runnerOptions } from '../../test/migration/fixture.ts';
import type { JsonObject } from '../base/index.ts';
import { digestOf, verifyAll, type Receipt } from '../evidence/index.ts';
import { sql } from '../store/index.ts';
import { installCatalog, readCatalogFiles } from '../store/postgres/index.ts';
import {
  applyMigration,
  folderReader,
  planMigration,
  readStatus,
  recoverRuns,
  rollbackMigration,
  type MigrationKind,
} from './index.ts';
import { readEvidence } from './evidence-store.ts';

async function emptyLedger(given: StoreUnderTest): Promise<void> {
  // Each test has a migrations folder of its own, and so needs a chain of its own.
  await given.store.script(`
    alter table varve.ledger disable trigger ledger_only_grows;
    delete from varve.ledger;
    alter table varve.ledger enable always trigger ledger_only_grows;`);
}

withStores('lifecycle', (given) => {
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
  }, 60_000);

  async function scene(about: Parameters<typeof plannedDouble>[2] = {}) {
    await emptyLedger(given);
    const folder = await migrationsFolder();
    const schema = await given.freshSchema();
    const options = runnerOptions(given.store, folder.root);
    return { ...folder, options, schema, ...(await plannedDouble(options, schema, about)) };
  }

  it('M37 applies a plan, writes a receipt that verifies offline, and does nothing the second time', async () => {
    await using s = await scene();
    const outcome = await applyMigration(s.options, s.id);
    expect(outcome).toMatchObject({ status: 'applied', already: false, direction: 'forward' });
    expect(await columnsOf(given.store, s.table)).toEqual(['double', 'id', 'value']);
    const verification = await verifyAll(folderReader(s.root));
    expect(verification.findings).toEqual([]);
    expect(verification.receipts).toMatchObject([{ status: 'verified', outcome: 'committed' }]);
    const receipt = JSON.parse(
      await readFile(join(s.root, 'pipeline', s.id, 'receipts/run_receipt.json'), 'utf8'),
    );
    expect((receipt as Receipt).validation).toMatchObject({ status: 'pass', findings: [] });
    expect(await applyMigration(s.options, s.id)).toMatchObject({ status: 'applied', already: true });
    expect(await readStatus(s.options)).toMatchObject({
      migrations: [{ status: 'applied', drifted: false }],
      unfinished: [],
    });
  });

  it('M111 takes a migration back to its baseline, with a receipt of its own, and applies it again', async () => {
    await using s = await scene();
    expect(await rollbackMigration(s.options, s.id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'not_applied' }],
    });
    const forward = await applyMigration(s.options, s.id);
    const back = await rollbackMigration(s.options, s.id);
    expect(back).toMatchObject({
      status: 'applied',
      direction: 'rollback',
      receipt: { receipt: { proof: { status: 'equal' } } },
    });
    expect(back).toMatchObject({
      receipt: { receipt: { rolls_back: 'runId' in forward ? forward.runId : '' } },
    });
    expect(await columnsOf(given.store, s.table)).toEqual(['id', 'value']);
    expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
    expect(await rollbackMigration(s.options, s.id)).toMatchObject({
      status: 'applied',
      direction: 'rollback',
      already: true,
    });
    expect(await applyMigration(s.options, s.id)).toMatchObject({ status: 'applied', already: false });
    expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
  });

  it('M31 has its baseline on disk before the first step writes', async () => {
    await using s = await scene();
    const kept: (boolean | undefined)[] = [];
    const fault = async (point: string): Promise<void> => {
      if (point !== 'F06_step_started') return;
      const [row] = await given.store.query<{ baseline: JsonObject }>(sql`
        select body -> 'baseline' as baseline from varve.ledger where phase = 'baselined'`);
      kept.push(row && (await readEvidence(s.root, digestOf(row.baseline))) !== undefined);
    };
    expect(await applyMigration({ ...s.options, fault }, s.id)).toMatchObject({ status: 'applied' });
    expect(kept[0]).toBe(true);
  });

  it('M73 reads back what was committed, and says so when the shape is another one by then', async () => {
    await using s = await scene();
    const fault = async (point: string): Promise<void> => {
      if (point !== 'F13_committed') return;
      await given.store.execute(sql`alter table ${sql.id(s.schema, 'thing')} add column stranger int`);
    };
    const outcome = await applyMigration({ ...s.options, fault }, s.id);
    expect(outcome).toMatchObject({
      receipt: {
        receipt: {
          outcome: 'committed',
          validation: {
            status: 'fail',
            checks: expect.arrayContaining([{ name: 'read_back', status: 'fail' }]) as unknown,
          },
        },
      },
    });
  });

  it('M71 plans on one snapshot that cannot be written to', async () => {
    await using s = await scene();
    const plan: MigrationKind['plan'] = async (context) => {
      await context.transaction.execute(sql`insert into ${sql.id(s.schema, 'thing')} values (99, 99)`);
      return doubleKind.plan(context);
    };
    const planned = planMigration({ ...s.options, kinds: [{ ...doubleKind, plan }] }, s.id);
    await expect(planned).rejects.toMatchObject({ fields: { sqlstate: '25006' } });
  });

  it('says what each baseline is compared with, and asks a forward run for what it has measured already', async () => {
    await using s = await scene();
    const asked: string[] = [];
    const kind: MigrationKind = {
      ...doubleKind,
      baseline: async (context, transaction) => {
        asked.push(
          `${context.algorithm ?? 'first'} ${context.decidingRun === undefined ? '' : 'deciding'}`.trim(),
        );
        return doubleKind.baseline(context, transaction);
      },
    };
    await applyMigration({ ...s.options, kinds: [kind] }, s.id);
    expect(asked.splice(0)).toEqual(['first', 'double/1 deciding', 'double/1']);
    await rollbackMigration({ ...s.options, kinds: [kind] }, s.id);
    expect(asked).toEqual(['double/1', 'double/1', 'double/1']);
  });

  it('keeps rows written after the forward run and says so instead of equal', async () => {
    await using s = await scene();
    await applyMigration(s.options, s.id);
    await given.store.execute(sql`insert into ${sql.id(s.schema, 'thing')} values (6, 60, 120)`);
    const back = await rollbackMigration(s.options, s.id);
    expect(back).toMatchObject({
      status: 'applied',
      receipt: {
        receipt: { proof: { status: 'equal_except_new_writes', new_writes: [{ table: s.table, rows: 1 }] } },
      },
    });
    expect(await given.store.query(sql`select id from ${sql.id(s.schema, 'thing')}`)).toHaveLength(6);
  });

  it('refuses a rollback that would not give the baseline', async () => {
    await using s = await scene();
    await applyMigration(s.options, s.id);
    await given.store.execute(sql`update ${sql.id(s.schema, 'thing_old')} set value = 0 where id = 1`);
    const back = await rollbackMigration(s.options, s.id);
    expect(back).toMatchObject({ status: 'rolled_back', findings: [{ code: 'baseline_differs' }] });
    expect(await columnsOf(given.store, s.table)).toEqual(['double', 'id', 'value']);
    expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
  });

  it.each(['beside', 'decide'])(
    'M37 undoes a run whose %s step fails, and proves the baseline',
    async (failAt) => {
      await using s = await scene({ failAt });
      const outcome = await applyMigration(s.options, s.id);
      expect(outcome).toMatchObject({
        status: 'rolled_back',
        receipt: {
          receipt: { outcome: 'rolled_back', validation: { status: 'fail' }, proof: { status: 'equal' } },
        },
      });
      expect(await columnsOf(given.store, s.table)).toEqual(['id', 'value']);
      expect(await columnsOf(given.store, `${s.table}_next`)).toEqual([]);
      expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
      expect(await readStatus(s.options)).toMatchObject({
        migrations: [{ status: 'pending' }],
        unfinished: [],
      });
    },
  );

  it('M70 refuses a plan that exceeds a limit, and one whose table moved on', async () => {
    await using s = await scene({ rows: 4 });
    expect(await applyMigration(s.options, s.id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'limit_exceeded', detail: { limit: 'max_row_backfill', declared: 4, observed: 5 } }],
    });
    await using t = await scene();
    await given.store.execute(sql`insert into ${sql.id(t.schema, 'thing')} values (6, 60)`);
    expect(await applyMigration(t.options, t.id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'plan_changed', detail: { parts: ['/tables/0/backfill'] } }],
    });
    await planMigration(t.options, t.id);
    expect(await applyMigration(t.options, t.id)).toMatchObject({ status: 'applied' });
  });

  it('M70 F21 refuses an edited plan, and authored files edited after the plan or after the run', async () => {
    await using s = await scene();
    const folder = join(s.root, 'pipeline', s.id);
    const plan = await readFile(join(folder, 'plan.json'), 'utf8');
    await writeFile(join(folder, 'plan.json'), plan.replace('"backfill":5', '"backfill":6'));
    expect(await applyMigration(s.options, s.id)).toMatchObject({
      findings: [
        { code: 'plan_changed', detail: { reason: 'edited' }, hint: expect.stringContaining('plan.json') },
      ],
    });
    await writeFile(join(folder, 'plan.json'), plan);
    await writeFile(join(folder, 'notes.md'), '# Why\r\n\r\nFor a test.\r\n');
    expect(await applyMigration(s.options, s.id)).toMatchObject({ findings: [{ code: 'bundle_changed' }] });
    await writeFile(join(folder, 'notes.md'), '# Why\n\nFor a test.\n');
    expect(await applyMigration(s.options, s.id)).toMatchObject({ status: 'applied' });
    await writeFile(join(folder, 'notes.md'), '# Why\n\nFor another test.\n');
    expect(await rollbackMigration(s.options, s.id)).toMatchObject({
      findings: [{ code: 'bundle_changed' }],
    });
    expect(await applyMigration(s.options, s.id)).toMatchObject({ findings: [{ code: 'bundle_changed' }] });
  });

  it('M13 refuses a bundle for whose kind there is no adapter', async () => {
    await using s = await scene();
    expect(await applyMigration({ ...s.options, kinds: [] }, s.id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'kind_unavailable' }],
    });
  });

  it('M93 F17 refuses a second runner and says who the first one is', async () => {
    await using s = await scene();
    let second: unknown;
    const fault = async (point: string): Promise<void> => {
      if (point === 'F07_step_done') second ??= await applyMigration(s.options, s.id);
    };
    expect(await applyMigration({ ...s.options, fault }, s.id)).toMatchObject({ status: 'applied' });
    expect(second).toMatchObject({
      status: 'refused',
      findings: [
        { code: 'run_in_progress', subject: s.id, detail: { host: 'test-host', process: process.pid } },
      ],
    });
  });

  it('M64 M68 stops on request, begins nothing else meanwhile, and goes on under the same run', async () => {
    await using s = await scene();
    const stop = new AbortController();
    let run = '';
    const fault = async (point: string): Promise<void> => {
      if (point !== 'T01_batch') return;
      run = (await readStatus(s.options)).unfinished[0]?.runId ?? '';
      stop.abort();
    };
    await expect(applyMigration({ ...s.options, fault, signal: stop.signal }, s.id)).rejects.toMatchObject({
      code: 'interrupted',
    });
    const other = await plannedDouble(s.options, `${s.schema}_other`, { id: 'PIPE-MIG-2026-03-01-02' });
    expect(await applyMigration(s.options, other.id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'run_unfinished' }],
    });
    expect(await applyMigration(s.options, s.id)).toMatchObject({ status: 'applied', runId: run });
  });

  it('ends a stopped run by rollback, and by recover', async () => {
    for (const end of [rollbackMigration, recoverRuns] as const) {
      await using s = await scene();
      const stop = new AbortController();
      const fault = async (point: string): Promise<void> =>
        point === 'T01_batch' ? stop.abort() : undefined;
      await expect(applyMigration({ ...s.options, fault, signal: stop.signal }, s.id)).rejects.toMatchObject({
        code: 'interrupted',
      });
      await end(s.options, s.id);
      expect(await columnsOf(given.store, `${s.table}_next`)).toEqual([]);
      const verification = await verifyAll(folderReader(s.root));
      expect(verification).toMatchObject({ findings: [], receipts: [{ outcome: 'rolled_back' }] });
      expect(await recoverRuns(s.options)).toEqual({
        status: 'recovered',
        completed: [],
        runs: [],
        findings: [],
      });
    }
  });

  it('M66 ends with 5, never 0, while the receipt cannot be written, and recovers it', async () => {
    await using s = await scene();
    const receipts = join(s.root, 'pipeline', s.id, 'receipts');
    await writeFile(receipts, '');
    // A file where the folder belongs: nothing that runs as root can be told by access rights.
    await rm(receipts);
    const fault = async (point: string): Promise<void> => {
      if (point === 'F13_committed') await writeFile(receipts, 'in the way');
    };
    const outcome = await applyMigration({ ...s.options, fault }, s.id);
    expect(outcome).toMatchObject({ status: 'indeterminate', findings: [{ code: 'evidence_not_written' }] });
    expect(await columnsOf(given.store, s.table)).toEqual(['double', 'id', 'value']);
    await rm(receipts);
    expect(await recoverRuns(s.options)).toMatchObject({ status: 'recovered' });
    expect(await verifyAll(folderReader(s.root))).toMatchObject({
      findings: [],
      receipts: [{ outcome: 'committed' }],
    });
  });

  it('M62 writes lost evidence again from the database', async () => {
    await using s = await scene();
    await applyMigration(s.options, s.id);
    await rollbackMigration(s.options, s.id);
    for (const lost of ['runs', 'evidence']) await rm(join(s.root, lost), { recursive: true });
    expect((await verifyAll(folderReader(s.root))).findings).not.toEqual([]);
    expect(await recoverRuns(s.options)).toMatchObject({
      status: 'recovered',
      completed: [
        { receipt: { direction: 'forward' } },
        { path: expect.stringContaining('run_receipt.json') as string },
      ],
      runs: [],
      findings: [],
    });
    const verification = await verifyAll(folderReader(s.root));
    expect(verification).toMatchObject({ findings: [], receipts: [{ outcome: 'committed' }] });
  });

  it('M65 refuses to change or cut the ledger, and a run to be entered twice', async () => {
    await using s = await scene();
    await applyMigration(s.options, s.id);
    for (const statement of [
      sql`update varve.ledger set at = ''`,
      sql`delete from varve.ledger`,
      sql`truncate varve.ledger`,
    ]) {
      await expect(given.store.execute(statement)).rejects.toMatchObject({ fields: { sqlstate: '55000' } });
    }
    await expect(
      given.store.execute(sql`
        insert into varve.ledger (seq, prev, digest, run_id, migration_id, phase, environment, direction, attempt,
          bundle_digest, plan_digest, body_digest, receipt_digest, at, body)
        select seq + 100, prev, 'sha256:' || repeat('0', 64), run_id, migration_id, phase, environment, direction, attempt + 1,
          bundle_digest, plan_digest, body_digest, receipt_digest, at, body
        from varve.ledger where phase = 'committed'`),
    ).rejects.toMatchObject({ fields: { sqlstate: '23505' } });
  });
});

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/base/index.ts';
import { supersededStructures } from '../../src/evolution/index.ts';
import {
  approveMigration,
  createKeyPair,
  planRetire,
  readBundle,
  readSigner,
  readStatus,
  registerKey,
  retireMigration,
  verifyReceipts,
  type ApproveOptions,
  type ApproveOutcome,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { findApprovals } from '../../src/migration/find-approvals.ts';
import { history, walkAsOf, why } from '../../src/pipeline/index.ts';
import { trace } from '../../src/provenance/index.ts';
import { sql } from '../../src/store/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, sideLab, type Lab } from './lab.ts';
import { versionTwo } from './side-pipeline.ts';

withStores('retiring what a migration superseded', (given) => {
  let lab: Lab;
  let id: string;
  let populated: string;
  let keys: string;
  const two = versionTwo('lab');
  const options = (some: Partial<RunnerOptions> = {}): RunnerOptions => ({ ...lab.options(two), ...some });

  beforeEach(async () => {
    keys = await mkdtemp(join(tmpdir(), 'varve-keys-'));
    lab = await openLab(given.store);
    populated = await sideLab(lab);
    id = await lab.deploy(two);
  });
  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(keys, { recursive: true, force: true });
  });

  /** A new key of a principal, registered. */
  const keyOf = async (principal: string, environments: readonly string[] = ['dev']): Promise<string> => {
    const pair = createKeyPair();
    const path = join(keys, `${principal.replace(':', '-')}.pem`);
    await writeFile(path, pair.privatePem, { mode: 0o600 });
    const { publicKey } = pair;
    await registerKey(lab.root, systemClock, { principal, publicKey, role: 'approver', environments });
    return path;
  };
  const approve = async (
    path: string,
    some: Partial<ApproveOptions> & { readonly options?: Partial<RunnerOptions> } = {},
  ): Promise<ApproveOutcome> => {
    const signer = await readSigner(path);
    if ('code' in signer) throw new Error(signer.code);
    const { options: runner, ...rest } = some;
    return approveMigration(options(runner), id, { principal: 'user:eve', grant: 'retire', signer, ...rest });
  };

  it('shows what would go and changes nothing', async () => {
    const before = await lab.rows('select count(*) as rows from varve.ledger');
    expect(await planRetire(options(), id)).toMatchObject({
      status: 'planned',
      plan: {
        bound: {
          direction: 'retire',
          tables: [{ table: 'lab.r', retire: 2 }],
          work: {
            structures: [
              { table: 'lab.r', rows: 2, computations: 2, recordedReads: 2, supersededResults: 0 },
            ],
          },
        },
        shown: { sizes: [{ sizeBytes: expect.any(Number) as number }] },
      },
    });
    expect(await lab.rows('select count(*) as rows from varve.ledger')).toEqual(before);
    expect(await supersededStructures(given.store)).toMatchObject([
      { table: 'lab.r', rows: 2, placement: { schema: 'varve_history' } },
    ]);
  });

  it('is refused without an approval', async () => {
    expect(await retireMigration(options(), id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'approval_missing', subject: id, detail: { grant: 'retire', environment: 'dev' } }],
    });
    expect(await supersededStructures(given.store)).toHaveLength(1);
  });

  it('M128 is denied by a policy that forbids it, whoever approved, and keeps everything', async () => {
    await approve(await keyOf('user:eve'));
    await mkdir(join(lab.root, 'registry/policy'), { recursive: true });
    const policy =
      'permit (principal, action, resource); forbid (principal, action == Action::"retire", resource);';
    await writeFile(join(lab.root, 'registry/policy/main.cedar'), policy);
    expect(await retireMigration(options(), id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'policy_denied', detail: { action: 'retire', policies: ['main.cedar#2'] } }],
    });
    expect(await supersededStructures(given.store)).toHaveLength(1);
  });

  it('lets go under an approval, once, with a receipt that names it', async () => {
    const approved = await approve(await keyOf('user:eve'));
    expect(approved).toMatchObject({
      status: 'approved',
      approval: { principal: 'user:eve', grants: ['retire'] },
    });
    const outcome = await retireMigration(options(), id);
    expect(outcome).toMatchObject({
      status: 'applied',
      direction: 'retire',
      already: false,
      tables: [{ table: 'lab.r', retire: 2 }],
      receipt: {
        receipt: {
          direction: 'retire',
          outcome: 'committed',
          approvals: [approved.status === 'approved' ? approved.digest : ''],
          validation: { status: 'pass' },
        },
      },
    });
    expect(await supersededStructures(given.store)).toEqual([]);
    expect(
      await lab.rows(`select relname from pg_class where relnamespace = 'varve_history'::regnamespace`),
    ).toEqual([]);
    expect(await retireMigration(options(), id)).toMatchObject({ status: 'applied', already: true });
    expect((await verifyReceipts(lab.root)).findings).toEqual([]);
    const register = join(lab.root, 'registry/keys.v1.json');
    const text = await readFile(register, 'utf8');
    await writeFile(register, JSON.stringify({ keys_version: 'v1', keys: [] }));
    expect((await verifyReceipts(lab.root)).findings).toContainEqual(
      expect.objectContaining({ code: 'approval_invalid', detail: { reasons: ['key_unknown'] } }),
    );
    await writeFile(register, text);
    expect(await readStatus(options())).toMatchObject({
      unfinished: [],
      migrations: [{ status: 'applied' }, { migrationId: id, status: 'applied' }],
    });
    expect(await lab.rows('select s, side, value from lab.r order by s')).toEqual([
      { s: 1, side: 1, value: 17 },
      { s: 2, side: 1, value: 27 },
    ]);
    expect(await lab.stale(two)).toMatchObject({ status: 'ok' });
  });

  it('keeps the migration from being rolled back', async () => {
    await approve(await keyOf('user:eve'));
    const outcome = await retireMigration(options(), id);
    const run = outcome.status === 'applied' ? outcome.runId : '';
    expect(await lab.rollback(two, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'structure_missing', subject: id, detail: { run } }],
    });
  });

  it('still knows that the rows were there, and by which code and run', async () => {
    const then = await why(given.store, 'lab.r', { s: 1 }, { asOf: populated });
    await approve(await keyOf('user:eve'));
    const outcome = await retireMigration(options(), id);
    const run = outcome.status === 'applied' ? outcome.runId : '';
    const letGo = { run, at: expect.any(String) as string, by: 'user:test' };
    expect(await history(given.store, 'lab.r', { key: { s: 1 } })).toMatchObject({
      versions: [
        { rows: { 'lab.r': [{ s: 1, side: 1, value: 17 }] }, ended: null, letGo: null },
        { rows: {}, sinceRun: populated, ended: 'structure', letGo },
      ],
    });
    const now = await why(given.store, 'lab.r', { s: 1 }, { asOf: populated });
    if (then.status === 'refused' || now.status === 'refused') throw new Error('refused');
    expect(now.origin).toEqual({
      ...then.origin,
      letGo,
      computation: { ...then.origin.computation, durationUs: null, inputs: [], recorded: [] },
    });
    expect(await history(given.store, 'lab.r', { asOf: populated })).toMatchObject({
      count: 0,
      versions: [],
      letGo: [{ table: 'lab.r', units: 2, ...letGo }],
    });
    const walk = (table: string) =>
      walkAsOf(given.store, {
        asOf: populated,
        tables: [table],
        toParents: true,
        walk: (database, graph) => trace(database, graph, { table }),
      });
    expect(await walk('lab.double')).toMatchObject({
      status: 'refused',
      findings: [{ code: 'structure_missing', subject: 'lab.r', detail: { run, units: 2 } }],
    });
    expect(await walk('lab.s')).toMatchObject({ status: 'ok', outcome: { rows: 2 } });
  });

  it('asks for another principal than the runner outside of dev', async () => {
    const path = await keyOf('user:test', ['dev', 'stage']);
    const signer = await readSigner(path);
    if ('code' in signer) throw new Error(signer.code);
    const reading = await readBundle(lab.root, id);
    if (reading.status === 'refused') throw new Error('refused');
    const stage = options({ environment: 'stage' });
    const approved = await approveMigration(stage, id, { principal: 'user:test', grant: 'retire', signer });
    const planDigest = approved.status === 'approved' ? approved.approval.plan_digest : '';
    const wanted = { planDigest, grant: 'retire' } as const;
    expect(await findApprovals(stage, reading.bundle, wanted)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'approval_missing', detail: { reason: 'approved by nobody but the runner' } }],
    });
    const other = { ...stage, actor: { principal: 'user:eve', role: 'runner' } };
    expect(await findApprovals(other, reading.bundle, wanted)).toMatchObject({
      status: 'approved',
      principals: ['user:test'],
    });
  });

  it('refuses an approval of another environment, plan, principal or time, of a changed byte, and of no registered key', async () => {
    const eve = await keyOf('user:eve');
    expect(await approve(eve, { principal: 'user:ada' })).toMatchObject({
      findings: [{ code: 'key_invalid', detail: { reason: 'of another principal' } }],
    });
    expect(await approve(eve, { options: { environment: 'stage' } })).toMatchObject({
      findings: [{ code: 'key_invalid', detail: { reason: 'not for stage' } }],
    });
    const approved = await approve(eve, { validForMs: 1000 });
    if (approved.status === 'refused') throw new Error('refused');
    const later = { ...systemClock, nowMs: () => systemClock.nowMs() + 2000 };
    expect(await retireMigration(options({ clock: later }), id)).toMatchObject({
      findings: [
        { code: 'approval_missing' },
        { code: 'approval_invalid', detail: { reasons: ['expired'] } },
      ],
    });
    const file = join(lab.root, approved.path);
    const text = await readFile(file, 'utf8');
    const envelope = JSON.parse(text) as { payload: string };
    const body = Buffer.from(envelope.payload, 'base64').toString().replace('user:eve', 'user:ada');
    await writeFile(file, JSON.stringify({ ...envelope, payload: Buffer.from(body).toString('base64') }));
    expect(await retireMigration(options(), id)).toMatchObject({
      findings: [
        { code: 'approval_missing' },
        { code: 'approval_invalid', detail: { reasons: ['signature'] } },
      ],
    });
    await rm(join(lab.root, 'registry/keys.v1.json'));
    await writeFile(file, text);
    expect(await retireMigration(options(), id)).toMatchObject({
      findings: [
        { code: 'approval_missing' },
        { code: 'approval_invalid', detail: { reasons: ['key_unknown'] } },
      ],
    });
    expect(await supersededStructures(given.store)).toHaveLength(1);
  });

  it('is refused while another run is unfinished, and with nothing to let go', async () => {
    const first = (await readStatus(options())).migrations[0]?.migrationId ?? '';
    expect(await retireMigration(options(), first)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'nothing_to_retire' }],
    });
    await approve(await keyOf('user:eve'));
    const signal = AbortSignal.abort();
    await expect(lab.rollback(two, id, { signal })).rejects.toMatchObject({ code: 'interrupted' });
    expect(await retireMigration(options(), id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'run_unfinished', detail: { direction: 'rollback' } }],
    });
    expect(await lab.recover(two)).toMatchObject({ status: 'recovered' });
    expect(await retireMigration(options(), id)).toMatchObject({ status: 'applied', already: false });
  });

  it('lets go of what a rollback left too; the migration can be applied and rolled back again', async () => {
    expect(await lab.rollback(two, id)).toMatchObject({ status: 'applied' });
    await approve(await keyOf('user:eve'));
    expect(await retireMigration(options(), id)).toMatchObject({
      status: 'applied',
      tables: [{ table: 'lab.r', retire: 2 }],
    });
    expect(await supersededStructures(given.store)).toEqual([]);
    expect(await lab.apply(two, id)).toMatchObject({ status: 'applied', already: false });
    expect(await lab.rollback(two, id)).toMatchObject({ status: 'applied', already: false });
    expect(await lab.rollback(two, id)).toMatchObject({ status: 'applied', already: true });
  });

  it('names a view that would go with it', async () => {
    const [row] = await given.store.query<{ name: string }>(sql`
      select physical_name as name from varve.relation where state = 'retired'`);
    await given.store.execute(
      sql`create view public.old_results as select * from ${sql.id('varve_history', row?.name ?? '')}`,
    );
    expect(await planRetire(options(), id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'dependents_in_the_way', detail: { kind: 'view', name: 'public.old_results' } }],
    });
    await given.store.script('drop view public.old_results');
  });
});

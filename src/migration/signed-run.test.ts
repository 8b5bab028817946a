import { readdir, readFile, stat, writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { withEmbedded } from '../../test/harness/index.ts';
import {
  columnsOf,
  forgetLedger,
  makeReadyForStage,
  migrationsFolder,
  plannedDouble,
  runnerKey,
  runnerOptions,
} from '../../test/migration/fixture.ts';
import { systemClock } from '../base/index.ts';
import {
  canonicalBytes,
  digestOf,
  enclosedReceipt,
  openEnvelope,
  publicKeys,
  sha256,
  STATEMENT_TYPE,
  storePath,
  type Envelope,
  type Receipt,
} from '../evidence/index.ts';
import { installCatalog, readCatalogFiles } from '../store/postgres/index.ts';
import { checkSignature } from './ed25519.ts';
import { storeEvidence } from './evidence-store.ts';
import {
  applyMigration,
  planMigration,
  readKeyRegister,
  recoverRuns,
  removeEvidence,
  rollbackMigration,
  verifyReceipts,
  type RunnerOptions,
} from './index.ts';
import { ledgerRuns, readBody, readLedger } from './ledger.ts';

withEmbedded('a signed run', (given) => {
  const id = 'PIPE-MIG-2026-03-01-01';
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
  }, 60_000);

  async function scene(environment: RunnerOptions['environment'] = 'stage') {
    await forgetLedger(given.store);
    const folder = await migrationsFolder();
    const signer = await runnerKey(folder.root, [environment]);
    const options: RunnerOptions = { ...runnerOptions(given.store, folder.root), environment, signer };
    const { signer: _signer, ...unsigned } = options;
    const planned = await plannedDouble(options, await given.freshSchema(), { id });
    if (environment === 'stage') await makeReadyForStage(options, id);
    const inBundle = (name: string): string => join(folder.root, 'pipeline', id, name);
    const parsed = async <T>(name: string): Promise<T> =>
      JSON.parse(await readFile(inBundle(name), 'utf8')) as T;
    return { ...folder, ...planned, options, unsigned: unsigned as RunnerOptions, signer, inBundle, parsed };
  }

  it('M118 leaves its receipt as the predicate of a signed statement about its outputs', async () => {
    await using s = await scene();
    const outcome = await applyMigration(s.options, id);
    expect(outcome).toMatchObject({
      status: 'applied',
      receipt: { receipt: { signed_by: s.signer.keyId, validation: { status: 'pass' } } },
    });
    const envelope = await s.parsed<Envelope>('receipts/run_receipt.dsse.json');
    expect(envelope.payloadType).toBe('application/vnd.in-toto+json');
    const reading = await readKeyRegister(s.root);
    if (reading.status === 'refused' || outcome.status !== 'applied') throw new Error(outcome.status);
    const opened = await openEnvelope(envelope, STATEMENT_TYPE, {
      publicKeyById: publicKeys(reading.register),
      check: checkSignature,
    });
    const { receipt } = outcome.receipt;
    expect(opened).toMatchObject({
      status: 'ok',
      keyId: s.signer.keyId,
      body: {
        _type: 'https://in-toto.io/Statement/v1',
        predicateType: 'varve:schema/run_receipt.v1.schema.json',
        predicate: receipt,
      },
    });
    const subjects =
      opened.status === 'ok'
        ? (opened.body['subject'] as readonly { name: string; digest: { sha256: string } }[])
        : [];
    for (const { path, digest } of receipt.outputs)
      expect(subjects).toContainEqual({ name: path, digest: { sha256: digest.slice(7) } });
    for (const { name, digest } of subjects) {
      const bytes = new Uint8Array(await readFile(s.inBundle(name)));
      expect(sha256(bytes), name).toBe(`sha256:${digest.sha256}`);
    }
  });

  it('M120 M121 has the digest of its envelope in the ledger, in the database and in the file', async () => {
    await using s = await scene();
    await applyMigration(s.options, id);
    const envelope = await s.parsed<Envelope>('receipts/run_receipt.dsse.json');
    const [run] = ledgerRuns(await readLedger(given.store));
    expect(run?.entries.closed?.body_digest).toBe(digestOf(envelope));
    const body = (await readBody(given.store, run?.subject.runId ?? '', 'closed')) as Envelope;
    expect(body).toEqual(envelope);
    expect(enclosedReceipt(body)).toEqual(await s.parsed<Receipt>('receipts/run_receipt.json'));
    expect(await readFile(join(s.root, 'evidence/ledger/stage.jsonl'), 'utf8')).toContain(digestOf(envelope));
  });

  it('is demanded outside of dev, before anything runs; dev says that nobody signed', async () => {
    await using s = await scene('stage');
    for (const attempt of [applyMigration, rollbackMigration])
      expect(await attempt(s.unsigned, id)).toMatchObject({
        status: 'refused',
        findings: [{ code: 'signer_missing', hint: expect.stringContaining('VARVE_RUNNER_KEY') as string }],
      });
    expect(await recoverRuns(s.unsigned)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'signer_missing' }],
    });
    expect(await readLedger(given.store)).toEqual([]);
    expect(await columnsOf(given.store, s.table)).toEqual(['id', 'value']);

    await using dev = await scene('dev');
    const outcome = await applyMigration(dev.unsigned, id);
    expect(outcome).toMatchObject({
      status: 'applied',
      receipt: { receipt: { signed_by: null, validation: { status: 'pass' } } },
    });
    const { validation } = await dev.parsed<Receipt>('receipts/run_receipt.json');
    expect(validation.checks).toContainEqual({ name: 'signature', status: 'not_run', required: false });
    expect((await verifyReceipts(dev.root)).findings).toEqual([]);
  });

  it('M117 refuses a key that is not a registered one of a runner, here and now', async () => {
    await using s = await scene('stage');
    const elsewhere = await migrationsFolder();
    const stranger = await runnerKey(elsewhere.root);
    const otherEnvironment = await runnerKey(s.root, ['prod']);
    const lying = { ...s.signer, sign: stranger.sign };
    for (const [reason, signer] of [
      ['unknown', stranger],
      ['not for stage', otherEnvironment],
      ['not the one that is registered', lying],
    ] as const)
      expect(await applyMigration({ ...s.options, signer }, id)).toMatchObject({
        status: 'refused',
        findings: [{ code: 'key_invalid', detail: { reason } }],
      });
    const register = join(s.root, 'registry/keys.v1.json');
    const text = await readFile(register, 'utf8');
    await writeFile(register, text.replaceAll('"runner"', '"approver"'));
    expect(await applyMigration(s.options, id)).toMatchObject({
      findings: [{ detail: { reason: 'of the role approver' } }],
    });
    const keys = JSON.parse(text) as { readonly keys: readonly object[] };
    // One key in two roles is no register.
    await writeFile(
      register,
      JSON.stringify({ ...keys, keys: [...keys.keys, { ...keys.keys[0], role: 'approver' }] }),
    );
    expect(await applyMigration(s.options, id)).toMatchObject({
      findings: [{ code: 'key_invalid', detail: { reason: 'registered twice' } }],
    });
    await elsewhere[Symbol.asyncDispose]();
  });

  it('M44 is shown as a reference where policy says so, without credentials or query', async () => {
    await using s = await scene('stage');
    const settings = {
      protected: { schemas: [], tables: [] },
      canonicalZones: [],
      minimumLevel: {},
      large: { indexRows: 1, backfillRows: 1, elements: 1 },
      receiptsByReference: ['stage'],
    } as const;
    const outcome = await applyMigration({ ...s.options, settings }, id);
    if (outcome.status !== 'applied') throw new Error(JSON.stringify(outcome));
    expect(outcome.receipt.path).toBe(`pipeline/${id}/receipts/receipt_ref.json`);
    expect((await readdir(s.inBundle('receipts'))).toSorted()).toEqual([
      'prov.jsonld',
      'receipt_ref.json',
      'rehearsal_receipt.dsse.json',
      'rehearsal_receipt.json',
    ]);
    const reference = await s.parsed<Record<string, unknown>>('receipts/receipt_ref.json');
    const bytes = canonicalBytes(outcome.receipt.receipt);
    expect(reference).toEqual({
      ref_version: 'v1',
      run_id: outcome.runId,
      migration_id: id,
      digest: outcome.receipt.digest,
      size: bytes.byteLength,
      media_type: 'application/json',
      uri: storePath(outcome.receipt.digest),
      store: { kind: 'folder', retention_until: outcome.receipt.receipt.retention_until },
      envelope_digest: expect.stringMatching(/^sha256:/u) as string,
    });
    expect(new Uint8Array(await readFile(join(s.root, String(reference['uri']))))).toEqual(bytes);
    // A run whose receipt is shown again puts the reference beside it.
    expect(await rollbackMigration(s.options, id)).toMatchObject({ status: 'applied' });
    expect(await readdir(s.inBundle('receipts'))).toHaveLength(6);
    expect((await verifyReceipts(s.root)).findings).toEqual([]);
  });

  it('M7 never overwrites a product that is not in the store, and says so', async () => {
    await using s = await scene('dev');
    await writeFile(s.inBundle('plan.json'), '{"mine":true}');
    expect(await planMigration(s.options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'evidence_changed' }],
    });
    expect(await readFile(s.inBundle('plan.json'), 'utf8')).toBe('{"mine":true}');
    await rm(s.inBundle('plan.json'));
    expect(await planMigration(s.options, id)).toMatchObject({ status: 'planned' });
    expect(await applyMigration(s.options, id)).toMatchObject({ status: 'applied', findings: [] });
    const mine = s.inBundle('receipts/run_receipt.json');
    await writeFile(mine, '{"mine":true}');
    const outcome = await rollbackMigration(s.options, id);
    expect(outcome).toMatchObject({
      status: 'applied',
      findings: [
        {
          code: 'evidence_changed',
          severity: 'warning',
          subject: `pipeline/${id}/receipts/run_receipt.json`,
        },
      ],
    });
    expect(await readFile(mine, 'utf8')).toBe('{"mine":true}');
  });

  it('M121 a ledger file that was cut is filled up again, and told with the first entry that was lost', async () => {
    await using s = await scene('stage');
    await applyMigration(s.options, id);
    const path = join(s.root, 'evidence/ledger/stage.jsonl');
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, `${lines.slice(0, 2).join('\n')}\n`);
    expect(await rollbackMigration(s.options, id)).toMatchObject({
      status: 'applied',
      findings: [{ code: 'ledger_fork', severity: 'warning', detail: { reason: 'tail_lost', seq: 3 } }],
    });
    expect((await verifyReceipts(s.root)).findings).toEqual([]);
    // With the database as old as the file, nobody has the rest.
    const whole = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, `${whole.slice(0, 5).join('\n')}\n`);
    await forgetLedger(given.store, 4);
    expect(await applyMigration(s.options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'ledger_fork' }],
    });
  });

  it('M122 keeps content once, read-only, and removes nothing before its time', async () => {
    await using s = await scene('stage');
    const outcome = await applyMigration(s.options, id);
    if (outcome.status !== 'applied') throw new Error(JSON.stringify(outcome));
    const { receipt, digest } = outcome.receipt;
    const years =
      (Date.parse(receipt.retention_until ?? '') - Date.parse(receipt.finished_at)) / (365.25 * 86_400_000);
    expect(Math.round(years)).toBe(10);
    const kept = [digest, receipt.outputs[0]?.digest ?? '', receipt.inputs[0]?.digest ?? ''];
    for (const one of kept) {
      expect((await stat(join(s.root, storePath(one)))).mode & 0o222).toBe(0);
      expect(await removeEvidence(s.root, one, systemClock)).toMatchObject({
        status: 'refused',
        findings: [{ code: 'evidence_retained', detail: { until: receipt.retention_until } }],
      });
    }
    const loose = await storeEvidence(s.root, new TextEncoder().encode('nobody names it'));
    expect(await removeEvidence(s.root, loose, systemClock)).toEqual({ status: 'removed' });
    expect(await removeEvidence(s.root, loose, systemClock)).toMatchObject({
      findings: [{ code: 'evidence_missing' }],
    });
    const later = { ...systemClock, nowMs: () => Date.parse(receipt.retention_until ?? '') };
    expect(await removeEvidence(s.root, receipt.outputs[0]?.digest ?? '', later)).toEqual({
      status: 'removed',
    });
    // What is there under an address is never written over, and other content under it is told.
    const path = join(s.root, storePath(digest));
    await rm(path);
    await writeFile(path, 'other');
    await expect(storeEvidence(s.root, canonicalBytes(receipt))).rejects.toMatchObject({
      code: 'evidence_changed',
    });
    expect(await readFile(path, 'utf8')).toBe('other');
  });
});

import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { systemClock, type JsonObject } from '../../src/base/index.ts';
import { canonicalBytes, sha256, storePath, type RehearsalReceipt } from '../../src/evidence/index.ts';
import { rehearseMigration, removeEvidence, verifyReceipts } from '../../src/migration/index.ts';
import { storeEvidence } from '../../src/migration/evidence-store.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withEmbedded } from '../harness/index.ts';
import { migrationsFolder, runnerKey } from './fixture.ts';
import { PG_ID, planSql, sqlOptions } from './sql-bundle.ts';

withEmbedded('evidence of a rehearsal', (given) => {
  let folder: Awaited<ReturnType<typeof migrationsFolder>>;
  let receipt: RehearsalReceipt;
  const shown = (name: string): string => join(folder.root, 'postgis', PG_ID, 'receipts', name);
  const faults = async (): Promise<readonly unknown[]> =>
    (await verifyReceipts(folder.root)).findings.map(
      ({ subject, detail }) => `${subject} ${JSON.stringify(detail['reason'])}`,
    );

  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    folder = await migrationsFolder();
    const schema = await given.freshSchema();
    await given.store.script(`create table ${schema}.plot (id int primary key, area float8);
      insert into ${schema}.plot select i, i from generate_series(1, 5) i;`);
    const options = { ...sqlOptions(given.store, folder.root), signer: await runnerKey(folder.root) };
    await planSql(options, {
      schema,
      tables: ['plot'],
      forward: 'alter table plot add column note text;',
      rollback: 'alter table plot drop column note;',
    });
    const outcome = await rehearseMigration(options, PG_ID);
    if (outcome.status === 'refused') throw new Error(JSON.stringify(outcome.findings));
    ({ receipt } = outcome.receipt);
  }, 180_000);

  /** Does something to a file, looks, and puts it back. */
  async function meanwhile<T>(path: string, bytes: Uint8Array, work: () => Promise<T>): Promise<T> {
    const before = await readFile(path);
    await chmod(path, 0o644);
    await writeFile(path, bytes);
    try {
      return await work();
    } finally {
      await writeFile(path, before);
    }
  }

  it('M41 holds as it stands, by its file and by its folder', async () => {
    const verification = await verifyReceipts(folder.root);
    expect(verification.findings).toEqual([]);
    expect(verification.receipts).toMatchObject([
      { runId: receipt.run_id, outcome: 'rehearsed', status: 'verified' },
    ]);
    expect((await verifyReceipts(shown('rehearsal_receipt.json'))).receipts).toMatchObject([
      { status: 'verified' },
    ]);
  });

  it('M41 M118 any changed byte of it, of its envelope or of what it names is told by the name of its file', async () => {
    const files = [
      shown('rehearsal_receipt.json'),
      shown('rehearsal_receipt.dsse.json'),
      ...[...receipt.inputs, ...receipt.outputs].map(({ digest }) => join(folder.root, storePath(digest))),
    ];
    for (const path of files) {
      const bytes = await readFile(path);
      const step = Math.max(1, Math.floor(bytes.length / 8));
      for (let at = 0; at < bytes.length; at += step) {
        const other = Uint8Array.from(bytes);
        other[at] = (other[at] ?? 0) ^ 1;
        const found = await meanwhile(path, other, faults);
        const name = path.slice(folder.root.length + 1);
        expect(
          found.some((each) => String(each).startsWith(name)),
          `${name} at ${String(at)}`,
        ).toBe(true);
      }
    }
    expect(await faults()).toEqual([]);
  }, 120_000);

  it.each([
    [
      'a pass that its checks do not have',
      { validation: { status: 'pass', checks: 'failed' } },
      'validation_status',
    ],
    ['a rung above its checks', { validation: { checks: 'unprobed' } }, 'rung'],
    ['an end before its start', { finished_at: '2001-01-01T00:00:00.000Z' }, 'time'],
    ['another migration', { migration_id: 'PG-MIG-2026-05-12-02' }, 'subject'],
    ['equality of what differs', { outputs: 'swapped' }, 'equal_to_pre'],
    ['nobody’s signature', { signed_by: null }, 'signed_by'],
  ])('M40 M118 told although stored anew: %s', async (_, change, reason) => {
    const forged = forge(receipt, change);
    const bytes = canonicalBytes(forged);
    await storeEvidence(folder.root, bytes);
    const found = await meanwhile(shown('rehearsal_receipt.json'), bytes, faults);
    expect(found.join('\n')).toContain(reason);
  });

  it('M122 what it is and names stays in the store until its time is over', async () => {
    const digests = [
      sha256(canonicalBytes(receipt)),
      sha256(await readFile(shown('rehearsal_receipt.dsse.json'))),
      receipt.outputs[0]?.digest ?? '',
      receipt.inputs[0]?.digest ?? '',
    ];
    for (const digest of digests)
      expect(await removeEvidence(folder.root, digest, systemClock)).toMatchObject({
        status: 'refused',
        findings: [
          { code: 'evidence_retained', detail: { run: receipt.run_id, until: receipt.retention_until } },
        ],
      });
    const later = { ...systemClock, nowMs: () => Date.parse(receipt.retention_until ?? '') };
    expect(await removeEvidence(folder.root, receipt.outputs[0]?.digest ?? '', later)).toEqual({
      status: 'removed',
    });
  });
});

/** A receipt that says something else, all of it well formed. */
function forge(receipt: RehearsalReceipt, change: JsonObject): RehearsalReceipt {
  const { checks } = receipt.validation;
  const withStatus = (name: string, status: 'fail' | 'not_run'): typeof checks =>
    checks.map((check) => (check.name === name ? { ...check, status } : check));
  if ('validation' in change) {
    const isFailed = JSON.stringify(change).includes('failed');
    const forged = isFailed
      ? withStatus('rollback', 'fail')
      : withStatus('new_writes', 'not_run').map((check) =>
          check.name === 'new_writes' ? { ...check, required: false as const } : check,
        );
    return { ...receipt, validation: { ...receipt.validation, checks: forged } };
  }
  if (change['outputs'] !== undefined) {
    const post = receipt.outputs.find(({ path }) => path === 'rehearsal/post.json');
    return {
      ...receipt,
      outputs: receipt.outputs.map((output) =>
        output.path === 'rehearsal/after_rollback.json' && post !== undefined
          ? { ...output, digest: post.digest }
          : output,
      ),
    };
  }
  return { ...receipt, ...change };
}

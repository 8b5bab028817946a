import { chmod, cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plannedDouble, runnerOptions } from '../../../test/migration/fixture.ts';
import { applyMigration, folderReader, rollbackMigration } from '../../migration/index.ts';
import { embeddedStore, installCatalog, readCatalogFiles } from '../../store/postgres/index.ts';
import type { Store } from '../../store/index.ts';
import { verifyAll, verifyReceipt } from '../index.ts';

describe('offline verification', () => {
  let store: Store;
  let folder: string;
  let root: string;
  let files: readonly string[];
  const [applied, takenBack] = ['PIPE-MIG-2026-03-01-01', 'PIPE-MIG-2026-03-01-02'];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-verify-'));
    root = join(folder, 'migrations');
    store = await embeddedStore({ folder: undefined });
    await installCatalog(store, { files: await readCatalogFiles() });
    const options = runnerOptions(store, root);
    await plannedDouble(options, 'one', { id: applied });
    await plannedDouble(options, 'two', { id: takenBack });
    expect(await applyMigration(options, applied)).toMatchObject({ status: 'applied' });
    expect(await applyMigration(options, takenBack)).toMatchObject({ status: 'applied' });
    expect(await rollbackMigration(options, takenBack)).toMatchObject({ status: 'applied' });
    files = await folderReader(root).list('');
    await store[Symbol.asyncDispose]();
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** A copy of the evidence to spoil. */
  async function copy(): Promise<
    AsyncDisposable & { readonly root: string; readonly path: (name: string) => string }
  > {
    const place = await mkdtemp(join(tmpdir(), 'varve-verify-copy-'));
    await cp(root, place, { recursive: true });
    return {
      root: place,
      path: (name) => join(place, name),
      [Symbol.asyncDispose]: () => rm(place, { recursive: true, force: true }),
    };
  }

  it('holds for what runs left behind, and for each receipt by its path', async () => {
    const all = await verifyAll(folderReader(root));
    expect(all).toMatchObject({ files: files.length, findings: [] });
    expect(all.receipts.map(({ migrationId, status }) => [migrationId, status])).toEqual([
      [applied, 'verified'],
      [takenBack, 'verified'],
    ]);
    for (const { path, digest } of all.receipts) {
      const stored = `evidence/store/sha256/${digest.slice(7, 9)}/${digest.slice(7)}`;
      for (const one of [path, stored]) {
        expect(await verifyReceipt(folderReader(root), one)).toMatchObject({
          findings: [],
          receipts: [{ status: 'verified', digest }],
        });
      }
    }
    expect(await verifyReceipt(folderReader(root), 'pipeline/x')).toMatchObject({
      findings: [{ code: 'receipt_invalid' }],
    });
  });

  it('names the file when any bit of any file is turned', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 0, max: 7 }),
        async (fileSeed, placeSeed, bit) => {
          const name = files[fileSeed % files.length] ?? '';
          const path = join(root, name);
          const bytes = await readFile(path);
          const at = placeSeed % bytes.byteLength;
          const spoilt = Uint8Array.from(bytes);
          spoilt[at] = (spoilt[at] ?? 0) ^ (1 << bit);
          await chmod(path, 0o644);
          await writeFile(path, spoilt);
          try {
            const { findings } = await verifyAll(folderReader(root));
            expect(
              findings.some((finding) => mentions(finding, name)),
              `${name} at ${at}: ${JSON.stringify(findings)}`,
            ).toBe(true);
          } finally {
            await writeFile(path, bytes);
          }
        },
      ),
      { numRuns: 300 },
    );
    expect((await verifyAll(folderReader(root))).findings).toEqual([]);
  }, 120_000);

  it('notices every file that is gone', async () => {
    for (const name of files) {
      // An intent log belongs to its machine and is not part of what is handed on.
      if (name.startsWith('runs/')) continue;
      // The latest run there is the way back; the plan of the run before it is kept in the store.
      if (name === `pipeline/${takenBack}/plan.json`) continue;
      // Its reference stands in for it.
      if (name.endsWith('/receipts/run_receipt.json')) continue;
      const path = join(root, name);
      await rename(path, join(folder, 'aside'));
      const { findings } = await verifyAll(folderReader(root));
      await rename(join(folder, 'aside'), path);
      expect(findings.length, name).toBeGreaterThan(0);
    }
  });

  it('refutes a receipt that was made good again in itself', async () => {
    await using spoilt = await copy();
    const path = spoilt.path(`pipeline/${applied}/receipts/run_receipt.json`);
    const receipt = await readFile(path, 'utf8');
    await writeFile(path, receipt.replace('user:test', 'user:ghost'));
    const { findings, receipts } = await verifyAll(folderReader(spoilt.root));
    expect(findings).toMatchObject(
      [
        { code: 'receipt_invalid', detail: { reason: 'receipt_digest' } },
        { code: 'evidence_changed', detail: { reason: 'not_in_store' } },
      ].toSorted((a, b) => (a.code < b.code ? -1 : 1)),
    );
    expect(receipts).toMatchObject([{ status: 'refuted' }, { status: 'verified' }]);
  });

  it('refutes the receipt of another run, and a ledger that was cut', async () => {
    await using spoilt = await copy();
    const [one, two] = [applied, takenBack].map((id) =>
      spoilt.path(`pipeline/${id}/receipts/run_receipt.json`),
    );
    await cp(one ?? '', two ?? '');
    expect((await verifyAll(folderReader(spoilt.root))).findings.length).toBeGreaterThan(0);

    await using cut = await copy();
    const ledger = cut.path('evidence/ledger/dev.jsonl');
    const lines = (await readFile(ledger, 'utf8')).split('\n');
    await writeFile(ledger, `${lines.slice(0, -2).join('\n')}\n`);
    expect((await verifyAll(folderReader(cut.root))).findings).toMatchObject([
      { code: 'ledger_fork', subject: 'evidence/ledger/dev.jsonl:12', detail: { reason: 'tail_lost' } },
      {
        code: 'receipt_invalid',
        subject: `pipeline/${takenBack}/receipts/run_receipt.json`,
        detail: { reason: 'closing_entry_missing' },
      },
    ]);
  });
});

function mentions(finding: { readonly subject: string; readonly detail: unknown }, name: string): boolean {
  const bundle = /^pipeline\/([^/]+)\//u.exec(name)?.[1];
  const said = `${finding.subject} ${JSON.stringify(finding.detail)}`;
  return said.includes(name) || (bundle !== undefined && said.includes(bundle));
}

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capturedIo } from '../../../test/cli/captured-io.ts';
import { plannedDouble, runnerOptions } from '../../../test/migration/fixture.ts';
import { applyMigration, type RunnerOptions } from '../../migration/index.ts';
import { embeddedStore, installCatalog, readCatalogFiles } from '../../store/postgres/index.ts';
import { main } from '../main.ts';

describe('varve status and varve receipts', () => {
  const [first, second] = ['PIPE-MIG-2026-03-01-01', 'PIPE-MIG-2026-03-01-02'];
  let dir: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'varve-receipts-'));
    await writeFile(
      join(dir, 'varve.config.ts'),
      "export default { stores: { main: { embedded: 'db' } } };\n",
    );
    await withStore(async (options) => {
      await plannedDouble(options, 'before', { id: second });
    });
    // A database without a ledger has a status too.
    const [, stdout] = await varve('status', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'ok',
      migrations: [{ migrationId: second, status: 'pending' }],
    });
    await withStore(async (options) => {
      await installCatalog(options.store, { files: await readCatalogFiles() });
      await plannedDouble(options, 'lab', { id: first });
      expect(await applyMigration(options, first)).toMatchObject({ status: 'applied' });
    });
  }, 60_000);
  afterAll(() => rm(dir, { recursive: true, force: true }));

  /** The database is closed in between: an embedded one belongs to one opener at a time. */
  async function withStore(work: (options: RunnerOptions) => Promise<void>): Promise<void> {
    await using store = await embeddedStore({ folder: join(dir, 'db') });
    await work(runnerOptions(store, join(dir, 'migrations')));
  }

  async function varve(...argv: readonly string[]): Promise<readonly [number, string, string]> {
    const captured = capturedIo({ workingDir: dir });
    const exit = await main(argv, captured.io);
    return [exit, captured.stdout(), captured.stderr()];
  }

  it('says what is applied and what is pending', async () => {
    const [exit, stdout] = await varve('status', '--json');
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'ok',
      environment: 'dev',
      migrations: [
        { migrationId: first, status: 'applied', drifted: false },
        { migrationId: second, status: 'pending' },
      ],
      unfinished: [],
    });
    const [, text] = await varve('status');
    expect(text.replaceAll(/\d{4}-\d{2}-\d{2}T\S+/gu, 'TIME')).toBe(
      `migration               status   last run\n${first}  applied  TIME\n${second}  pending\n`,
    );
  });

  it('lists and shows receipts from files alone', async () => {
    const [, listed] = await varve('receipts', 'list', '--json');
    const { receipts } = JSON.parse(listed) as {
      receipts: readonly { readonly digest: string; readonly runId: string }[];
    };
    expect(receipts).toMatchObject([{ migrationId: first, direction: 'forward', environment: 'dev' }]);
    for (const which of [first, receipts[0]?.digest ?? '', receipts[0]?.runId ?? '']) {
      const [exit, shown] = await varve('receipts', 'show', which, '--json');
      expect(exit).toBe(0);
      expect(JSON.parse(shown)).toMatchObject({ receipt: { migration_id: first, outcome: 'committed' } });
    }
    const [exit, refused] = await varve('receipts', 'show', 'PIPE-MIG-2026-03-01-07', '--json');
    expect(exit).toBe(3);
    expect(JSON.parse(refused)).toMatchObject({
      findings: [{ code: 'evidence_missing', hint: `Ask for ${first}.` }],
    });
  });

  it('verifies all, one by its path, and names what was changed', async () => {
    const bundle = join(dir, 'migrations/pipeline', first);
    const receipt = join(bundle, 'receipts/run_receipt.json');
    for (const argv of [['--all'], [], [join(dir, 'migrations')], [bundle], [receipt]]) {
      const [exit, stdout] = await varve('receipts', 'verify', ...argv, '--json');
      expect([exit, JSON.parse(stdout)]).toMatchObject([
        0,
        { status: 'ok', receipts: [{ status: 'verified' }] },
      ]);
    }
    const bytes = await readFile(receipt, 'utf8');
    await writeFile(receipt, bytes.replace('"rows":5', '"rows":6').replace('user:test', 'user:tesT'));
    const [exit, stdout] = await varve('receipts', 'verify', '--json');
    await writeFile(receipt, bytes);
    expect(exit).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'refused', receipts: [{ status: 'refuted' }] });
    const [missing] = await varve('receipts', 'verify', tmpdir());
    expect(missing).toBe(3);
  });
});

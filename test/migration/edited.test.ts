import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/base/index.ts';
import {
  canonicalBytes,
  chainLine,
  EMPTY_CHAIN,
  ledgerHead,
  readChain,
  sha256,
  storePath,
  verifyAll,
  verifyReceipt,
  type ChainHead,
  type Digest,
  type Receipt,
} from '../../src/evidence/index.ts';
import {
  applyMigration,
  approveMigration,
  createKeyPair,
  folderReader,
  freezeBundles,
  planMigration,
  readSignerReference,
  readStatus,
  recoverRuns,
  registerAll,
  registerKey,
  rehearseMigration,
  rollbackMigration,
  verifyReceipts,
  type RunOutcome,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { columnsOf, forgetLedger, migrationsFolder } from './fixture.ts';
import { PG_ID, planSql, sqlOptions, type SqlBundle } from './sql-bundle.ts';

const exec = promisify(execFile);
const BROKEN = 'create table site (id int primary key);\ncreate index site_name on site (nam);\n';
const WHOLE = 'create table site (id int primary key, name text);\ncreate index site_name on site (name);\n';

interface Scene extends AsyncDisposable {
  readonly options: RunnerOptions;
  readonly root: string;
  readonly schema: string;
  readonly path: (name: string) => string;
  readonly edit: (text: string, name?: string) => Promise<void>;
  readonly git: (...argv: string[]) => Promise<void>;
}

/** A bundle, with what names its schema as functions of it. */
interface Given extends Partial<Omit<SqlBundle, 'files'>> {
  readonly before?: (schema: string) => string;
  readonly files?: (schema: string) => Readonly<Record<string, string>>;
}

function suite(given: StoreUnderTest): void {
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
  }, 60_000);

  /** A planned bundle on a database in which nothing ever ran. */
  async function planned({ before, files, ...bundle }: Given = {}): Promise<Scene> {
    await forgetLedger(given.store);
    const folder = await migrationsFolder();
    const { root } = folder;
    const schema = await given.freshSchema();
    if (before !== undefined) await given.store.script(before(schema));
    const options = sqlOptions(given.store, root);
    const outcome = await planSql(options, {
      schema,
      tables: ['site'],
      forward: BROKEN,
      rollback: 'drop table site;',
      ...bundle,
      ...(files === undefined ? {} : { files: files(schema) }),
    });
    expect(outcome.status).toBe('planned');
    const path = (name: string): string => join(root, 'postgis', PG_ID, name);
    return {
      options,
      root,
      schema,
      path,
      edit: (text, name = 'forward.sql') => writeFile(path(name), text),
      git: async (...argv) => {
        const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'init.defaultBranch=main'];
        await exec('git', ['-C', dirname(root), ...who, ...argv]);
      },
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    };
  }

  /** The same, after a run of it that failed and was undone. */
  async function failed(): Promise<Scene & { readonly first: Digest }> {
    const s = await planned();
    const outcome = await applyMigration(s.options, PG_ID);
    expect(outcome).toMatchObject({ status: 'rolled_back', findings: [{ code: 'statement_failed' }] });
    return { ...s, first: receiptOf(outcome) };
  }

  function receiptOf(outcome: RunOutcome): Digest {
    if (!('receipt' in outcome) || outcome.receipt === undefined) throw new Error(JSON.stringify(outcome));
    return outcome.receipt.digest;
  }

  async function planAndApply({ options }: Scene): Promise<RunOutcome> {
    expect((await planMigration(options, PG_ID)).status).toBe('planned');
    return applyMigration(options, PG_ID);
  }

  async function expectWhole({ root }: Scene, ...receipts: readonly Digest[]): Promise<void> {
    expect((await verifyAll(folderReader(root))).findings).toEqual([]);
    expect((await verifyReceipts(root)).findings).toEqual([]);
    for (const digest of receipts)
      expect(await verifyReceipt(folderReader(root), storePath(digest))).toMatchObject({
        findings: [],
        receipts: [{ digest, status: 'verified' }],
      });
  }

  /** Neither runs as it is, nor verifies. */
  async function expectRefused(s: Scene, reason: string): Promise<void> {
    await expectNotRun(s, reason);
    expect((await verifyReceipts(s.root)).findings).toContainEqual(
      expect.objectContaining({
        code: 'bundle_changed',
        detail: expect.objectContaining({ reason }) as unknown,
      }),
    );
  }

  async function expectNotRun(s: Scene, reason: string): Promise<void> {
    const before = await readStatus(s.options);
    expect(await planAndApply(s)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'bundle_changed', detail: { reason } }],
    });
    expect((await readStatus(s.options)).migrations[0]?.runId).toBe(before.migrations[0]?.runId);
  }

  it('M6 M7 what failed and was undone is edited and run again, and each receipt verifies against its own files', async () => {
    await using s = await failed();
    await s.edit(WHOLE.replace('site (name)', 'site (nme)'));
    await expectWhole(s, s.first);
    expect(await applyMigration(s.options, PG_ID)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'bundle_changed', hint: expect.stringContaining('plan again') as string }],
    });
    const second = await planAndApply(s);
    expect(second).toMatchObject({ status: 'rolled_back', findings: [{ code: 'statement_failed' }] });

    await s.edit(WHOLE);
    const declaration = await readFile(s.path('migration.yml'), 'utf8');
    await s.edit(declaration.replace('For a test.', 'For a test, at last.'), 'migration.yml');
    await expectWhole(s, s.first, receiptOf(second));
    const third = await planAndApply(s);
    expect(third).toMatchObject({ status: 'applied', findings: [] });
    expect(await columnsOf(given.store, `${s.schema}.site`)).toEqual(['id', 'name']);
    await expectWhole(s, s.first, receiptOf(second), receiptOf(third));

    const back = await rollbackMigration(s.options, PG_ID);
    expect(back).toMatchObject({ status: 'applied', direction: 'rollback' });
    await expectWhole(s, s.first, receiptOf(second), receiptOf(third), receiptOf(back));
  }, 60_000);

  it('files that are taken back as they ran run again as well', async () => {
    await using s = await failed();
    await s.edit(BROKEN.replace('nam)', 'nme)'));
    expect((await planAndApply(s)).status).toBe('rolled_back');
    await s.edit(BROKEN);
    expect((await planAndApply(s)).status).toBe('rolled_back');
    await expectWhole(s, s.first);
  }, 60_000);

  it('M6 what was committed is not edited, also once it was taken back', async () => {
    await using s = await failed();
    await s.edit(WHOLE);
    expect((await planAndApply(s)).status).toBe('applied');
    await s.edit(BROKEN);
    await expectRefused(s, 'committed');
    expect(await rollbackMigration(s.options, PG_ID)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'bundle_changed', detail: { reason: 'committed' } }],
    });
    await s.edit(WHOLE);
    expect((await rollbackMigration(s.options, PG_ID)).status).toBe('applied');
    await s.edit(BROKEN);
    await expectRefused(s, 'committed');
  }, 60_000);

  it('M6 nor what was committed elsewhere, by a ledger file', async () => {
    await using s = await failed();
    await s.edit(WHOLE);
    const dev = readChain(await readFile(join(s.root, 'evidence/ledger/dev.jsonl'), 'utf8')).lines;
    const { seq: _seq, prev: _prev, digest: _digest, ...body } = dev[0] ?? {};
    const entry = { ...body, run_id: 'varve://run/elsewhere', environment: 'stage', phase: 'committed' };
    const line = canonicalBytes(chainLine(EMPTY_CHAIN, entry));
    const stage = join(s.root, 'evidence/ledger/stage.jsonl');
    await writeFile(stage, Buffer.concat([line, Buffer.from('\n')]));
    await expectRefused(s, 'committed');
    await rm(stage);
    expect((await planAndApply(s)).status).toBe('applied');
  }, 60_000);

  it('M41 a byte of the files that ran, or of the receipt of then, is found and named', async () => {
    await using s = await failed();
    await s.edit(WHOLE);
    expect((await planAndApply(s)).status).toBe('applied');
    const receipt = JSON.parse(await readFile(join(s.root, storePath(s.first)), 'utf8')) as Receipt;
    for (const { path, digest } of [...receipt.inputs, { path: 'the receipt', digest: s.first }]) {
      const stored = storePath(digest);
      const bytes = await readFile(join(s.root, stored));
      const spoilt = Uint8Array.from(bytes);
      spoilt[spoilt.length - 2] = (spoilt[spoilt.length - 2] ?? 0) ^ 1;
      await chmod(join(s.root, stored), 0o644);
      await writeFile(join(s.root, stored), spoilt);
      const all = await verifyAll(folderReader(s.root));
      expect(all.findings, path).toContainEqual(
        expect.objectContaining({ code: 'evidence_changed', subject: stored }),
      );
      const one = await verifyReceipt(folderReader(s.root), storePath(s.first));
      expect(
        one.findings.map(({ subject }) => subject),
        path,
      ).toContain(stored);
      await rm(join(s.root, stored));
      const lost = await verifyReceipt(folderReader(s.root), storePath(s.first));
      expect(
        lost.findings.map(({ subject }) => subject),
        path,
      ).toContain(stored);
      await writeFile(join(s.root, stored), bytes);
    }
    await expectWhole(s, s.first);
  }, 60_000);

  it('M115 the files that a receipt names are all that its bundle digest covers', async () => {
    await using s = await failed();
    await s.edit(WHOLE);
    const place = await mkdtemp(join(tmpdir(), 'varve-edited-'));
    try {
      await cp(s.root, place, { recursive: true });
      await forgeInputs(place, s.first, ({ path }) => path !== 'notes.md');
      const { findings } = await verifyAll(folderReader(place));
      expect(findings).toContainEqual(
        expect.objectContaining({ code: 'receipt_invalid', detail: { reason: 'bundle_digest' } }),
      );
    } finally {
      await rm(place, { recursive: true });
    }
  }, 60_000);

  it('M68 while a run of it is unfinished the files stay', async () => {
    await using s = await planned();
    const stop = new AbortController();
    const fault = async (point: string): Promise<void> =>
      point === 'F03_ledger_opened' ? stop.abort() : undefined;
    await expect(applyMigration({ ...s.options, fault, signal: stop.signal }, PG_ID)).rejects.toMatchObject({
      code: 'interrupted',
    });
    await s.edit(WHOLE);
    await expectNotRun(s, 'run_open');
    expect(await recoverRuns(s.options)).toMatchObject({
      status: 'indeterminate',
      findings: [{ code: 'bundle_changed' }],
    });
    await s.edit(BROKEN);
    expect(await recoverRuns(s.options)).toMatchObject({ status: 'recovered' });
    await s.edit(WHOLE);
    await expectWhole(s);
    expect((await planAndApply(s)).status).toBe('applied');
    await expectWhole(s);
  }, 60_000);

  it('M112 what failed and is not proved to be undone is not edited', async () => {
    const forward = 'update site set name = name;\nselect 1 / 0;\n';
    await using s = await planned({
      forward,
      files: (schema) => ({ 'index.sql': `create index concurrently site_name on ${schema}.site (name)` }),
      phases: [
        { file: 'index.sql', mode: 'nontransactional' },
        { file: 'forward.sql', mode: 'transactional' },
      ],
      rollback: 'drop index site_name;',
      before: (schema) =>
        `create table ${schema}.site (id int primary key, name text); insert into ${schema}.site values (1, 'one')`,
    });
    let isWritten = false;
    const fault = async (point: string): Promise<void> => {
      if (point !== 'F07_step_done' || isWritten) return;
      isWritten = true;
      await given.store.script(`insert into ${s.schema}.site values (2, 'meanwhile')`);
    };
    const outcome = await applyMigration({ ...s.options, fault }, PG_ID);
    expect(outcome).toMatchObject({
      status: 'indeterminate',
      receipt: { receipt: { outcome: 'indeterminate' } },
      findings: expect.arrayContaining([expect.objectContaining({ code: 'baseline_differs' })]) as unknown,
    });
    await expectWhole(s, receiptOf(outcome));
    await s.edit(forward.replace('select 1 / 0;', ''));
    await expectRefused(s, 'not_undone');
  }, 60_000);

  it('M51 what was merged is not edited: by the registry, and by version control', async () => {
    await using frozen = await failed();
    const about = { by: 'user:ada', clock: systemClock };
    await registerAll(frozen.root, { ...about, owners: ['user:ada'] });
    await frozen.edit(WHOLE);
    await expectWhole(frozen, frozen.first);
    await frozen.edit(BROKEN);
    await freezeBundles(frozen.root, [PG_ID], about);
    await frozen.edit(WHOLE);
    await expectRefused(frozen, 'merged');

    await using s = await failed();
    await s.edit(WHOLE);
    await s.git('init', '-q');
    await expectWhole(s, s.first);
    await s.git('commit', '-qm', 'nothing of it', '--allow-empty');
    await expectWhole(s, s.first);
    await s.git('checkout', '-qb', 'feature');
    await s.git('add', '-A');
    await s.git('commit', '-qm', 'of the branch');
    await expectWhole(s, s.first);
    await s.git('branch', '-f', 'main', 'feature');
    await expectRefused(s, 'merged');
    // The files of folders alone say nothing of it.
    expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
    await s.git('branch', '-D', 'main');
    await expectRefused(s, 'merge_unknown');
  }, 60_000);

  it('M52 M116 what somebody signed is not edited, until the signature is taken back', async () => {
    await using s = await failed();
    const { privatePem, publicKey } = createKeyPair();
    const signer = await readSignerReference('test', privatePem);
    if ('code' in signer) throw new Error('This key ought to be fine.');
    const principal = 'user:eve';
    await registerKey(s.root, systemClock, { principal, publicKey, role: 'approver', environments: ['dev'] });
    const approved = await approveMigration(s.options, PG_ID, { principal, grant: 'apply', signer });
    if (approved.status === 'refused') throw new Error(JSON.stringify(approved.findings));
    await s.edit(WHOLE);
    await expectRefused(s, 'approved');
    await rm(join(s.root, approved.path));
    expect((await planAndApply(s)).status).toBe('applied');
    await expectWhole(s, s.first);
  }, 60_000);

  it('M107 an edited bundle is rehearsed as it is now', async () => {
    await using s = await failed();
    await s.edit(WHOLE);
    expect((await planMigration(s.options, PG_ID)).status).toBe('planned');
    expect(await rehearseMigration(s.options, PG_ID)).toMatchObject({
      status: 'rehearsed',
      receipt: { receipt: { rollback: { rung: 'R4' } } },
    });
    await expectWhole(s, s.first);
    await s.edit(BROKEN.replace('nam)', 'nme)'));
    expect((await planMigration(s.options, PG_ID)).status).toBe('planned');
    await expectWhole(s, s.first);
    await registerAll(s.root, { owners: ['user:ada'], by: 'user:ada', clock: systemClock });
    await freezeBundles(s.root, [PG_ID], { by: 'user:ada', clock: systemClock });
    expect(await rehearseMigration(s.options, PG_ID)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'bundle_changed', detail: { reason: 'merged' } }],
    });
  }, 120_000);
}

/** The evidence as it would be had the run named other inputs: receipt, closing entry, chain and head made good again. */
async function forgeInputs(
  root: string,
  digest: Digest,
  isKept: (input: Receipt['inputs'][number]) => boolean,
): Promise<void> {
  const receipt = JSON.parse(await readFile(join(root, storePath(digest)), 'utf8')) as Receipt;
  const bytes = canonicalBytes({ ...receipt, inputs: receipt.inputs.filter(isKept) });
  const forged = sha256(bytes);
  for (const path of [storePath(forged), `postgis/${PG_ID}/receipts/run_receipt.json`]) {
    await rm(join(root, path), { force: true });
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), bytes);
  }
  const ledger = join(root, 'evidence/ledger/dev.jsonl');
  let head: ChainHead = EMPTY_CHAIN;
  const lines = readChain(await readFile(ledger, 'utf8')).lines.map(
    ({ seq: _seq, prev: _prev, digest: _digest, ...body }) => {
      const isOfIt = body['receipt_digest'] === digest;
      const line = chainLine(head, {
        ...body,
        ...(isOfIt ? { receipt_digest: forged, body_digest: forged } : {}),
      });
      head = line;
      return line;
    },
  );
  await writeFile(ledger, lines.map((line) => `${Buffer.from(canonicalBytes(line)).toString()}\n`).join(''));
  await writeFile(ledger.replace('.jsonl', '.head.json'), canonicalBytes(ledgerHead('dev', lines) ?? {}));
}

withEmbedded('an edited bundle', suite);
withPostgres('an edited bundle', 18, suite);

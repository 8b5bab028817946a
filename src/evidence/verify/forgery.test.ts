import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import { withEmbedded } from '../../../test/harness/index.ts';
import {
  forgetLedger,
  makeReadyForStage,
  migrationsFolder,
  plannedDouble,
  runnerKey,
  runnerOptions,
} from '../../../test/migration/fixture.ts';
import { canonicalJson, type Clock, type Finding, type JsonObject } from '../../base/index.ts';
import {
  applyMigration,
  DEFAULT_SETTINGS,
  folderReader,
  rollbackMigration,
  verifyReceipts,
  type RunnerOptions,
} from '../../migration/index.ts';
import { installCatalog, readCatalogFiles } from '../../store/postgres/index.ts';
import {
  chainLine,
  digestOf,
  EMPTY_CHAIN,
  HEAD_TYPE,
  ledgerHead,
  readChain,
  receiptStatement,
  sealEnvelope,
  sha256,
  STATEMENT_TYPE,
  storePath,
  type ChainHead,
  type ChainLine,
  type KeyRegister,
  type Receipt,
  type Signer,
} from '../index.ts';

/** What somebody may do who holds a copy of the evidence, and what verification makes of it. */
withEmbedded('F22 forged evidence', (given) => {
  const [one, two] = ['PIPE-MIG-2026-03-01-01', 'PIPE-MIG-2026-03-01-02'];
  let stage: Scene;
  let referring: Scene;

  interface Scene {
    readonly root: string;
    readonly signer: Signer;
    /** The head as it was after the first run. */
    readonly kept: string;
  }

  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
    [stage, referring] = [await scene(false), await scene(true)];
    return async () => {
      for (const { root } of [stage, referring]) await rm(join(root, '..'), { recursive: true, force: true });
    };
  }, 120_000);

  /** Two runs of stage and a way back; the receipts stand in the bundle, or a reference to them, as it is in prod. */
  async function scene(isReferring: boolean): Promise<Scene> {
    const environment = 'stage' as const;
    await forgetLedger(given.store);
    const { root } = await migrationsFolder();
    const signer = await runnerKey(root, [environment]);
    const settings = { ...DEFAULT_SETTINGS, receiptsByReference: isReferring ? [environment] : [] };
    const options: RunnerOptions = { ...runnerOptions(given.store, root), environment, signer, settings };
    await plannedDouble(options, await given.freshSchema(), { id: one });
    await makeReadyForStage(options, one);
    expect(await applyMigration(options, one)).toMatchObject({ status: 'applied' });
    const kept = join(root, '..', 'kept.json');
    await cp(join(root, `evidence/ledger/${environment}.head.json`), kept);
    await plannedDouble(options, await given.freshSchema(), { id: two });
    await makeReadyForStage(options, two);
    expect(await applyMigration(options, two)).toMatchObject({ status: 'applied' });
    expect(await rollbackMigration(options, two)).toMatchObject({ status: 'applied' });
    return { root, signer, kept };
  }

  /** A copy to spoil. */
  async function copyOf(
    from: Scene,
  ): Promise<AsyncDisposable & Scene & { readonly path: (name: string) => string }> {
    const folder = await mkdtemp(join(tmpdir(), 'varve-forgery-'));
    const root = join(folder, 'migrations');
    await cp(from.root, root, { recursive: true });
    return {
      ...from,
      root,
      path: (name) => join(root, name),
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
    };
  }

  async function findingsOf({ root }: { readonly root: string }, kept?: string): Promise<readonly Finding[]> {
    const head =
      kept === undefined ? {} : { keptHead: { path: kept, bytes: new Uint8Array(await readFile(kept)) } };
    return (await verifyReceipts(root, head)).findings;
  }

  const reasons = (findings: readonly Finding[]): readonly unknown[] =>
    findings.map(({ code, detail }) =>
      [code, detail['reason']].filter((part) => typeof part === 'string').join(' '),
    );

  async function linesOf(root: string, environment: string): Promise<readonly ChainLine[]> {
    return readChain(await readFile(join(root, `evidence/ledger/${environment}.jsonl`), 'utf8')).lines;
  }

  /** Writes a ledger anew, chain, head and signature: as good as a forger with this key can make it. */
  async function writeLedger(
    { root }: { readonly root: string },
    environment: string,
    bodies: readonly JsonObject[],
    signer: Signer,
  ): Promise<void> {
    let head: ChainHead = EMPTY_CHAIN;
    const lines: ChainLine[] = [];
    for (const { seq: _seq, prev: _prev, digest: _digest, ...body } of bodies) {
      const line = chainLine(head, body);
      lines.push(line);
      head = line;
    }
    const text = lines.map((line) => `${canonicalJson(line)}\n`).join('');
    await writeFile(join(root, `evidence/ledger/${environment}.jsonl`), text);
    const signed = await sealEnvelope(HEAD_TYPE, ledgerHead(environment, lines) as JsonObject, signer);
    await writeFile(join(root, `evidence/ledger/${environment}.head.json`), canonicalJson(signed));
  }

  async function receiptOf({ root }: { readonly root: string }, id: string): Promise<Receipt> {
    const lines = await linesOf(root, 'stage');
    const line = lines.find((each) => each['migration_id'] === id && each['phase'] === 'closed');
    const bytes = await readFile(join(root, storePath(line?.['receipt_digest'] as string)), 'utf8');
    return JSON.parse(bytes) as Receipt;
  }

  async function put({ root }: { readonly root: string }, value: JsonObject): Promise<string> {
    const digest = digestOf(value);
    const path = join(root, storePath(digest));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, canonicalJson(value));
    return digest;
  }

  it('M41 M44 what was not touched holds, with the receipt shown or referred to', async () => {
    for (const each of [stage, referring]) expect(await findingsOf(each, each.kept)).toEqual([]);
    const shown = async (each: Scene): Promise<readonly string[]> =>
      (await folderReader(each.root).list(`pipeline/${one}/receipts`))
        .map((file) => file.split('/').at(-1) ?? '')
        .toSorted();
    expect(await shown(stage)).toEqual([
      'prov.jsonld',
      'receipt_ref.json',
      'rehearsal_receipt.dsse.json',
      'rehearsal_receipt.json',
      'run_receipt.dsse.json',
      'run_receipt.json',
    ]);
    expect(await shown(referring)).toEqual([
      'prov.jsonld',
      'receipt_ref.json',
      'rehearsal_receipt.dsse.json',
      'rehearsal_receipt.json',
    ]);
    const reference = JSON.parse(
      await readFile(join(referring.root, `pipeline/${one}/receipts/receipt_ref.json`), 'utf8'),
    ) as JsonObject;
    expect(Object.keys(reference)).toEqual(
      [
        'ref_version',
        'run_id',
        'migration_id',
        'digest',
        'size',
        'media_type',
        'uri',
        'store',
        'envelope_digest',
      ].toSorted(),
    );
    const verified = await verifyReceipts(join(referring.root, `pipeline/${one}`));
    expect(verified).toMatchObject({
      findings: [],
      receipts: [
        { status: 'verified', migrationId: one, outcome: 'rehearsed' },
        { status: 'verified', migrationId: one, outcome: 'committed' },
      ],
    });
  });

  it('names the file when any bit of any file is turned', async () => {
    for (const each of [stage, referring]) {
      // The register is what everything rests on: it is authored, and kept in version control.
      const files = (await folderReader(each.root).list('')).filter((file) => !file.startsWith('registry/'));
      const index = fc.nat({ max: files.length - 1 });
      const flip = async (name: string, place: number, bit: number): Promise<void> => {
        const path = join(each.root, name);
        const bytes = new Uint8Array(await readFile(path));
        const at = place % bytes.byteLength;
        const spoilt = bytes.with(at, (bytes[at] ?? 0) ^ (1 << bit));
        await chmod(path, 0o644);
        await writeFile(path, spoilt);
        const findings = await findingsOf(each);
        await writeFile(path, bytes);
        expect(
          findings.some((finding) => names(finding, name)),
          `${name} at ${at}: ${JSON.stringify(findings)}`,
        ).toBe(true);
      };
      for (const [at, name] of files.entries()) await flip(name, at * 7919, at % 8);
      await fc.assert(
        fc.asyncProperty(index, fc.nat(), fc.integer({ min: 0, max: 7 }), (file, place, bit) =>
          flip(files[file] ?? '', place, bit),
        ),
        { numRuns: 100 },
      );
      expect(await findingsOf(each)).toEqual([]);
    }
  }, 300_000);

  it('a signature of another run is none of this one', async () => {
    await using spoilt = await copyOf(stage);
    const envelope = (id: string): string => spoilt.path(`pipeline/${id}/receipts/run_receipt.dsse.json`);
    await cp(envelope(two), envelope(one));
    expect(await findingsOf(spoilt)).toMatchObject([
      { code: 'evidence_changed', subject: `pipeline/${one}/receipts/run_receipt.dsse.json` },
    ]);
    // In the ledger too, and signed anew.
    const lines = await linesOf(spoilt.root, 'stage');
    const other = lines.find((line) => line['migration_id'] === two && line['phase'] === 'closed')?.[
      'body_digest'
    ];
    const forged = lines.map((line) =>
      line['migration_id'] === one && line['phase'] === 'closed'
        ? { ...line, body_digest: other ?? '' }
        : line,
    );
    await writeLedger(spoilt, 'stage', forged, spoilt.signer);
    expect(reasons(await findingsOf(spoilt))).toContain('receipt_invalid deciding_entry');
    await using kept = await copyOf(stage);
    await writeLedger(
      kept,
      'stage',
      lines.slice(0, -1).concat({ ...lines.at(-1), body_digest: other } as ChainLine),
      kept.signer,
    );
    const found = await findingsOf(kept);
    expect(
      found.some(({ detail }) => detail['reason'] === 'statement'),
      JSON.stringify(found),
    ).toBe(true);
  });

  it('a receipt that was made better and signed by a stranger is refuted', async () => {
    await using spoilt = await copyOf(stage);
    const stranger = await runnerKey((await migrationsFolder()).root);
    const receipt = await receiptOf(spoilt, one);
    const better: Receipt = {
      ...receipt,
      actor: { ...receipt.actor, principal: 'user:ghost' },
      signed_by: stranger.keyId,
    };
    const envelope = await sealEnvelope(STATEMENT_TYPE, receiptStatement(better), stranger);
    const [receiptDigest, envelopeDigest] = [await put(spoilt, better), await put(spoilt, envelope)];
    const lines = (await linesOf(spoilt.root, 'stage')).filter((line) => line['migration_id'] === one);
    const forged = lines.map((line) =>
      line['phase'] === 'closed'
        ? { ...line, receipt_digest: receiptDigest, body_digest: envelopeDigest }
        : line,
    );
    await writeLedger(spoilt, 'stage', forged, stranger);
    expect(reasons(await findingsOf(spoilt))).toEqual(
      expect.arrayContaining(['ledger_broken key_unknown', 'receipt_invalid key_unknown']),
    );
    // With the runner's own key that had signed before, the head that was kept tells.
    expect(reasons(await findingsOf(spoilt, spoilt.kept))).toContain('ledger_fork rewritten');
  });

  it('an unsigned receipt and an unsigned head count in dev only', async () => {
    await using spoilt = await copyOf(stage);
    const lines = await linesOf(spoilt.root, 'stage');
    const bare = lines.map((line) =>
      line['phase'] === 'closed' ? { ...line, body_digest: line['receipt_digest'] ?? '' } : line,
    );
    await writeLedger(spoilt, 'stage', bare, spoilt.signer);
    expect(reasons(await findingsOf(spoilt))).toContain('receipt_invalid unsigned');
    await writeFile(
      spoilt.path('evidence/ledger/stage.head.json'),
      canonicalJson(ledgerHead('stage', lines) as JsonObject),
    );
    expect(reasons(await findingsOf(spoilt))).toContain('ledger_broken unsigned');
  });

  it('an old receipt in a new environment is told by its environment', async () => {
    await using spoilt = await copyOf(stage);
    await cp(spoilt.path('evidence/ledger/stage.jsonl'), spoilt.path('evidence/ledger/prod.jsonl'));
    await cp(spoilt.path('evidence/ledger/stage.head.json'), spoilt.path('evidence/ledger/prod.head.json'));
    expect(reasons(await findingsOf(spoilt))).toEqual(expect.arrayContaining(['ledger_broken environment']));
    // Rewritten for the new environment, the receipts say another one.
    await using renamed = await copyOf(stage);
    await rm(renamed.path('evidence/ledger'), { recursive: true });
    await cp(stage.root, renamed.root, { recursive: true, filter: (path) => !path.includes('ledger/stage') });
    const lines = await linesOf(stage.root, 'stage');
    await writeLedger(
      renamed,
      'prod',
      lines.map((line) => ({ ...line, environment: 'prod' })),
      renamed.signer,
    );
    const found = reasons(await findingsOf(renamed));
    expect(found).toContain('receipt_invalid subject');
    // The key was registered for stage alone.
    expect(found).toContain('ledger_broken key_environment');
  });

  it('a run id that is used again is told', async () => {
    await using spoilt = await copyOf(stage);
    const lines = await linesOf(spoilt.root, 'stage');
    const first = lines[0]?.['run_id'] ?? '';
    await writeLedger(spoilt, 'stage', [...lines, { ...lines.at(-4), run_id: first }], spoilt.signer);
    expect(reasons(await findingsOf(spoilt))).toContain('ledger_broken run_id_reused');
  });

  it('M117 a key counts where and while it was registered, judged at the end of the run', async () => {
    const receipt = await receiptOf(stage, one);
    const edits: readonly (readonly [string, Partial<KeyRegister['keys'][number]>])[] = [
      ['key_validity', { valid_from: '2999-01-01T00:00:00.000Z' }],
      ['key_validity', { valid_until: receipt.started_at }],
      ['role', { role: 'approver' }],
      ['key_environment', { environments: ['dev'] }],
      ['key_unknown', { key_id: sha256('another') }],
    ];
    for (const [reason, edit] of edits) {
      await using spoilt = await copyOf(stage);
      const path = spoilt.path('registry/keys.v1.json');
      const register = JSON.parse(await readFile(path, 'utf8')) as KeyRegister;
      await writeFile(
        path,
        JSON.stringify({ ...register, keys: register.keys.map((key) => ({ ...key, ...edit })) }),
      );
      expect(reasons(await findingsOf(spoilt)), reason).toContain(`receipt_invalid ${reason}`);
    }
    // A key that ran out later voids nothing.
    await using later = await copyOf(stage);
    const register = JSON.parse(await readFile(later.path('registry/keys.v1.json'), 'utf8')) as KeyRegister;
    const keys = register.keys.map((key) => ({
      ...key,
      valid_until: new Date(Date.now() + 60_000).toISOString(),
    }));
    await writeFile(later.path('registry/keys.v1.json'), JSON.stringify({ ...register, keys }));
    expect(await findingsOf(later)).toEqual([]);
  });

  it('M120 a kept head exposes a tail that is lost with all that mentions it', async () => {
    await using spoilt = await copyOf(referring);
    const kept = join(spoilt.root, '../kept.json');
    await cp(spoilt.path('evidence/ledger/stage.head.json'), kept);
    const lines = (await linesOf(spoilt.root, 'stage')).filter((line) => line['migration_id'] === one);
    await rm(spoilt.path(`pipeline/${two}`), { recursive: true });
    await writeLedger(spoilt, 'stage', lines, spoilt.signer);
    expect(await findingsOf(spoilt)).toEqual([]);
    expect(await findingsOf(spoilt, kept)).toMatchObject([
      {
        code: 'ledger_fork',
        subject: 'evidence/ledger/stage.jsonl:5',
        detail: { reason: 'tail_lost', seq: 5, keptHead: 12 },
      },
    ]);
    // All of the ledger gone, head too.
    await rm(spoilt.path('evidence/ledger'), { recursive: true });
    expect(reasons(await findingsOf(spoilt, kept))).toContain('ledger_fork tail_lost');
  });

  it('a clock that was set back makes no entry older than the one before it, and one that is is told', async () => {
    await forgetLedger(given.store);
    const folder = await migrationsFolder();
    const signer = await runnerKey(folder.root, ['dev']);
    let turns = 0;
    const back: Clock = {
      nowMs: () => Date.now() - 60_000 * (turns += 1),
      monotonicMs: () => performance.now(),
    };
    const options: RunnerOptions = { ...runnerOptions(given.store, folder.root), clock: back };
    await plannedDouble(options, await given.freshSchema(), { id: one });
    const outcome = await applyMigration(options, one);
    expect(outcome).toMatchObject({ status: 'applied' });
    if (outcome.status !== 'applied') return;
    const { started_at: startedAt, finished_at: finishedAt } = outcome.receipt.receipt;
    // M127: its start plus the monotonic time that passed, whatever the wall clock says.
    expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBeGreaterThanOrEqual(0);
    expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBeLessThan(60_000);
    expect(await findingsOf(folder)).toEqual([]);
    const lines = await linesOf(folder.root, 'dev');
    await writeLedger(
      folder,
      'dev',
      lines.toSpliced(1, 1, { ...lines[1], at: '2020-01-01T00:00:00.000Z' } as ChainLine),
      signer,
    );
    expect(reasons(await findingsOf(folder))).toContain('ledger_broken clock_back');
    await folder[Symbol.asyncDispose]();
  });
});

/** Whether a finding says which file it is about. */
function names({ subject, detail }: Finding, name: string): boolean {
  const [kind, id, ...rest] = name.split('/');
  const listed =
    Array.isArray(detail['files']) && (detail['files'] as readonly unknown[]).includes(rest.join('/'));
  return (
    subject.startsWith(name) ||
    JSON.stringify(detail).includes(name) ||
    (subject === `${kind}/${id}` && listed)
  );
}

import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { digestOf, verifyAll, type Receipt } from '../../src/evidence/index.ts';
import { readEvidence } from '../../src/migration/evidence-store.ts';
import {
  applyMigration,
  approveMigration,
  createKeyPair,
  folderReader,
  planMigration,
  readSignerReference,
  registerKey,
  rehearseMigration,
  rollbackMigration,
  showReceipt,
  type RunnerOptions,
  type RunOutcome,
} from '../../src/migration/index.ts';
import { systemClock } from '../../src/base/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { columnsOf, forgetLedger, migrationsFolder, plannedDouble, runnerOptions } from './fixture.ts';

const ALL = '@id("all") permit (principal, action, resource);';

function suite(given: StoreUnderTest): void {
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
  }, 60_000);

  interface Scene extends AsyncDisposable {
    readonly options: RunnerOptions;
    readonly id: string;
    readonly table: string;
    readonly policy: (text: string) => Promise<void>;
  }

  async function scene(): Promise<Scene> {
    await forgetLedger(given.store);
    const folder = await migrationsFolder();
    const options = runnerOptions(given.store, folder.root);
    const { id, table } = await plannedDouble(options, await given.freshSchema());
    return {
      options,
      id,
      table,
      policy: async (text) => {
        await mkdir(join(folder.root, 'registry/policy'), { recursive: true });
        await writeFile(join(folder.root, 'registry/policy/main.cedar'), text);
      },
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    };
  }

  const forbid = (action: string): string =>
    `${ALL} @id("no") forbid (principal, action == Action::"${action}", resource);`;
  const receiptOf = async ({ root }: RunnerOptions, id: string): Promise<Receipt> => {
    const shown = await showReceipt(root, id);
    if (shown.status === 'refused') throw new Error(JSON.stringify(shown.findings));
    return shown.receipt;
  };
  const denial = (action: string, more: object): object => ({
    status: 'refused',
    findings: [{ code: 'policy_denied', detail: { action, environment: 'dev', ...more } }],
  });

  it('M128 each verb is denied by the policy that forbids it, and changes nothing', async () => {
    await using s = await scene();
    const { options, id, table } = s;
    const { privatePem, publicKey } = createKeyPair();
    const signer = await readSignerReference('test', privatePem);
    if ('code' in signer) throw new Error('This key ought to be fine.');
    const principal = 'user:eve';
    await registerKey(options.root, systemClock, {
      principal,
      publicKey,
      role: 'approver',
      environments: ['dev'],
    });
    const verbs: readonly (readonly [string, () => Promise<object>])[] = [
      ['plan', () => planMigration(options, id)],
      ['rehearse', () => rehearseMigration(options, id)],
      ['approve', () => approveMigration(options, id, { principal, grant: 'apply', signer })],
      ['apply', () => applyMigration(options, id)],
    ];
    for (const [action, run] of verbs) {
      await s.policy(forbid(action));
      expect(await run(), action).toMatchObject(
        denial(action, { reason: 'forbidden', policies: ['main.cedar#no'] }),
      );
    }
    expect(await columnsOf(given.store, table)).toEqual(['id', 'value']);
    await s.policy(ALL);
    for (const [action, run] of verbs) expect(await run(), action).not.toMatchObject({ status: 'refused' });
    await s.policy(forbid('rollback'));
    expect(await rollbackMigration(options, id)).toMatchObject(denial('rollback', { reason: 'forbidden' }));
    await s.policy(ALL);
    expect(await rollbackMigration(options, id)).toMatchObject({ status: 'applied', direction: 'rollback' });
  }, 120_000);

  it('M128 no match is deny, an error is deny, and a policy that cannot be read is refused', async () => {
    await using s = await scene();
    const { options, id, table } = s;
    const apply = (): Promise<RunOutcome> => applyMigration(options, id);
    await s.policy('@id("other") permit (principal == Principal::"user:other", action, resource);');
    expect(await apply()).toMatchObject(denial('apply', { reason: 'not_permitted' }));
    await s.policy(`${ALL} @id("odd") forbid (principal, action, resource) when { context.nothing };`);
    expect(await apply()).toMatchObject(denial('apply', { reason: 'error', policies: ['main.cedar#odd'] }));
    await s.policy('permit (principal');
    expect(await apply()).toMatchObject({ status: 'refused', findings: [{ code: 'policy_invalid' }] });
    await s.policy('// nobody may do anything');
    expect(await apply()).toMatchObject(denial('apply', { reason: 'not_permitted' }));
    expect(await columnsOf(given.store, table)).toEqual(['id', 'value']);
    expect(await readdir(join(options.root, 'runs')).catch(() => [])).toEqual([]);
  }, 120_000);

  it('M128 policy and request digest are in the receipt, and lie in the evidence store', async () => {
    await using s = await scene();
    const { options, id } = s;
    const rehearsed = await rehearseMigration(options, id);
    expect(rehearsed).toMatchObject({
      status: 'rehearsed',
      receipt: { receipt: { policy: { policy_label: 'built-in' } } },
    });
    await s.policy(ALL);
    expect(await applyMigration(options, id)).toMatchObject({ status: 'applied' });
    const { policy } = await receiptOf(options, id);
    if (policy === undefined) throw new Error('no policy in the receipt');
    const documents = await Promise.all(
      [policy.policy_digest, policy.request_digest].map(async (digest): Promise<unknown> => {
        const parsed: unknown = JSON.parse(
          new TextDecoder().decode(await readEvidence(options.root, digest)),
        );
        return parsed;
      }),
    );
    expect(policy.policy_label).toBe('registry/policy');
    expect(documents[0]).toEqual({ files: [{ path: 'main.cedar', text: ALL }] });
    expect(documents[1]).toMatchObject({
      principal: { id: 'user:test', role: 'runner' },
      action: 'apply',
      resource: { id, kind: 'pipeline' },
      context: { environment: 'dev', grants: [], reviewers: [] },
    });
    expect(policy.decision_id).toBe(
      digestOf({
        policy: policy.policy_digest,
        request: policy.request_digest,
        decision: 'allow',
        policies: ['main.cedar#all'],
      }),
    );
    expect((await verifyAll(folderReader(options.root))).findings).toEqual([]);
  }, 120_000);

  it('M128 without a policy of its own, a project denies whom it cannot name', async () => {
    await using s = await scene();
    const nameless = { ...s.options, actor: { principal: 'user:unknown', role: 'runner' } };
    expect(await applyMigration(nameless, s.id)).toMatchObject(
      denial('apply', { reason: 'forbidden', policies: ['built-in.cedar#nameless'], policy: 'built-in' }),
    );
  }, 60_000);

  it('M128 what was signed is part of the request', async () => {
    await using s = await scene();
    const { options, id } = s;
    const { privatePem, publicKey } = createKeyPair();
    const signer = await readSignerReference('test', privatePem);
    if ('code' in signer) throw new Error('This key ought to be fine.');
    const principal = 'user:eve';
    await registerKey(options.root, systemClock, {
      principal,
      publicKey,
      role: 'approver',
      environments: ['dev'],
    });
    await s.policy(`
      permit (principal, action, resource) when { context.reviewers.contains(Principal::"user:eve") && context.grants.contains("apply") };
      permit (principal, action == Action::"approve", resource);`);
    expect(await applyMigration(options, id)).toMatchObject(denial('apply', { reason: 'not_permitted' }));
    await approveMigration(options, id, { principal, grant: 'apply', signer });
    expect(await applyMigration(options, id)).toMatchObject({ status: 'applied' });
  }, 60_000);
}

withEmbedded('policy', suite);
withPostgres('policy', 18, suite);

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/base/index.ts';
import { freezeBundles, registerAll } from '../../src/migration/register.ts';
import {
  applyMigration,
  approveMigration,
  createKeyPair,
  planMigration,
  readEnvironmentStatuses,
  readSigner,
  rehearseMigration,
  registerKey,
  rollbackMigration,
  type RunnerOptions,
  type RunOutcome,
} from '../../src/migration/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';
import { withStores } from '../harness/index.ts';
import { doubleKind } from './double-kind.ts';
import { migrationsFolder, plannedDouble, runnerOptions } from './fixture.ts';

const told = (outcome: RunOutcome): readonly unknown[] =>
  outcome.status === 'refused'
    ? outcome.findings.map(({ code, detail }) => detail['reason'] ?? code)
    : [outcome.status];

withStores('environments', (given) => {
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
  }, 60_000);

  /** A database of another environment: neither ledger nor what was migrated. */
  async function freshDatabase(schema: string): Promise<void> {
    await given.store.script(`
      alter table varve.ledger disable trigger ledger_only_grows;
      delete from varve.ledger;
      alter table varve.ledger enable always trigger ledger_only_grows;
      drop schema if exists "${schema}" cascade;`);
  }

  async function scene() {
    const folder = await migrationsFolder();
    const schema = await given.freshSchema();
    await freshDatabase(schema);
    const dev = runnerOptions(given.store, folder.root);
    const { id } = await plannedDouble(dev, schema);
    await registerAll(folder.root, { owners: ['user:ada'], by: 'user:ada', clock: systemClock });
    const keys = createKeyPair();
    const secret = join(folder.root, '../eve.pem');
    await writeFile(secret, keys.privatePem);
    const { publicKey } = keys;
    const signer = await readSigner(secret);
    if ('code' in signer) throw new Error('no key');
    const environments = ['dev', 'stage', 'prod'];
    await registerKey(folder.root, systemClock, {
      principal: 'user:eve',
      publicKey,
      role: 'approver',
      environments,
    });
    const runner = createKeyPair();
    await writeFile(join(folder.root, '../runner.pem'), runner.privatePem);
    const runnerSigner = await readSigner(join(folder.root, '../runner.pem'));
    if ('code' in runnerSigner) throw new Error('no key');
    await registerKey(folder.root, systemClock, {
      principal: 'svc:runner',
      publicKey: runner.publicKey,
      role: 'runner',
      environments,
    });
    const at = (
      environment: RunnerOptions['environment'],
      more: Partial<RunnerOptions> = {},
    ): RunnerOptions => ({
      ...dev,
      signer: runnerSigner,
      environment,
      ...more,
    });
    /** The same tables once more, in a database of this environment, planned there. */
    const enter = async (environment: RunnerOptions['environment']): Promise<void> => {
      await freshDatabase(schema);
      await given.store.script(`
        create schema "${schema}";
        create table "${schema}".thing (id int primary key, value int not null);
        insert into "${schema}".thing select i, i * 10 from generate_series(1, 5) i;`);
      await planMigration(at(environment), id);
      if (environment !== 'stage') return;
      expect(await rehearseMigration(at('stage'), id)).toMatchObject({ status: 'rehearsed' });
    };
    const approve = async (environment: RunnerOptions['environment']) =>
      approveMigration(at(environment), id, { principal: 'user:eve', grant: 'apply', signer });
    return { ...folder, id, at, enter, approve };
  }

  it('M49 M105 stage asks for signatures, prod for the merge and a receipt of stage too', async () => {
    await using s = await scene();
    await s.enter('stage');
    expect(told(await applyMigration(s.at('stage'), s.id))).toEqual(['a required reviewer has not signed']);
    await s.approve('stage');
    const eve = { actor: { principal: 'user:eve', role: 'runner' } };
    expect(told(await applyMigration(s.at('stage', eve), s.id))).toContain(
      'approved by nobody but the runner',
    );
    await s.enter('prod');
    await s.approve('prod');
    expect(told(await applyMigration(s.at('prod'), s.id))).toEqual(['not_merged', 'no_receipt_of_stage']);
    await freezeBundles(s.root, [s.id], { by: 'user:ada', clock: systemClock });
    await s.enter('stage');
    const applied = await applyMigration(s.at('stage'), s.id);
    expect(applied).toMatchObject({
      status: 'applied',
      receipt: { receipt: { approvals: [expect.any(String)] } },
    });
    await s.enter('prod');
    const later = { ...systemClock, nowMs: () => systemClock.nowMs() + 31 * 24 * 3600 * 1000 };
    const late = told(await applyMigration(s.at('prod', { clock: later }), s.id));
    expect(late).toContain('stage_too_long_ago');
    // Of a kind whose rehearsals can write rows in between, prod asks for R4, which stage had not.
    const kinds = [{ ...doubleKind, probe: () => Promise.resolve([]) }];
    expect(told(await applyMigration(s.at('prod', { kinds }), s.id))).toEqual(['way_back_not_probed']);
    expect(told(await applyMigration(s.at('prod'), s.id))).toEqual(['applied']);
  }, 240_000);

  it('M48 M49 M50 what was taken back in stage is not for prod, and runs there again under newer signatures only', async () => {
    await using s = await scene();
    await s.enter('stage');
    await s.approve('stage');
    expect(told(await applyMigration(s.at('stage'), s.id))).toEqual(['applied']);
    expect(await applyMigration(s.at('stage'), s.id)).toMatchObject({ status: 'applied', already: true });
    expect(told(await rollbackMigration(s.at('stage'), s.id))).toEqual(['applied']);
    expect(told(await applyMigration(s.at('stage'), s.id))).toEqual(['a required reviewer has not signed']);
    await s.approve('stage');
    expect(told(await applyMigration(s.at('stage'), s.id))).toEqual(['applied']);
    const [stage] = (await readEnvironmentStatuses(s.root)).get(s.id) ?? [];
    expect(stage).toEqual({ environment: 'stage', wasExecuted: true, wasRolledBack: true, stands: true });
    expect(told(await rollbackMigration(s.at('stage'), s.id))).toEqual(['applied']);
    expect((await readEnvironmentStatuses(s.root)).get(s.id)).toMatchObject([{ stands: false }]);
    await freezeBundles(s.root, [s.id], { by: 'user:ada', clock: systemClock });
    await s.enter('prod');
    await s.approve('prod');
    expect(told(await applyMigration(s.at('prod'), s.id))).toEqual(['taken_back_in_stage']);
  }, 240_000);

  it('M49 M105 M38 stage asks for a passing rehearsal of this plan, here, signed by a runner', async () => {
    await using s = await scene();
    const stage = s.at('stage');
    const { signer: _signer, ...unsigned } = s.at('dev');
    await s.enter('prod');
    await planMigration(stage, s.id);
    await s.approve('stage');
    expect(told(await applyMigration(stage, s.id))).toEqual(['not_rehearsed']);
    await rehearseMigration(s.at('dev'), s.id);
    expect(told(await applyMigration(stage, s.id))).toEqual(['rehearsed_in_another_environment']);
    await rehearseMigration({ ...unsigned, environment: 'stage' }, s.id);
    expect(told(await applyMigration(stage, s.id))).toEqual(['rehearsal_not_signed']);
    await rehearseMigration(stage, s.id);
    const outcome = await applyMigration(stage, s.id);
    expect(told(outcome), JSON.stringify(outcome)).toEqual(['applied']);
    expect(outcome).toMatchObject({ receipt: { receipt: { rollback: { rung: 'R3' } } } });
  }, 240_000);
});

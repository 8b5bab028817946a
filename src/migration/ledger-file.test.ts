import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { withEmbedded } from '../../test/harness/index.ts';
import {
  forgetLedger,
  makeReadyForStage,
  migrationsFolder,
  plannedDouble,
  runnerKey,
  runnerOptions,
} from '../../test/migration/fixture.ts';
import { verifyAll } from '../evidence/index.ts';
import { installCatalog, readCatalogFiles } from '../store/postgres/index.ts';
import { applyMigration, folderReader, type RunnerOptions } from './index.ts';

withEmbedded('ledger file', (given) => {
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
  }, 60_000);

  async function scene(environment: RunnerOptions['environment']) {
    await forgetLedger(given.store);
    const folder = await migrationsFolder();
    const signer = await runnerKey(folder.root, [environment]);
    const options: RunnerOptions = { ...runnerOptions(given.store, folder.root), environment, signer };
    const apply = async (number: number) => {
      const id = `PIPE-MIG-2026-03-01-0${number}`;
      await plannedDouble(options, await given.freshSchema(), { id });
      if (environment === 'stage') await makeReadyForStage(options, id);
      return applyMigration(options, id);
    };
    return { ...folder, options, apply };
  }

  const entries = async (root: string, name: string): Promise<number> =>
    (await readFile(join(root, 'evidence/ledger', name), 'utf8')).trimEnd().split('\n').length;

  it('is refilled from the database when it is lost or cut', async () => {
    await using s = await scene('dev');
    await s.apply(1);
    expect(await entries(s.root, 'dev.jsonl')).toBe(4);
    const path = join(s.root, 'evidence/ledger/dev.jsonl');
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, `${lines.slice(0, 2).join('\n')}\n`);
    expect(await s.apply(2)).toMatchObject({ status: 'applied' });
    expect(await entries(s.root, 'dev.jsonl')).toBe(8);
    expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
  });

  it('is continued by a new database', async () => {
    await using s = await scene('stage');
    await s.apply(1);
    await forgetLedger(given.store);
    expect(await s.apply(2)).toMatchObject({ status: 'applied' });
    expect(await entries(s.root, 'stage.jsonl')).toBe(8);
    expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
  });

  it('shows an old copy of the database as a fork: refused in stage, told in dev', async () => {
    for (const environment of ['stage', 'dev'] as const) {
      await using s = await scene(environment);
      await s.apply(1);
      await s.apply(2);
      await forgetLedger(given.store, 4);
      const outcome = await s.apply(3);
      const fork = {
        code: 'ledger_fork',
        detail: { seq: 5 },
        severity: environment === 'dev' ? 'warning' : 'error',
      };
      expect(outcome).toMatchObject({
        status: environment === 'dev' ? 'applied' : 'refused',
        findings: [fork],
      });
      const files = await readdir(join(s.root, 'evidence/ledger'));
      expect(files).toHaveLength(environment === 'dev' ? 4 : 2);
      expect(await entries(s.root, `${environment}.jsonl`)).toBe(8);
    }
  });

  it('that was edited stops every run', async () => {
    await using s = await scene('dev');
    await s.apply(1);
    const path = join(s.root, 'evidence/ledger/dev.jsonl');
    await writeFile(path, (await readFile(path, 'utf8')).replace('"opened"', '"closed"'));
    await expect(s.apply(2)).rejects.toMatchObject({ code: 'ledger_broken', detail: { line: 1 } });
  });

  it('belongs to one environment, and so does its database', async () => {
    await using s = await scene('dev');
    await s.apply(1);
    const options: RunnerOptions = { ...s.options, environment: 'prod' };
    expect(await applyMigration(options, 'PIPE-MIG-2026-03-01-01')).toMatchObject({
      status: 'refused',
      findings: [{ code: 'ledger_fork', detail: { found: 'dev' } }],
    });
  });
});

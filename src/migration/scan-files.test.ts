import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { withEmbedded } from '../../test/harness/index.ts';
import { doubleKind } from '../../test/migration/double-kind.ts';
import {
  columnsOf,
  forgetLedger,
  migrationsFolder,
  plannedDouble,
  runnerOptions,
} from '../../test/migration/fixture.ts';
import { VarveError } from '../base/index.ts';
import { verifyAll } from '../evidence/index.ts';
import { installCatalog, readCatalogFiles } from '../store/postgres/index.ts';
import {
  applyMigration,
  folderReader,
  planMigration,
  readBundle,
  rehearseMigration,
  scanBundle,
  type MigrationKind,
  type RunnerOptions,
} from './index.ts';

withEmbedded('M42 F24 what must not be kept', (given) => {
  const id = 'PIPE-MIG-2026-03-01-01';
  beforeAll(async () => {
    await installCatalog(given.store, { files: await readCatalogFiles() });
  }, 60_000);

  async function scene(kind: Partial<MigrationKind> = {}, settings?: RunnerOptions['settings']) {
    await forgetLedger(given.store);
    const folder = await migrationsFolder();
    const sound = runnerOptions(given.store, folder.root);
    const planned = await plannedDouble(sound, await given.freshSchema(), { id });
    const options: RunnerOptions = {
      ...sound,
      kinds: [{ ...doubleKind, ...kind }],
      ...(settings === undefined ? {} : { settings }),
    };
    return { ...folder, ...planned, options, notes: join(folder.root, 'pipeline', id, 'notes.md') };
  }

  /** Every file whose text has it. */
  async function filesWith(root: string, text: string): Promise<readonly string[]> {
    const names = await readdir(root, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    const found = await Promise.all(files.map(async (file) => (await readFile(file, 'utf8')).includes(text)));
    return files.filter((_, index) => found[index]);
  }

  it('in an authored file refuses plan, apply and rehearse, with rule and place', async () => {
    await using s = await scene();
    await writeFile(s.notes, "# Why\n\ncreate role app password 'hunter2'\n");
    const wanted = {
      code: 'secret_found',
      severity: 'error',
      subject: 'notes.md',
      detail: { rule: 'role_password', line: 3, column: 1 },
    };
    expect(await planMigration(s.options, id)).toMatchObject({ findings: [wanted] });
    expect(await applyMigration(s.options, id)).toMatchObject({ status: 'refused', findings: [wanted] });
    expect(await rehearseMigration(s.options, id)).toMatchObject({ status: 'refused', findings: [wanted] });
    expect(await filesWith(s.root, 'hunter2')).toEqual([s.notes]);
  });

  it('M125 of positions in an authored file depends on the restricted areas', async () => {
    const nest = { name: 'nest', west: 7, south: 46, east: 8, north: 48 };
    await using s = await scene();
    await writeFile(s.notes, '# Why\n\nSee POINT(7.5 47).\n');
    const reading = await readBundle(s.root, id);
    if (reading.status === 'refused') throw new Error(JSON.stringify(reading.findings));
    const settings = (restrictedAreas: readonly (typeof nest)[]) => ({
      ...(s.options.settings ?? {
        protected: { schemas: [], tables: [] },
        canonicalZones: [],
        minimumLevel: {},
        large: { indexRows: 1, backfillRows: 1, elements: 1 },
      }),
      restrictedAreas,
    });
    expect(await scanBundle(reading.bundle)).toMatchObject([{ code: 'position_found', severity: 'review' }]);
    expect(await scanBundle(reading.bundle, settings([nest]))).toMatchObject([{ severity: 'error' }]);
    expect(await scanBundle(reading.bundle, settings([{ ...nest, west: 9, east: 10 }]))).toEqual([]);
  });

  it('in a plan refuses it, and nothing is written', async () => {
    const where = 'postgres://app:hunter2@db.example.org/lab';
    await using s = await scene({
      plan: async (context) => ({ ...(await doubleKind.plan(context)), shown: { where } }),
    });
    expect(await planMigration(s.options, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'secret_found' }],
    });
    expect(await filesWith(s.root, 'hunter2')).toEqual([]);
  });

  it('in a product of a run takes the run back before its commit', async () => {
    const name = 's.nest of POINT(7.5 47)';
    const kind: Partial<MigrationKind> = {
      baseline: async (context, transaction) => {
        const found = await doubleKind.baseline(context, transaction);
        if (context.decidingRun === undefined) return found;
        return {
          ...found,
          tables: [...found.tables, { table: name, rows: 1, digest: found.schema_fingerprint.strict }],
        };
      },
    };
    await using s = await scene(kind);
    const outcome = await applyMigration(s.options, id);
    expect(outcome).toMatchObject({
      status: 'rolled_back',
      findings: [{ code: 'position_found', detail: { rule: 'wkt' } }],
    });
    expect(await columnsOf(given.store, s.table)).toEqual(['id', 'value']);
    expect(await filesWith(s.root, 'POINT')).toEqual([]);
    expect((await verifyAll(folderReader(s.root))).findings).toEqual([]);
  });

  it('in the way back of a run is left out of its evidence, and hinders nothing', async () => {
    const name = 's.nest of POINT(7.5 47)';
    let isUndoing = false;
    const kind: Partial<MigrationKind> = {
      apply: (bound) => [
        ...doubleKind.apply(bound).filter(({ mode }) => mode !== 'after'),
        {
          mode: 'decide',
          name: 'fail',
          run: () =>
            Promise.reject(
              new VarveError('permission_denied', {
                detail: { location: 'postgres://db.example.org/lab' },
                hint: 'Grant it.',
              }),
            ),
        },
      ],
      undo: async (context, transaction) => {
        isUndoing = true;
        return doubleKind.undo(context, transaction);
      },
      baseline: async (context, transaction) => {
        const found = await doubleKind.baseline(context, transaction);
        return isUndoing ? { ...found, object_counts: { ...found.object_counts, [name]: 0 } } : found;
      },
    };
    await using s = await scene(kind);
    const outcome = await applyMigration(s.options, id);
    expect(outcome).toMatchObject({ status: 'rolled_back' });
    if (!('receipt' in outcome) || outcome.receipt === undefined) throw new Error(outcome.status);
    const { outputs, validation } = outcome.receipt.receipt;
    expect(outputs.map(({ path }) => path)).toEqual(['baselines/pre.json', 'diffs/touched.csv']);
    expect(
      validation.findings.map(({ code, detail }) => [
        code,
        detail['location'] ?? detail['path'] ?? detail['rule'],
      ]),
    ).toEqual([
      ['permission_denied', '(withheld: connection_url)'],
      ['position_found', 'wkt'],
      ['position_found', 'wkt'],
    ]);
    expect(await filesWith(s.root, 'POINT')).toEqual([]);
    expect(await filesWith(s.root, 'postgres://')).toEqual([]);
  });
});

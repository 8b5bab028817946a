import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { migrationsFolder } from '../../test/migration/fixture.ts';
import { fixedClock } from '../../test/migration/fixed-clock.ts';
import { sha256 } from '../evidence/index.ts';
import { freeMigrationId } from './bundle.ts';
import {
  appendStep,
  lostHistory,
  missingEntries,
  readRegistry,
  registerBundle,
  REGISTRY,
  type Registry,
} from './registry.ts';

const bundle = { id: 'PG-MIG-2026-03-01-01', kind: 'postgis', digest: sha256('one') } as const;
const about = { owners: ['user:eve'], by: 'user:eve', clock: fixedClock('2026-03-01T10:00:00.000Z') };

async function scene() {
  const folder = await migrationsFolder();
  const entered = await registerBundle(folder.root, bundle, about);
  if (entered.status === 'refused') throw new Error(JSON.stringify(entered.findings));
  const reasons = async (change: (registry: Registry) => unknown): Promise<readonly unknown[]> => {
    await writeFile(join(folder.root, REGISTRY), JSON.stringify(change(entered.registry)));
    const reading = await readRegistry(folder.root);
    return reading.status === 'ok' ? [] : reading.findings.map(({ detail }) => detail['reason']);
  };
  return { ...folder, registry: entered.registry, reasons };
}

const changed = (registry: Registry, change: object): unknown => ({
  ...registry,
  migrations: registry.migrations.map((entry) => ({ ...entry, ...change })),
});

describe('the registry', () => {
  it('M28 holds id, type, owners, status, bundle and history of each, and is empty where there is none', async () => {
    await using s = await scene();
    expect(s.registry.migrations).toEqual([
      {
        id: bundle.id,
        type: 'postgis',
        owners: ['user:eve'],
        status: 'draft',
        bundle: `postgis/${bundle.id}`,
        history: [
          { status: 'draft', at: '2026-03-01T10:00:00.000Z', by: 'user:eve', bundle_digest: bundle.digest },
        ],
      },
    ]);
    expect(await readRegistry(join(s.root, 'elsewhere'))).toMatchObject({ registry: { migrations: [] } });
  });

  it('M3 an id is entered once for ever, and is not given again', async () => {
    await using s = await scene();
    expect(await registerBundle(s.root, { ...bundle, digest: sha256('two') }, about)).toMatchObject({
      findings: [{ code: 'registry_invalid', detail: { reason: 'id_used_twice' } }],
    });
    expect(
      await s.reasons((registry) => ({
        ...registry,
        migrations: [...registry.migrations, ...registry.migrations],
      })),
    ).toEqual(['id_used_twice']);
    await s.reasons((registry) => registry);
    const nowMs = Date.parse('2026-03-01T12:00:00Z');
    expect(await freeMigrationId(s.root, 'postgis', { nowMs })).toBe('PG-MIG-2026-03-01-02');
  });

  it('M28 history grows, and a step that is gone or changed shows', async () => {
    await using s = await scene();
    const grown = await appendStep(s.root, bundle, { ...about, status: 'merged' });
    if (grown.status === 'refused') throw new Error('refused');
    expect(grown.registry.migrations[0]).toMatchObject({
      status: 'merged',
      history: [{ status: 'draft' }, { status: 'merged' }],
    });
    expect(lostHistory(s.registry, grown.registry)).toEqual([]);
    expect(lostHistory(grown.registry, s.registry)).toMatchObject([
      { detail: { reason: 'history_rewritten' } },
    ]);
    expect(lostHistory(grown.registry, { ...s.registry, migrations: [] })).toMatchObject([
      { detail: { reason: 'entry_removed' } },
    ]);
    expect(
      await appendStep(s.root, { ...bundle, id: 'PG-MIG-2026-03-01-09' }, { ...about, status: 'merged' }),
    ).toMatchObject({
      findings: [{ detail: { reason: 'no_entry' } }],
    });
  });

  it('M28 a bundle without an entry and an entry without a bundle are told apart', async () => {
    await using s = await scene();
    expect(missingEntries(s.registry, [])).toMatchObject([
      { subject: bundle.id, detail: { reason: 'no_bundle' } },
    ]);
    expect(missingEntries(s.registry, [bundle.id, 'PG-MIG-2026-03-01-02'])).toMatchObject([
      { subject: 'PG-MIG-2026-03-01-02', detail: { reason: 'no_entry' } },
    ]);
  });

  it.each<readonly [string, (registry: Registry) => unknown, string]>([
    ['M1 a path outside', (r) => changed(r, { bundle: `../${bundle.id}` }), 'bundle_path'],
    ['M1 an absolute path', (r) => changed(r, { bundle: `/tmp/${bundle.id}` }), 'bundle_path'],
    ['M1 a folder of another name', (r) => changed(r, { bundle: 'postgis/other' }), 'bundle_path'],
    ['M2 a day that never was', (r) => changed(r, { id: 'PG-MIG-2026-02-30-01' }), 'id'],
    ['M2 a type of another prefix', (r) => changed(r, { type: 'graph' }), 'type_differs_from_prefix'],
    [
      'M48 a status of its own',
      (r) => changed(r, { status: 'executed_prod' }),
      'status_differs_from_history',
    ],
    ['M28 nobody who answers', (r) => changed(r, { owners: [] }), 'schema'],
    ['M28 no history', (r) => changed(r, { history: [] }), 'schema'],
    ['M9 an unknown member', (r) => ({ ...r, more: 1 }), 'schema'],
    ['M113 no object', () => [], 'schema'],
  ])('is refused with %s', async (_what, change, want) => {
    await using s = await scene();
    expect(await s.reasons(change)).toContain(want);
  });
});

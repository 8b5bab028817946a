import { mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { doubleDraft } from '../../test/migration/double-kind.ts';
import { migrationsFolder } from '../../test/migration/fixture.ts';
import { freeMigrationId, listBundles, readBundle, writeBundle } from './index.ts';
import { compareMigrationIds, parseMigrationId } from './migration-id.ts';

const ID = 'PIPE-MIG-2026-03-01-01';

async function scene() {
  const folder = await migrationsFolder();
  const written = await writeBundle(folder.root, doubleDraft(ID, 'lab.thing'));
  if (written.status === 'refused') throw new Error(JSON.stringify(written.findings));
  const path = (name: string): string => join(folder.root, 'pipeline', ID, name);
  const yaml = await readFile(path('migration.yml'), 'utf8');
  return { ...folder, path, yaml, bundle: written.bundle };
}

/** The findings as `place reason`, which say most of what a test wants to know. */
async function reasons(root: string, id: string = ID): Promise<readonly string[]> {
  const reading = await readBundle(root, id);
  if (reading.status === 'ok') return [];
  return reading.findings.map(({ subject, code, detail }) => {
    const { reason, rule } = detail;
    const said = typeof reason === 'string' ? reason : typeof rule === 'string' ? rule : code;
    return `${subject} ${said}`;
  });
}

describe('a bundle', () => {
  it('is read as it was written, with a digest over exactly its authored files', async () => {
    await using s = await scene();
    expect(s.bundle).toMatchObject({
      id: ID,
      kind: 'pipeline',
      documents: { 'forward.json': { table: 'lab.thing' } },
      files: [
        { path: 'forward.json' },
        { path: 'migration.yml' },
        { path: 'notes.md' },
        { path: 'rollback.json' },
      ],
    });
    await writeFile(s.path('plan.json'), '{}');
    expect(await readBundle(s.root, ID)).toMatchObject({ bundle: { digest: s.bundle.digest } });
    await writeFile(s.path('notes.md'), '# Why\r\n\r\nFor a test.\r\n');
    const reading = await readBundle(s.root, ID);
    expect(reading.status === 'ok' && reading.bundle.digest !== s.bundle.digest).toBe(true);
  });

  it('is never overwritten, and its id is not given again', async () => {
    await using s = await scene();
    expect(await writeBundle(s.root, doubleDraft(ID, 'lab.other'))).toMatchObject({
      status: 'refused',
      findings: [{ code: 'bundle_invalid', detail: { reason: 'exists' } }],
    });
    const nowMs = Date.parse('2026-03-01T12:00:00Z');
    expect(await freeMigrationId(s.root, 'pipeline', { nowMs })).toBe('PIPE-MIG-2026-03-01-02');
    // A number of the day is given to one bundle, whatever its kind: so a new one comes behind what is there (M8).
    expect(await freeMigrationId(s.root, 'postgis', { nowMs })).toBe('PG-MIG-2026-03-01-02');
    const taken = ['PIPE-MIG-2026-03-01-98'];
    expect(await freeMigrationId(s.root, 'pipeline', { nowMs, taken })).toBe('PIPE-MIG-2026-03-01-99');
    expect(
      await freeMigrationId(s.root, 'pipeline', { nowMs, taken: ['PIPE-MIG-2026-03-01-99'] }),
    ).toBeUndefined();
    expect(await listBundles(s.root)).toEqual([ID]);
  });

  it.each([
    'PIPE-MIG-2026-02-30-01',
    'PIPE-MIG-2026-03-01-00',
    'PIPE-MIG-2026-3-1-01',
    'X-MIG-2026-03-01-01',
    '../PIPE-MIG-2026-03-01-01',
  ])('has no id %s', async (id) => {
    await using s = await scene();
    expect(await reasons(s.root, id)).toEqual([`${id} id`]);
  });

  it('that is not there is refused with the nearest one', async () => {
    await using s = await scene();
    expect(await readBundle(s.root, 'PIPE-MIG-2026-03-01-02')).toMatchObject({
      findings: [{ code: 'bundle_missing', detail: { nearest: ID } }],
    });
  });

  it.each([
    ['../outside.json', 'path_leaves_bundle'],
    ['/etc/forward.json', 'path_leaves_bundle'],
    ['a/../forward.json', 'path_leaves_bundle'],
    ['./forward.json', 'path_leaves_bundle'],
    ['a\\b.json', 'path_leaves_bundle'],
    ['plan.json', 'path_of_product'],
  ])('M4 cannot name %s as an artifact', async (path, reason) => {
    await using s = await scene();
    await writeFile(s.path('migration.yml'), s.yaml.replace('- forward.json', `- ${JSON.stringify(path)}`));
    expect(await reasons(s.root)).toContain(`${path} ${reason}`);
  });

  it('M4 M5 M11 F21 holds regular UTF-8 files only, none missing and none of them a stranger', async () => {
    const cases: readonly (readonly [string, (path: string) => Promise<void>, string])[] = [
      ['forward.json', (path) => rm(path).then(() => symlink('/etc/hostname', path)), 'no_regular_file'],
      ['sub', (path) => symlink('/etc', path), 'no_regular_file'],
      [
        'forward.json',
        (path) => writeFile(path, Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d])),
        'byte_order_mark',
      ],
      ['forward.json', (path) => writeFile(path, Buffer.from([0x7b, 0xff, 0x7d])), 'not_utf8'],
      ['forward.json', (path) => truncate(path, 16 * 1024 * 1024 + 1), 'too_large'],
      ['forward.json', (path) => writeFile(path, '{"a":1,"\\u0061":2}'), 'duplicate_member'],
      ['forward.json', (path) => writeFile(path, '[1]'), 'no_object'],
      ['forward.json', (path) => writeFile(path, '{a:1}'), 'not_json'],
      ['rollback.json', (path) => rm(path), 'missing'],
      ['extra.sql', (path) => writeFile(path, 'select 1'), 'unknown_file'],
      [
        'deep/er/extra',
        (path) => mkdir(dirname(path), { recursive: true }).then(() => writeFile(path, '')),
        'unknown_file',
      ],
    ];
    for (const [name, spoil, reason] of cases) {
      await using spoilt = await scene();
      await spoil(spoilt.path(name));
      expect(await reasons(spoilt.root)).toEqual([`${name} ${reason}`]);
    }
  });
});

describe('migration ids', () => {
  it('run by date, then number, then prefix', () => {
    const ids = [
      'PG-MIG-2026-03-02-01',
      'PIPE-MIG-2026-03-01-02',
      'PIPE-MIG-2026-03-01-01',
      'DOC-MIG-2026-03-01-01',
    ];
    expect([...ids].sort(compareMigrationIds)).toEqual([ids[3], ids[2], ids[1], ids[0]]);
    expect(parseMigrationId('DOC-MIG-2024-02-29-07')).toEqual({
      kind: 'document',
      date: '2024-02-29',
      number: 7,
    });
    expect(parseMigrationId('DOC-MIG-2025-02-29-07')).toBeUndefined();
  });
});

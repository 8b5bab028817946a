import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defineDocument, op, step } from '../../src/document/index.ts';
import { migrateFile } from '../../src/document/edge/index.ts';
import type { Model } from '../../src/document/index.ts';

const MEBI = 2 ** 20;
const NOW = '2026-05-12T00:00:00.000Z';
const LIMIT_MS = 180_000;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-large-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function notes(): Model {
  const model = defineDocument('note', {
    schema: { type: 'object' },
    current: '2',
    version: { missing: '1', order: 'integer' },
    versions: { '1': {}, '2': {} },
    steps: [step('1', '2', [op.rename('/title', 'name')])],
    policy: { provenance: 'beside', residue: 'beside' },
  }).model();
  if (model.status === 'refused') throw new TypeError(JSON.stringify(model));
  return model.value;
}

describe('F11 what is large', () => {
  it.each(['jsonl', 'json'])(
    'a gigabyte where a document should be is passed over in bounded memory: %s',
    async (kind) => {
      const input = join(folder, `in.${kind}`);
      await using file = await open(input, 'w');
      const [head, between, foot] = kind === 'json' ? ['[', ',', ']'] : ['', '\n', '\n'];
      const first = `${head}{"title":"a"}${between}`;
      await file.write(first, 0);
      // A file with a hole, which reads as zeros.
      await file.write(`${between}{"title":"b"}${foot}`, 1024 * MEBI);
      let most = 0;
      const watch = setInterval(() => {
        most = Math.max(most, process.memoryUsage.rss());
      }, 5);
      const before = process.memoryUsage.rss();
      const result = await migrateFile(notes(), input, join(folder, `out.${kind}`), {
        now: NOW,
        maxQuarantined: 1,
      });
      clearInterval(watch);
      expect(result).toMatchObject({ status: 'ok', counts: { migrated: 2, quarantined: 1 } });
      const row = JSON.parse(await readFile(join(folder, `out.${kind}.quarantine.jsonl`), 'utf8')) as object;
      expect(row).toMatchObject({ place: first.length, findings: [{ code: 'document_too_large' }] });
      expect(row).not.toHaveProperty('bytes');
      expect(most - before).toBeLessThan(300 * MEBI);
    },
    LIMIT_MS,
  );

  it(
    'a document of 47 MB is moved',
    async () => {
      const input = join(folder, 'whole.json');
      const items = Array.from({ length: 510_000 }, (_, at) => ({ id: at, text: 'x'.repeat(70) }));
      await writeFile(input, JSON.stringify({ title: 'large', items }));
      expect((await stat(input)).size).toBeGreaterThan(47 * 1_000_000);
      const out = join(folder, 'whole-out.json');
      expect(await migrateFile(notes(), input, out, { now: NOW })).toMatchObject({
        status: 'ok',
        counts: { migrated: 1 },
      });
      const moved = JSON.parse(await readFile(out, 'utf8')) as { name: string; items: unknown[] };
      expect([moved.name, moved.items.length]).toEqual(['large', items.length]);
    },
    LIMIT_MS,
  );
});

const canMount = process.platform === 'linux' && mountSucceeds();
if (!canMount) console.info('F12 disk full is skipped: no file system can be mounted here');

describe.skipIf(!canMount)('F12 a disk that is full', () => {
  it(
    'stops the run, and with room it goes on to the same bytes',
    async () => {
      const lines = Array.from(
        { length: 20_000 },
        (_, at) => `{"title":"${at}","text":"${'x'.repeat(100)}"}`,
      );
      const input = join(folder, 'full.jsonl');
      await writeFile(input, lines.join('\n'));
      const whole = join(folder, 'full-whole.jsonl');
      const options = { now: NOW, batchBytes: 64 * 1024 };
      await migrateFile(notes(), input, whole, options);
      const disk = join(folder, 'disk');
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
      try {
        const out = join(disk, 'out.jsonl');
        await expect(migrateFile(notes(), input, out, options)).rejects.toMatchObject({ code: 'disk_full' });
        await expect(stat(out)).rejects.toThrow('ENOENT');
        execFileSync('mount', ['-o', 'remount,size=64m', disk]);
        expect(await migrateFile(notes(), input, out, { ...options, resume: true })).toMatchObject({
          status: 'ok',
        });
        expect((await readFile(out)).equals(await readFile(whole))).toBe(true);
      } finally {
        execFileSync('umount', [disk]);
      }
    },
    LIMIT_MS,
  );
});

/** Root in a container may not be allowed to. */
function mountSucceeds(): boolean {
  const probe = mkdtempSync(join(tmpdir(), 'varve-mount-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe]).status === 0;
  if (isMounted) execFileSync('umount', [probe]);
  rmdirSync(probe);
  return isMounted;
}

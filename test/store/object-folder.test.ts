import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readObject, type ObjectStore } from '../../src/store/index.ts';
import { objectSettings, openObjects } from '../../src/store/object/index.ts';
import { bytes, codeOf, digestOf, listed, objectConformance } from './object-conformance.ts';

let place = '';
beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'varve-objects-'));
});
afterAll(() => rm(place, { recursive: true, force: true }));

const openFolder = (folder: string, space: string = randomUUID()): Promise<ObjectStore> =>
  openObjects(objectSettings({ folder }, space));

function pathIn(folder: string, { settings }: ObjectStore, digest: string): string {
  const hex = digest.slice('sha256:'.length);
  return join(folder, settings.space, 'sha256', hex.slice(0, 2), hex);
}

describe('objects in a folder', () => {
  objectConformance({
    objects: (space) => openFolder(join(place, 'conformance'), space),
    spoil: (objects, digest, content) =>
      writeFile(pathIn(join(place, 'conformance'), objects, digest), content),
  });

  it('mends a damaged object when the same content is put again', async () => {
    const folder = join(place, 'mended');
    const objects = await openFolder(folder);
    const reference = await objects.put(bytes('as it was'));
    await writeFile(pathIn(folder, objects, reference.digest), 'as it w');
    await objects.put(bytes('as it was'));
    expect(new TextDecoder().decode(await readObject(objects, reference))).toBe('as it was');
  });

  it('makes an object young when it is put again', async () => {
    const folder = join(place, 'young');
    const objects = await openFolder(folder);
    const { digest } = await objects.put(bytes('old'));
    await utimes(pathIn(folder, objects, digest), new Date('2020-01-01'), new Date('2020-01-01'));
    expect((await objects.find(digest))?.putAt).toBe('2020-01-01T00:00:00.000Z');
    await objects.put(bytes('old'));
    expect(Date.now() - Date.parse((await objects.find(digest))?.putAt ?? '')).toBeLessThan(60_000);
  });

  it('works through a link to its folder, and takes nothing that is linked inside for its own', async () => {
    const target = join(place, 'disk');
    await mkdir(target);
    await symlink(target, join(place, 'link'));
    const objects = await openFolder(join(place, 'link'));
    const { digest } = await objects.put(bytes('behind a link'));
    expect(existsSync(pathIn(target, objects, digest))).toBe(true);
    const shards = join(target, objects.settings.space, 'sha256');
    const outside = join(place, 'outside');
    await mkdir(join(outside, 'ee'), { recursive: true });
    await writeFile(join(outside, 'ee', 'e'.repeat(64)), 'not ours');
    await symlink(join(outside, 'ee'), join(shards, 'ee'));
    await mkdir(join(shards, 'dd'));
    await symlink(join(outside, 'ee', 'e'.repeat(64)), join(shards, 'dd', 'd'.repeat(64)));
    await writeFile(join(shards, 'dd', 'README'), 'somebody was here');
    await writeFile(join(shards, 'dd', 'a'.repeat(64)), 'in the wrong drawer');
    expect(await listed(objects)).toEqual([digest]);
  });

  it('replaces a link under an object’s name, and leaves what it led to alone', async () => {
    const folder = join(place, 'linked');
    const objects = await openFolder(folder);
    const content = bytes('true content');
    const victim = join(place, 'victim');
    await writeFile(victim, 'precious');
    const path = pathIn(folder, objects, digestOf(content));
    await mkdir(join(path, '..'), { recursive: true });
    await symlink(victim, path);
    const reference = await objects.put(content);
    expect(await readFile(victim, 'utf8')).toBe('precious');
    expect(new TextDecoder().decode(await readObject(objects, reference))).toBe('true content');
  });

  it('says what is wrong where its folder is a file', async () => {
    await writeFile(join(place, 'file'), '');
    const objects = await openFolder(join(place, 'file'));
    expect(await codeOf(objects.put(bytes('x')))).toBe('objects_unreachable');
    expect(await codeOf(listed(objects))).toBe('objects_unreachable');
  });

  it('passes on what the content itself failed with', async () => {
    const objects = await openFolder(join(place, 'passing'));
    const { createReadStream } = await import('node:fs');
    await expect(objects.put(createReadStream(join(place, 'no such file')))).rejects.toMatchObject({
      code: 'ENOENT',
    });
    expect(await listed(objects)).toEqual([]);
  });

  it('sweeps what killed puts left, but not what is under way', async () => {
    const folder = join(place, 'swept');
    const objects = await openFolder(folder);
    await objects.put(bytes('x'));
    const incoming = join(folder, objects.settings.space, 'incoming');
    await writeFile(join(incoming, 'old'), 'half');
    await utimes(join(incoming, 'old'), new Date('2020-01-01'), new Date('2020-01-01'));
    await writeFile(join(incoming, 'new'), 'half');
    expect(await objects.sweep('2026-01-01T00:00:00.000Z')).toBe(1);
    expect(readdirSync(incoming)).toEqual(['new']);
  });

  it('has an object whole or not at all, whenever its writer is killed', async () => {
    const folder = join(place, 'killed');
    const space = randomUUID();
    const objects = await openFolder(folder, space);
    let whole = 0;
    for (const delayMs of [5, 20, 40, 60, 80, 120, 160, 220]) {
      await killWriter(folder, space, delayMs);
      for await (const reference of objects.list()) {
        expect(digestOf(await readObject(objects, reference))).toBe(reference.digest);
        whole += 1;
      }
    }
    expect(whole).toBeGreaterThan(0);
    const left = readdirSync(join(folder, space, 'incoming')).length;
    expect(await objects.sweep(new Date(Date.now() + 60_000).toISOString())).toBe(left);
  });

  /** Kills a process that puts objects, so long after its first one. */
  async function killWriter(folder: string, space: string, delayMs: number): Promise<void> {
    const script = new URL('object-writer.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [script, folder, space], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    child.kill('SIGKILL');
    const signal = await new Promise((resolve) => child.once('exit', (_code, name) => resolve(name)));
    expect(signal).toBe('SIGKILL');
  }
});

// Rights bind nobody who is root; where the tests run as root, a full disk can be made instead, and the other way round.
if (process.getuid?.() !== 0) {
  it('says that it has no right to its folder', async () => {
    const folder = join(place, 'denied');
    await mkdir(folder);
    await chmod(folder, 0o500);
    const objects = await openFolder(folder);
    expect(await codeOf(objects.put(bytes('x')))).toBe('objects_denied');
  });
} else if (canMount()) {
  it('says that the disk is full, keeps what was whole, and goes on when there is room', async () => {
    const disk = join(place, 'full');
    await mkdir(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
    try {
      const objects = await openFolder(disk);
      const kept = await objects.put(new Uint8Array(1_000_000).fill(1));
      expect(await codeOf(objects.put(new Uint8Array(1_500_000).fill(2)))).toBe('objects_full');
      expect(await listed(objects)).toEqual([kept.digest]);
      expect(readdirSync(join(disk, objects.settings.space, 'incoming'))).toEqual([]);
      execFileSync('mount', ['-o', 'remount,size=8m', disk]);
      await objects.put(new Uint8Array(1_500_000).fill(2));
      expect(await listed(objects)).toHaveLength(2);
      expect((await readObject(objects, kept)).every((byte) => byte === 1)).toBe(true);
    } finally {
      execFileSync('umount', [disk]);
    }
  });
}

/** Root in a container may not be allowed to. */
function canMount(): boolean {
  if (process.platform !== 'linux') return false;
  const probe = mkdtempSync(join(tmpdir(), 'varve-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(probe);
  }
}

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/index.ts';
import { sql } from '../../src/store/index.ts';
import { lockFolder } from '../../src/store/postgres/folder-lock.ts';
import { embeddedStore } from '../../src/store/postgres/index.ts';

let place = '';
let folder = '';
const children: ChildProcess[] = [];

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'varve-folder-'));
  folder = join(place, 'lab.db');
});

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  await rm(place, { recursive: true, force: true });
});

interface Holder {
  readonly child: ChildProcess;
  readonly lines: AsyncIterator<string>;
}

function startHolder(mode: 'open' | 'write' | 'lock', path: string = folder): Holder {
  const script = fileURLToPath(new URL('folder-holder.ts', import.meta.url));
  const child = spawn(process.execPath, [script, mode, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

async function nextLine({ lines }: Holder): Promise<string> {
  const { value } = (await lines.next()) as { readonly value: string | undefined };
  return value ?? 'ended';
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function openingFailure(path: string = folder): Promise<unknown> {
  return await embeddedStore({ folder: path }).then(
    () => expect.unreachable('it opened'),
    (error: unknown) => error,
  );
}

describe('the lock of a folder', () => {
  it('M90 F17 keeps another process out, says who holds it, and is gone after closing', async () => {
    const holder = startHolder('open');
    expect(await nextLine(holder)).toBe('open');
    expect(await openingFailure()).toMatchObject({
      code: 'store_locked',
      detail: {
        pid: holder.child.pid,
        host: hostname(),
        program: 'folder-holder.ts',
        ageSeconds: expect.any(Number),
      },
    });
    await kill(holder.child);
    const store = await embeddedStore({ folder });
    expect(existsSync(`${folder}.lock`)).toBe(true);
    await store[Symbol.asyncDispose]();
    expect(readdirSync(place)).toEqual(['lab.db']);
  });

  it('keeps this process out as well, however the folder is spelt', async () => {
    await using store = await embeddedStore({ folder });
    expect(store.location).toBe(folder);
    expect(await openingFailure(`${place}/../${basename(place)}/./lab.db/`)).toMatchObject({
      code: 'store_locked',
      detail: { pid: process.pid },
    });
  });

  it('is gone when its process ends without closing', async () => {
    const holder = startHolder('lock');
    expect(await nextLine(holder)).toBe('open');
    const script = `import { lockFolder } from ${JSON.stringify(
      new URL('../../src/store/postgres/folder-lock.ts', import.meta.url).href,
    )}; lockFolder(${JSON.stringify(`${folder}2`)}, { nowMs: () => 0, monotonicMs: () => 0 });`;
    execFileSync(process.execPath, ['--input-type=module', '--eval', script]);
    expect(readdirSync(place)).toEqual(['lab.db.lock']);
  });

  it('M90 of a killed process is taken over by exactly one of many', async () => {
    for (let round = 0; round < 3; round += 1) {
      const path = join(place, `round-${round}`);
      const dead = startHolder('lock', path);
      await nextLine(dead);
      await kill(dead.child);
      const answers = await Promise.all(
        Array.from({ length: 6 }, async () => await nextLine(startHolder('lock', path))),
      );
      expect(answers.toSorted()).toEqual(['open', ...Array.from({ length: 5 }, () => 'store_locked')]);
    }
  });

  const own = {
    token: 'another',
    pid: process.pid,
    host: hostname(),
    startedAs: 'another-boot:1',
    program: 'test',
    lockedAtMs: 0,
  };
  const plant = (holder: object | string): Promise<void> =>
    writeFile(`${folder}.lock`, typeof holder === 'string' ? holder : JSON.stringify(holder));

  it('of a process whose id another one has now is taken over', async () => {
    await plant(own);
    lockFolder(folder, systemClock).release();
    expect(readdirSync(place)).toEqual([]);
  });

  it('of another host is never taken over', async () => {
    await plant({ ...own, host: 'elsewhere', pid: 2 ** 22 + 1 });
    expect(await openingFailure()).toMatchObject({
      code: 'store_locked',
      detail: { host: 'elsewhere' },
      hint: expect.stringContaining('elsewhere'),
    });
  });

  it('is not guessed at when nobody can read it, or when a take-over was cut off', async () => {
    await plant('');
    expect(await openingFailure()).toMatchObject({
      code: 'store_locked',
      hint: expect.stringContaining('.lock'),
    });
    await plant(own);
    await writeFile(`${folder}.lock.claim`, JSON.stringify(own));
    expect(await openingFailure()).toMatchObject({
      code: 'store_locked',
      hint: expect.stringContaining('.claim'),
    });
  });

  it('of a dozen folders costs the process one listener, and all are gone when it ends', () => {
    const before = process.listenerCount('exit');
    const locks = Array.from({ length: 12 }, (_, at) => lockFolder(`${folder}-${at}`, systemClock));
    expect(process.listenerCount('exit')).toBeLessThanOrEqual(before + 1);
    for (const lock of locks) lock.release();
    expect(process.listenerCount('exit')).toBe(before);
    const script = `import { lockFolder } from ${JSON.stringify(
      new URL('../../src/store/postgres/folder-lock.ts', import.meta.url).href,
    )}; for (const at of [1, 2, 3]) lockFolder(${JSON.stringify(folder)} + at, { nowMs: () => 0, monotonicMs: () => 0 });`;
    execFileSync(process.execPath, ['--input-type=module', '--eval', script]);
    expect(readdirSync(place).filter((name) => name.endsWith('.lock'))).toEqual([]);
  });

  it('is left alone when it is no longer ours', async () => {
    const lock = lockFolder(folder, systemClock);
    await plant(own);
    lock.release();
    expect(JSON.parse(readFileSync(`${folder}.lock`, 'utf8'))).toEqual(own);
  });
});

describe('a killed process', () => {
  it('loses nothing that was committed', async () => {
    for (let round = 0; round < 4; round += 1) {
      const path = join(place, `round-${round}`);
      const holder = startHolder('write', path);
      expect(await nextLine(holder)).toBe('open');
      const want = 20 + round * 37;
      let last = 0;
      while (last < want) last = Number(await nextLine(holder));
      await kill(holder.child);
      for (let line = await nextLine(holder); line !== 'ended'; line = await nextLine(holder))
        last = Number(line);
      await using store = await embeddedStore({ folder: path });
      const [row] = await store.query<{ rows: number; top: number }>(
        sql`select count(*)::int4 as rows, max(id) as top from public.entry`,
      );
      // One more than was heard of may have been committed.
      expect([last, last + 1]).toContain(row?.rows);
      expect(row?.top).toBe(row?.rows);
    }
  });

  it('leaves no half-made folder behind, at whatever moment of the first opening', async () => {
    for (const delayMs of [150, 300, 400, 500, 600, 700, 800, 1000]) {
      const path = join(place, `after-${delayMs}`);
      const { child } = startHolder('open', path);
      await sleep(delayMs);
      await kill(child);
      await using store = await embeddedStore({ folder: path });
      expect(await store.query(sql`select 1 as one`)).toEqual([{ one: 1 }]);
      expect(existsSync(`${path}.new`)).toBe(false);
    }
  });
});

describe('a folder that is no database', () => {
  let sound = '';
  beforeAll(async () => {
    sound = join(await mkdtemp(join(tmpdir(), 'varve-sound-')), 'lab.db');
    await (await embeddedStore({ folder: sound }))[Symbol.asyncDispose]();
  });
  afterAll(() => rm(join(sound, '..'), { recursive: true, force: true }));

  it.each<[what: string, spoil: () => Promise<void>]>([
    ['lacks its control file', () => rm(join(folder, 'global/pg_control'))],
    ['has a cut control file', () => truncate(join(folder, 'global/pg_control'), 100)],
    [
      'has a control file of noise',
      () => writeFile(join(folder, 'global/pg_control'), Buffer.alloc(8192, 7)),
    ],
    ['lacks its tables', () => rm(join(folder, 'base'), { recursive: true })],
    ['lacks its log', () => rm(join(folder, 'pg_wal'), { recursive: true })],
    ['has noise for its catalog', () => writeFile(join(folder, 'base/5/1259'), Buffer.alloc(81_920, 9))],
    ['has noise for its settings', () => writeFile(join(folder, 'postgresql.conf'), '{{{')],
    ['is of another release', () => writeFile(join(folder, 'PG_VERSION'), '17\n')],
    ['lacks its version', () => rm(join(folder, 'PG_VERSION'))],
  ])('is refused and unlocked when it %s', async (_, spoil) => {
    await cp(sound, folder, { recursive: true });
    await spoil();
    expect(await openingFailure()).toMatchObject({
      code: 'store_corrupt',
      detail: { location: folder },
      hint: expect.stringContaining('backup'),
    });
    expect(existsSync(`${folder}.lock`)).toBe(false);
  });

  it('is refused and left as it is when it holds other files', async () => {
    await mkdir(folder);
    await writeFile(join(folder, 'thesis.txt'), 'mine');
    expect(await openingFailure()).toMatchObject({ code: 'store_corrupt' });
    expect(readdirSync(folder)).toEqual(['thesis.txt']);
  });

  it('is refused when it is a file', async () => {
    await writeFile(folder, 'mine');
    expect(await openingFailure()).toMatchObject({ code: 'store_corrupt' });
    expect(readFileSync(folder, 'utf8')).toBe('mine');
  });
});

describe('an extension', () => {
  it('is loaded by name', async () => {
    await using store = await embeddedStore({ folder: undefined, extensions: ['pg_trgm', 'uuid-ossp'] });
    await store.execute(sql`create extension pg_trgm`);
    await store.execute(sql`create extension "uuid-ossp"`);
    expect(await store.query(sql`select similarity('mouse', 'mouse') as s`)).toEqual([{ s: 1 }]);
  });

  it('that is not installed is refused', async () => {
    const opening = embeddedStore({ folder: undefined, extensions: ['pg_nothing'] });
    await expect(opening).rejects.toMatchObject({
      code: 'config_invalid',
      detail: { extension: 'pg_nothing' },
    });
  });
});

/** Why a small file system cannot be mounted here; undefined when it can. */
function whyNoMount(): string | undefined {
  if (process.platform !== 'linux') return 'tmpfs is mounted on Linux only';
  if (process.getuid?.() !== 0) return 'mounting needs root';
  return undefined;
}

describe('a full disk', () => {
  const reason = whyNoMount();
  const script = fileURLToPath(new URL('full-disk.ts', import.meta.url));

  // In a process of its own: the engine keeps its files open, and an open file keeps the disk mounted.
  function onSmallDisk(sizeMb: number, mode: string): string[] {
    const mount = join(place, 'disk');
    execFileSync('mkdir', [mount]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMb}m`, 'tmpfs', mount]);
    try {
      const output = execFileSync(process.execPath, [script, mode, mount], {
        encoding: 'utf8',
        timeout: 15_000,
      });
      return output.trim().split('\n');
    } finally {
      execFileSync('umount', [mount]);
    }
  }

  it('is told when a row finds no room, and loses nothing that was committed', ({ skip }) => {
    skip(reason !== undefined, reason);
    expect(onSmallDisk(90, 'fill')).toEqual(['database_full', 'database_full', 'reopened with all rows']);
  });

  it('is told when a new database finds no room, and leaves nothing behind', ({ skip }) => {
    skip(reason !== undefined, reason);
    expect(onSmallDisk(20, 'create')).toEqual(['database_full', 'left:']);
  });
});

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { sql } from '../../src/store/index.ts';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase } from '../harness/index.ts';

/** A process that holds a copy. */
async function holder(where: string): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('copy-holder.ts', import.meta.url));
  const child = spawn(process.execPath, [script, where], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

it('a database that others are connected to is not copied, and who is in the way is counted', async () => {
  await using database = await postgresDatabase(18);
  await using store = await postgresStore({ url: database.url });
  {
    await using other = await postgresStore({ url: database.url });
    await other.query(sql`select 1`);
    await expect(store.copy()).rejects.toMatchObject({ code: 'copy_blocked', detail: { sessions: 1 } });
  }
  expect(await store.dropDeadCopies()).toBe(0);
  await using copy = await store.copy();
  expect(await copy.query(sql`select 1 as one`)).toEqual([{ one: 1 }]);
}, 60_000);

it('copies on a server whose process was killed are dropped by the next one, those in use stay', async () => {
  await using database = await postgresDatabase(18);
  const child = await holder(database.url);
  await using store = await postgresStore({ url: database.url });
  expect(await store.dropDeadCopies()).toBe(0);
  await kill(child);
  // The server notices the end of a session a moment later.
  await expect.poll(() => store.dropDeadCopies(), { timeout: 20_000 }).toBe(1);
  expect(await store.dropDeadCopies()).toBe(0);
}, 60_000);

it('copies of a folder stand beside it, and one that a killed process left is taken away', async () => {
  const base = await mkdtemp(join(tmpdir(), 'varve-copy-'));
  const folder = join(base, 'lab.db');
  {
    await using store = await embeddedStore({ folder });
    await store.script('create table mouse (id int); insert into mouse values (7)');
    const copy = await store.copy();
    expect(await readdir(base)).toHaveLength(4);
    expect(await copy.query(sql`select id from mouse`)).toEqual([{ id: 7 }]);
    await copy.execute(sql`delete from mouse`);
    await copy[Symbol.asyncDispose]();
    expect((await readdir(base)).toSorted()).toEqual(['lab.db', 'lab.db.lock']);
    expect(await store.query(sql`select id from mouse`)).toEqual([{ id: 7 }]);
  }
  await kill(await holder(folder));
  expect((await readdir(base)).filter((name) => name.includes('.copy-'))).not.toEqual([]);
  await using store = await embeddedStore({ folder });
  await using copy = await store.copy();
  expect(await store.dropDeadCopies()).toBe(1);
  expect(await copy.query(sql`select id from mouse`)).toEqual([{ id: 7 }]);
  expect((await readdir(base)).filter((name) => name.includes('.copy-'))).toHaveLength(2);
  await copy[Symbol.asyncDispose]();
  await rm(base, { recursive: true, force: true });
}, 120_000);

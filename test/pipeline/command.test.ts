import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listJobs, openMakeRunner, workerRunner, type MakeRunner } from '../../src/pipeline/index.ts';
import { sql, type Row } from '../../src/store/index.ts';
import { withStores } from '../harness/index.ts';
import { commandLab, outside } from './command/command-lab.ts';
import { countsOf, deploy, type Deployed } from './pipeline-lab.ts';

const BIG = 2n ** 60n;
const DEFINITIONS = new URL('command/command.config.ts', import.meta.url);

withStores('an outside command as a make', (given) => {
  let folder = '';
  let world: Deployed;
  let runner: MakeRunner;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'varve-command-'));
    process.env['CHILD_FILE'] = join(folder, 'child');
    world = await deploy(given.store, commandLab);
    runner = openMakeRunner({
      definitionsModule: DEFINITIONS,
      definitionDigest: world.definitions.digest,
      files: { folder },
      workers: 2,
    });
    await world.insert(outside.scan, [scan(1n, null), scan(BIG, null), scan(3n, null)]);
  });
  afterAll(async () => {
    await runner[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const only = (table: keyof typeof outside) => ({
    tables: [outside[table].spec.name],
    projectFolder: folder,
  });
  /** By key: which of two jobs was written first says nothing. */
  const jobsOf = async (table: keyof typeof outside) =>
    (await listJobs(given.store, [await world.relation(outside[table])]))
      .toSorted((a, b) => Number(a.key['id']) - Number(b.key['id']))
      .map(({ code, message }) => ({ code, message }));

  it('is given its key and reads, and gives rows and part rows, with every digit kept', async () => {
    const result = await world.populate(only('once'));
    expect(countsOf(result, outside.once)).toMatchObject({ computed: 3, failed: 0, remaining: 0 });
    expect(withoutPid(await world.rows(outside.once))[2]).toEqual({
      id: BIG,
      big: BIG + 1n,
      price: '12345678901234567890.0123456789',
      half: 0.1,
      bytes: Uint8Array.from([0, 255, 255]),
      day: '2026-05-12',
      pid: 0,
    });
    expect(await piecesOf('once')).toEqual([2n, 2n, 6n, 6n, BIG * 2n, BIG * 2n]);
    expect(await world.wrongOutputs(outside.once)).toBe(0);
  });

  it('gives the same rows line by line, from processes that stay', async () => {
    const result = await world.populate({ ...only('lines'), runner });
    expect(countsOf(result, outside.lines)).toMatchObject({ computed: 3, failed: 0, remaining: 0 });
    expect(withoutPid(await world.rows(outside.lines))).toEqual(withoutPid(await world.rows(outside.once)));
    const pids = new Set((await world.rows(outside.lines)).map(({ pid }) => pid));
    expect(pids.size).toBeLessThan(3);
    const processes = new Set((await world.rows(outside.once)).map(({ pid }) => pid));
    expect(processes.size).toBe(3);
  });

  it('is recorded as what nobody held to its declared reads', async () => {
    const relation = await world.relation(outside.once);
    expect(
      await given.store.query(
        sql`select distinct enforcement, origin from varve.computation_spec where relation = ${relation.id}`,
      ),
    ).toEqual([{ enforcement: 'outside', origin: 'computed' }]);
  });

  it('is told table, key, reads, the time of the run, and a seed that the key gives', async () => {
    await world.populate(only('told'));
    const first = (await world.rows(outside.told))[0]?.['told'] as Readonly<Record<string, unknown>>;
    expect(first).toMatchObject({ table: 'outside.told', key: { id: '1' }, depth: 0.2 });
    expect(String(first['now'])).toMatch(/^\d{4}-\d\d-\d\dT/u);
    await given.store.execute(sql`delete from outside.told`);
    await given.store.execute(sql`delete from varve.computation`);
    // In worker threads, where the command is started by the thread.
    await using threads = workerRunner({
      definitionsModule: DEFINITIONS,
      definitionDigest: world.definitions.digest,
      files: { folder },
    });
    await world.populate({ ...only('told'), runner: threads });
    const again = (await world.rows(outside.told))[0]?.['told'] as Readonly<Record<string, unknown>>;
    expect({ ...again, now: first['now'] }).toEqual(first);
  });

  it('fails alone, with what it said, and a process that stays goes on after it', async () => {
    const texts = ['raise', 'status', 'nothing', 'words', 'nan', 'wrong', 'other key', null];
    await world.insert(
      outside.scan,
      texts.map((text, at) => scan(BigInt(100 + at), text)),
    );
    const log: string[] = [];
    const result = await world.populate({ ...only('once'), log: (line) => log.push(line) });
    expect(countsOf(result, outside.once)).toMatchObject({ computed: 1, failed: 7 });
    expect(await jobsOf('once')).toEqual([
      { code: 'make_failed', message: 'the command ended with status 1: ValueError: no such thing' },
      {
        code: 'make_failed',
        message: 'the command ended with status 3: the disk of the microscope is full',
      },
      { code: 'make_failed', message: 'the command printed nothing on stdout' },
      { code: 'make_failed', message: 'the command printed no JSON on stdout' },
      { code: 'make_failed', message: 'the command printed no JSON on stdout' },
      {
        code: 'make_returned_wrong_type',
        message: 'outside.once.half: the value is no double precision',
      },
      {
        code: 'make_returned_another_key',
        message: 'outside.once.id: the make returned a row of another key',
      },
    ]);
    expect(log).toEqual(['made one']);
    // One says nothing where an answer is waited for; it is left out here, since that would take a minute.
    await given.store.execute(sql`delete from outside.scan where text = 'nothing'`);
    const lines = await world.populate({ ...only('lines'), runner });
    expect(countsOf(lines, outside.lines)).toMatchObject({ computed: 1, failed: 6 });
    expect((await jobsOf('lines')).map(({ message }) => message)).toEqual([
      'no such thing',
      'the command ended with status 3: the disk of the microscope is full',
      'the command printed a line that is neither {"rows": ...} nor {"error": "..."}',
      'the command printed a line that is neither {"rows": ...} nor {"error": "..."}',
      'outside.lines.half: the value is no double precision',
      'outside.lines.id: the make returned a row of another key',
    ]);
  });

  it('says which program could not be started', async () => {
    await world.populate({ ...only('absent'), max: 1 });
    const [job] = await jobsOf('absent');
    expect(job?.code).toBe('command_unavailable');
    expect(job?.message).toContain('no-such-program-of-varve');
  });

  it('ends with all that it started when its time is over', async () => {
    await world.insert(outside.scan, [scan(200n, 'sleep')]);
    await world.populate({ ...only('late'), where: sql`id = 200` });
    expect(await jobsOf('late')).toEqual([
      { code: 'make_timed_out', message: 'the make took longer than 1 s' },
    ]);
    await expectEnded(join(folder, 'child'));
  });

  it('ends when the run is stopped, and leaves its key as it was', async () => {
    await rm(join(folder, 'child'), { force: true });
    const controller = new AbortController();
    const options = { ...only('once'), where: sql`id = 200`, runner, signal: controller.signal };
    const populating = world.populate(options);
    await expect.poll(() => readFile(join(folder, 'child'), 'utf8').catch(() => '')).not.toBe('');
    controller.abort();
    expect(await populating).toMatchObject({ status: 'interrupted' });
    await expectEnded(join(folder, 'child'));
    expect((await jobsOf('once')).some(({ message }) => message?.includes('SIGKILL'))).toBe(false);
  });

  async function piecesOf(table: 'once'): Promise<readonly unknown[]> {
    const rows = await given.store.query<{ twice: bigint }>(
      sql`select twice from ${sql.id('outside', `${table}__piece`)} order by twice`,
    );
    return rows.map(({ twice }) => twice);
  }
});

function scan(id: bigint, text: string | null): object {
  return {
    id,
    depth: 0.2,
    price: '12345678901234567890.0123456789',
    bytes: Uint8Array.from([0, 255]),
    day: '2026-05-12',
    text,
  };
}

function withoutPid(rows: readonly Row[]): readonly Row[] {
  return rows.map((row) => ({ ...row, pid: 0 }));
}

/** The process whose number stands in the file is gone. */
async function expectEnded(file: string): Promise<void> {
  const pid = Number(await readFile(file, 'utf8'));
  expect(pid).toBeGreaterThan(0);
  await expect.poll(() => isAlive(pid)).toBe(false);
}

async function isAlive(pid: number): Promise<boolean> {
  try {
    // One that nobody waited for yet is dead all the same.
    return !/^State:\s+Z/mu.test(await readFile(`/proc/${String(pid)}/status`, 'utf8'));
  } catch {
    return false;
  }
}

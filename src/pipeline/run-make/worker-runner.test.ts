import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inputOf, runnerDefinitions, runnerLab, tables } from '../../../test/pipeline/runner-lab.config.ts';
import { inThreadRunner } from './in-thread-runner.ts';
import type { MakeResult, MakeRunner, RunCall } from './make-runner.ts';
import { workerRunner, type HostRunnerOptions } from './worker-runner.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-runner-'));
  await writeFile(join(folder, 'a.txt'), 'hello');
});
afterAll(async () => rm(folder, { recursive: true }));

const open = (options: Partial<HostRunnerOptions> = {}): MakeRunner =>
  workerRunner({
    definitionsModule: runnerLab,
    definitionDigest: runnerDefinitions().digest,
    files: { folder },
    ...options,
  });

const callOf = (parts: Partial<RunCall> = {}): RunCall => ({
  now: '2026-01-01T00:00:00.000Z',
  log: () => undefined,
  signal: new AbortController().signal,
  ...parts,
});

/** What a result comes to: `made`, or the code of its failure. */
const endsOf = (results: readonly (MakeResult | undefined)[]): readonly (string | undefined)[] =>
  results.map((result) =>
    result?.outcome.status === 'failed' ? result.outcome.code : result?.outcome.status,
  );

const timeless = (results: readonly (MakeResult | undefined)[]): string =>
  JSON.stringify(results, (name, value: unknown) => (name === 'durationUs' ? 0 : value));

describe('makes in worker threads', () => {
  it('give byte for byte what they give in the calling thread, in the order of the keys', async () => {
    const inputs = Array.from({ length: 40 }, (_, at) => inputOf(at, at % 3 === 0 ? 'ä' : null));
    const [here, there]: string[][] = [[], []];
    const expected = await inThreadRunner({ files: { folder } }).run(
      tables.everything,
      inputs,
      callOf({ log: (message) => here?.push(message) }),
    );
    await using runner = open({ workers: 2 });
    const results = await runner.run(
      tables.everything,
      inputs,
      callOf({ log: (message) => there?.push(message) }),
    );
    expect(endsOf(expected)).toEqual(inputs.map(() => 'made'));
    expect(expected[3]?.reads.map(({ subject }) => subject)).toEqual(['folder:.', 'file:a.txt']);
    expect(timeless(results)).toBe(timeless(expected));
    expect(there?.toSorted()).toEqual(here?.toSorted());
  });

  it('go on after a make that spins, exits, throws out of nowhere or fails: that key alone has failed', async () => {
    await using runner = open({ workers: 2 });
    const ends = [
      [null, 'made'],
      ['exit', 'make_crashed'],
      [null, 'made'],
      ['spin', 'make_timed_out'],
      ['spin later', 'make_timed_out'],
      [null, 'made'],
      ['uncaught', 'make_crashed'],
      ['throw', 'make_failed'],
      ['wait for ever', 'make_timed_out'],
      [null, 'made'],
    ] as const;
    const inputs = ends.map(([text], at) => inputOf(at, text));
    expect(endsOf(await runner.run(tables.wild, inputs, callOf()))).toEqual(ends.map(([, end]) => end));
  });

  it('that run out of memory fail alone, and the reason says so', async () => {
    await using runner = open({ memoryMb: 60 });
    const inputs = [inputOf(1), inputOf(2, 'memory'), inputOf(3)];
    const results = await runner.run(tables.greedy, inputs, callOf());
    expect(endsOf(results)).toEqual(['made', 'make_crashed', 'made']);
    expect(results[1]?.outcome).toMatchObject({
      message: expect.stringContaining('ERR_WORKER_OUT_OF_MEMORY'),
    });
  });

  it('end after the keys in hand when the call is aborted, and their signal with it', async () => {
    await using runner = open();
    await runner.run(tables.wild, [inputOf(1)], callOf());
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 200);
    const inputs = [
      inputOf(1),
      inputOf(2, 'wait'),
      ...Array.from({ length: 50 }, (_, at) => inputOf(at, 'wait')),
    ];
    const results = await runner.run(tables.wild, inputs, callOf({ signal: abort.signal }));
    expect(results).toHaveLength(inputs.length);
    expect(endsOf(results).slice(0, 2)).toEqual(['made', 'made']);
    expect(results.slice(3)).toEqual(inputs.slice(3).map(() => undefined));
  });

  it('serve several calls at once with the threads there are', async () => {
    await using runner = open({ workers: 2 });
    const calls = await Promise.all(
      [10, 300, 0, 3000].map(async (count) => {
        const inputs = Array.from({ length: count }, (_, at) => inputOf(at));
        return runner.run(tables.trivial, inputs, callOf());
      }),
    );
    const nexts = calls.map((results) =>
      results.map((result) =>
        result?.outcome.status === 'made' ? result.outcome.rows[0]?.['next'] : undefined,
      ),
    );
    expect(nexts).toEqual(
      [10, 300, 0, 3000].map((count) => Array.from({ length: count }, (_, at) => at + 1)),
    );
  });

  it('compute nothing where the module defines other tables', async () => {
    await using runner = open({ definitionDigest: 'sha256:00' });
    await expect(runner.run(tables.trivial, [inputOf(1)], callOf())).rejects.toMatchObject({
      code: 'definitions_differ',
      detail: { expected: 'sha256:00', found: runnerDefinitions().digest },
    });
  });

  it('compute nothing where the module cannot be imported, and the reason is kept', async () => {
    const broken = join(folder, 'broken.mjs');
    await writeFile(broken, "throw new Error('not today');");
    await using runner = open({ definitionsModule: broken });
    await expect(runner.run(tables.trivial, [inputOf(1)], callOf())).rejects.toMatchObject({
      code: 'config_invalid',
      detail: { reason: 'not today' },
    });
    await writeFile(broken, 'process.exit(3);');
    await using another = open({ definitionsModule: broken });
    await expect(another.run(tables.trivial, [inputOf(1)], callOf())).rejects.toMatchObject({
      code: 'config_invalid',
      detail: { reason: 'exit code 3' },
    });
  });
});

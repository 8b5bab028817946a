import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attempts, harmless } from '../../../test/pipeline/escape-attempt.ts';
import { inputOf, runnerDefinitions, runnerLab, tables } from '../../../test/pipeline/runner-lab.config.ts';
import { inThreadRunner } from './in-thread-runner.ts';
import { isolatedRunner, type IsolatedRunner } from './isolated-runner.ts';
import type { MakeInput, MakeResult, RunCall } from './make-runner.ts';
import { openMakeRunner } from './open-make-runner.ts';
import { workerRunner, type HostRunnerOptions } from './worker-runner.ts';

let base = '';
let folder = '';
let runner: IsolatedRunner;
let server: Server;
let connections = 0;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'varve-isolated-'));
  folder = join(base, 'files');
  await mkdir(folder);
  await writeFile(join(folder, 'a.txt'), 'hello');
  for (const ending of ['', '.mjs', '.json']) await writeFile(join(base, `secret${ending}`), '42');
  await symlink(join(base, 'secret'), join(folder, 'link'));
  server = createServer(() => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  runner = isolatedRunner(options());
});
afterAll(async () => {
  await runner[Symbol.asyncDispose]();
  server.close();
  await rm(base, { recursive: true });
});

const options = (): HostRunnerOptions => ({
  definitionsModule: runnerLab,
  definitionDigest: runnerDefinitions().digest,
  files: { folder },
});

const callOf = (parts: Partial<RunCall> = {}): RunCall => ({
  now: '2026-01-01T00:00:00.000Z',
  log: () => undefined,
  signal: new AbortController().signal,
  ...parts,
});

/** A key whose make tries what this name says. */
function attemptOf(name: string, at: number): MakeInput {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const { key, values } = inputOf(at, name);
  const note = { secret: join(base, 'secret'), module: runnerLab.pathname, port };
  return { key, values: { source: { ...(values['source'] as object), note } } };
}

const endOf = (result: MakeResult | undefined): string | undefined =>
  result?.outcome.status === 'failed' ? result.outcome.code : result?.outcome.status;

const messageOf = (result: MakeResult | undefined): string =>
  result?.outcome.status === 'failed' ? result.outcome.message : '';

const timeless = (results: readonly (MakeResult | undefined)[]): string =>
  JSON.stringify(results, (name, value: unknown) => (name === 'durationUs' ? 0 : value));

describe('isolated makes', () => {
  it('give byte for byte what they give in the calling thread and in worker threads', async () => {
    const inputs = Array.from({ length: 30 }, (_, at) => inputOf(at, at % 3 === 0 ? 'ä' : null));
    await using threads = workerRunner({ ...options(), workers: 2 });
    const here = await inThreadRunner({ files: { folder } }).run(tables.everything, inputs, callOf());
    const logged: string[] = [];
    const isolated = await runner.run(
      tables.everything,
      inputs,
      callOf({ log: (message) => logged.push(message) }),
    );
    expect(here.map(endOf)).toEqual(inputs.map(() => 'made'));
    expect(here[0]?.reads).toHaveLength(2);
    expect(timeless(await threads.run(tables.everything, inputs, callOf()))).toBe(timeless(here));
    expect(timeless(isolated)).toBe(timeless(here));
    expect(logged).toEqual(inputs.map(({ key }) => `key ${String(key['id'])}`));
  });

  it('fail by name where they reach outside, also where they hide it, and the others go on', async () => {
    const names = Object.keys(attempts);
    const results = await runner.run(tables.escape, names.map(attemptOf), callOf());
    const tried = Object.fromEntries(
      results.map((result, at) => [
        names[at] ?? '',
        `${endOf(result) ?? ''} ${messageOf(result)
          .replaceAll(base, '')
          .replace(/\/proc\/\d+/u, '/proc/N')}`,
      ]),
    );
    expect(connections).toBe(0);
    for (const [name, text] of Object.entries(tried)) {
      expect(text, name).toMatch(
        /^make_left_isolation (?:network|process|file|environment): \S|^file_outside /u,
      );
    }
    expect(tried).toMatchObject({
      fetch: 'make_left_isolation network: fetch',
      'fetch, caught': 'make_left_isolation network: fetch',
      'net in an evaluated import': 'make_left_isolation network: node:net.connect',
      'read file': 'make_left_isolation file: node:fs.readFileSync /secret',
      // The guard is deceived; the runtime is not.
      'read file under a name of Node': 'make_left_isolation file: FileSystemRead /secret',
      'import code outside': 'make_left_isolation file: FileSystemRead /secret.mjs',
      'link out of the files': 'file_outside a make asked for a file outside the project folder: path link',
      environment: 'make_left_isolation environment: HOME',
      spawn: 'make_left_isolation process: node:child_process.spawnSync',
    });
  });

  it('may do what reaches nothing outside, and what they print is forwarded in bounds', async () => {
    const names = Object.keys(harmless);
    const logged: string[] = [];
    const log = (message: string): void => void logged.push(message);
    const results = await runner.run(tables.escape, names.map(attemptOf), callOf({ log }));
    expect(results.map((result, at) => [names[at], endOf(result), messageOf(result)])).toEqual(
      names.map((name) => [name, 'made', '']),
    );
    expect(logged[0]).toMatch(/^noise 0 /u);
    // 64 KiB a slice, and as much again of what was still in the pipe when the slice was done; far from what it printed.
    expect(logged.join('\n').length).toBeLessThan(140_000);
  });

  it('fail alone where they end their process or never end', async () => {
    const inputs = [null, 'exit', null, 'spin later', 'uncaught', 'throw', null].map((text, at) =>
      inputOf(at, text),
    );
    const results = await runner.run(tables.wild, inputs, callOf());
    expect(results.map(endOf)).toEqual([
      'made',
      'make_crashed',
      'made',
      'make_timed_out',
      'make_crashed',
      'make_failed',
      'made',
    ]);
    expect(messageOf(results[1])).toContain('exit code 7');
    expect(messageOf(results[4])).toContain('Error: thrown out of nowhere');
  });

  it('that run out of memory fail alone, and the reason says so', async () => {
    await using small = isolatedRunner({ ...options(), memoryMb: 60 });
    const inputs = [inputOf(1), inputOf(2, 'memory'), inputOf(3)];
    const results = await small.run(tables.greedy, inputs, callOf());
    expect(results.map(endOf)).toEqual(['made', 'make_crashed', 'made']);
    expect(messageOf(results[1])).toContain('out of memory');
  });

  it('compute nothing where the module defines other tables or reaches outside when it is loaded', async () => {
    await using other = isolatedRunner({ ...options(), definitionDigest: 'sha256:00' });
    await expect(other.run(tables.escape, [inputOf(1)], callOf())).rejects.toMatchObject({
      code: 'definitions_differ',
    });
    const curious = join(base, 'curious.mjs');
    await writeFile(curious, "await fetch('http://127.0.0.1:9/'); export default { pipelines: [] };");
    await using another = isolatedRunner({ ...options(), definitionsModule: curious });
    await expect(another.run(tables.escape, [inputOf(1)], callOf())).rejects.toMatchObject({
      code: 'make_left_isolation',
      detail: { tried: 'network: fetch' },
    });
  });

  it('run isolated where their table asks for it, and in this thread where it does not', async () => {
    await using mixed = openMakeRunner(options());
    expect(mixed.isolates).toBe(true);
    const [escape] = await mixed.run(tables.escape, [attemptOf('environment', 1)], callOf());
    expect(messageOf(escape)).toBe('environment: HOME');
    const [trivial] = await mixed.run(tables.trivial, [inputOf(1)], callOf());
    expect(endOf(trivial)).toBe('made');
  });
});

/**
 * Where makes run: in the calling thread, in worker threads, in isolated processes. Without a database, so that the
 * figures are those of the runners alone.
 *
 * | figure | why |
 * |---|---|
 * | two workers against one, some 2 ms of hashing a key | whether a second core is used |
 * | two bare threads against one, the same hashing | what this machine gives at that moment: the limit of the above |
 * | a trivial make | what a runner costs beside the make: the copies of inputs and results |
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { VarveError } from '../src/base/index.ts';
import {
  definitionsOf,
  inThreadRunner,
  isolatedRunner,
  workerRunner,
  type AnyTable,
  type MakeInput,
  type MakeRunner,
} from '../src/pipeline/index.ts';
import { alternate, atLeast, figure, timedMs, type Figure } from './figure.ts';
import type { BenchStores } from './stores.ts';
import config, { tables } from './worker.config.ts';

const ROUNDS = 5;
const HASHED_KEYS = Number(process.env['VARVE_BENCH_KEYS'] ?? 1_000);
const TRIVIAL_KEYS = 50 * HASHED_KEYS;

/** Measures the runners side by side. */
export async function benchWorker({ progress }: BenchStores): Promise<readonly Figure[]> {
  const files = { folder: import.meta.dirname };
  const options = {
    definitionsModule: new URL('worker.config.ts', import.meta.url),
    definitionDigest: digest(),
    files,
  };
  const here = inThreadRunner({ files });
  await using one = workerRunner({ ...options, workers: 1 });
  await using two = workerRunner({ ...options, workers: 2 });
  await using isolated = isolatedRunner({ ...options, workers: 1 });
  for (const runner of [here, one, two, isolated]) await run(runner, tables.hashed, 50);
  progress(`${HASHED_KEYS} keys of hashing`);
  const bare = [bareThread(), bareThread()];
  await hashBare(bare, 50);
  const [single = NaN, double = NaN, bareSingle = NaN, bareDouble = NaN] = await alternate(ROUNDS, [
    ...[one, two].map((runner) => () => timedMs(() => run(runner, tables.hashed, HASHED_KEYS))),
    ...[1, 2].map((threads) => () => timedMs(() => hashBare(bare.slice(0, threads), HASHED_KEYS))),
  ]);
  await Promise.all(bare.map((thread) => thread.terminate()));
  progress(`${TRIVIAL_KEYS} keys of a trivial make`);
  const trivial = await alternate(
    ROUNDS,
    [here, one, isolated].map((runner) => () => timedMs(() => run(runner, tables.trivial, TRIVIAL_KEYS))),
  );
  const [inThread = NaN, inWorker = NaN, inProcess = NaN] = trivial.map((ms) => (ms * 1000) / TRIVIAL_KEYS);
  return [
    figure('hashing, one worker', single / HASHED_KEYS, 'ms/key'),
    atLeast('hashing, two workers against one', single / double, 'times faster', 1.8),
    figure('hashing, two bare threads against one', bareSingle / bareDouble, 'times faster'),
    figure('trivial make, calling thread', inThread, 'us/key'),
    figure('trivial make, one worker', inWorker, 'us/key'),
    figure('trivial make, one isolated process', inProcess, 'us/key'),
  ];
}

/** A thread that hashes as many values as it is told, and nothing else. */
function bareThread(): Worker {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const loaded = import(workerData);
    parentPort.on('message', async (keys) => {
      const { hashOf } = await loaded;
      for (let key = 0; key < keys; key += 1) hashOf(key);
      parentPort.postMessage(keys);
    });`;
  return new Worker(source, { eval: true, workerData: new URL('worker.config.ts', import.meta.url).href });
}

async function hashBare(threads: readonly Worker[], keys: number): Promise<void> {
  await Promise.all(
    threads.map(async (thread) => {
      thread.postMessage(keys / threads.length, []);
      await once(thread, 'message');
    }),
  );
}

async function run(runner: MakeRunner, table: AnyTable, keys: number): Promise<void> {
  const inputs = Array.from({ length: keys }, (_, id): MakeInput => ({
    key: { id },
    values: { source: { id, value: id } },
  }));
  const results = await runner.run(table, inputs, {
    now: '2026-01-01T00:00:00.000Z',
    log: () => undefined,
    signal: new AbortController().signal,
  });
  if (results.some((result) => result?.outcome.status !== 'made')) {
    throw new VarveError('internal', { hint: 'A make of the benchmark failed.' });
  }
}

function digest(): string {
  const defined = definitionsOf(config.pipelines);
  if (defined.status === 'ok') return defined.definitions.digest;
  throw new VarveError('internal', { hint: 'The definitions of the benchmark are refused.' });
}

/**
 * Where makes run: in the calling thread, in worker threads, in isolated processes. Without a database, so that the
 * figures are those of the runners alone.
 *
 * | figure | why |
 * |---|---|
 * | two workers against one, some 2 ms of hashing a key | whether a second core is used |
 * | a trivial make | what a runner costs beside the make: the copies of inputs and results |
 */
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
const HASHED_KEYS = 1_000;
const TRIVIAL_KEYS = 50_000;

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
  const [single = NaN, double = NaN] = await alternate(
    ROUNDS,
    [one, two].map((runner) => () => timedMs(() => run(runner, tables.hashed, HASHED_KEYS))),
  );
  progress(`${TRIVIAL_KEYS} keys of a trivial make`);
  const trivial = await alternate(
    ROUNDS,
    [here, one, isolated].map((runner) => () => timedMs(() => run(runner, tables.trivial, TRIVIAL_KEYS))),
  );
  const [inThread = NaN, inWorker = NaN, inProcess = NaN] = trivial.map((ms) => (ms * 1000) / TRIVIAL_KEYS);
  return [
    figure('hashing, one worker', single / HASHED_KEYS, 'ms/key'),
    atLeast('hashing, two workers against one', single / double, 'times faster', 1.8),
    figure('trivial make, calling thread', inThread, 'us/key'),
    figure('trivial make, one worker', inWorker, 'us/key'),
    figure('trivial make, one isolated process', inProcess, 'us/key'),
  ];
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

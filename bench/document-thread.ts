/**
 * A file of lines to another one, checkpoints and syncs included, on one thread and on two. All outputs must be equal.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VarveError } from '../src/base/index.ts';
import { migrateFile } from '../src/document/edge/index.ts';
import { alternate, atMost, figure, type Figure } from './figure.ts';
import { legacyTrace, trace } from './trace-type.ts';

const LINES = 60_000;
const ROUNDS = 3;
const MODULE = new URL('./trace-type.ts', import.meta.url).href;

/** Measures. */
export async function benchThreads(): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-document-'));
  try {
    return await measure(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string): Promise<readonly Figure[]> {
  const input = join(folder, 'in.jsonl');
  await writeFile(
    input,
    Array.from({ length: LINES }, (_, at) => `${JSON.stringify(legacyTrace(at))}\n`).join(''),
  );
  const model = trace.model();
  if (model.status === 'refused')
    throw new VarveError('internal', { hint: 'The type of the benchmark is broken.' });
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  const before = process.memoryUsage.rss();
  let run = 0;
  const outputs: string[] = [];
  const migrate = (workers: number) => async () => {
    const out = join(folder, `out-${(run += 1)}.jsonl`);
    const startedMs = performance.now();
    const result = await migrateFile(model.value, input, out, {
      now: '2026-05-12T00:00:00.000Z',
      ...(workers === 0 ? {} : { workers: { count: workers, module: MODULE } }),
    });
    if (result.status !== 'ok')
      throw new VarveError('internal', { hint: 'The run of the benchmark was refused.' });
    outputs.push(out);
    return performance.now() - startedMs;
  };
  const [one = Number.NaN, two = Number.NaN] = await alternate(ROUNDS, [migrate(0), migrate(2)]);
  clearInterval(watch);
  await expectEqual(outputs);
  return [
    figure('file of 60,000 lines, one thread', (LINES * 1000) / one, 'documents/s'),
    figure('the same, two threads', (LINES * 1000) / two, 'documents/s'),
    figure('two threads against one', one / two, 'times faster'),
    atMost('memory of both, above what the process had', (most - before) / 2 ** 20, 'MB', 380),
  ];
}

async function expectEqual(outputs: readonly string[]): Promise<void> {
  const [first, ...others] = await Promise.all(outputs.map((path) => readFile(path)));
  if (first !== undefined && others.every((bytes) => bytes.equals(first))) return;
  throw new VarveError('internal', { hint: 'Two runs of the benchmark wrote other bytes.' });
}

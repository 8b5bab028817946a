/** A process that migrates a file of lines: `node document-large-process.ts IN OUT WORKERS`; tells how it went as one line of JSON. */
import { readFile } from 'node:fs/promises';
import { VarveError } from '../src/base/index.ts';
import { migrateFile } from '../src/document/edge/index.ts';
import { trace } from './trace-type.ts';

const [input = '', out = '', workers = '0'] = process.argv.slice(2);
const model = trace.model();
if (model.status === 'refused')
  throw new VarveError('internal', { hint: 'The type of the benchmark is broken.' });
const startedMs = performance.now();
const result = await migrateFile(model.value, input, out, {
  now: '2026-05-12T00:00:00.000Z',
  ...(workers === '0'
    ? {}
    : { workers: { count: Number(workers), module: new URL('trace-type.ts', import.meta.url).href } }),
});
if (result.status !== 'ok') throw new VarveError('internal', { hint: JSON.stringify(result) });
const seconds = (performance.now() - startedMs) / 1000;
process.stdout.write(`${JSON.stringify({ peakMb: (await peakKb()) / 1024, seconds })}\n`);

/** Of this program alone: what the system counts by process begins with the memory of the one that started it. */
async function peakKb(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  return Number(/^VmHWM:\s+(\d+)/mu.exec(status)?.[1] ?? process.resourceUsage().maxRSS);
}

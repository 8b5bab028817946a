/** A process that populates a table of very many missing keys for a while: `node start-process.ts URL KEYS`; tells how it went as one line of JSON. */
import { readFile } from 'node:fs/promises';
import { systemClock, systemRandomBytes, VarveError } from 'varve/base';
import { populate, type CodeIdentity } from 'varve/pipeline';
import { postgresStore } from 'varve/store/postgres';
import { defineStart, MADE } from './start-definition.ts';

const [url = '', enough = '0'] = process.argv.slice(2);
await using store = await postgresStore({ url });
const definitions = defineStart();
// What stands for the code is of no account here.
const code: CodeIdentity = { digest: `sha256:${'0'.repeat(64)}`, basis: 'text', packages: {}, source: '' };
const stop = new AbortController();
const startedMs = performance.now();
let firstMs = NaN;
const result = await populate(store, {
  definitions,
  environment: {
    actor: 'bench',
    host: 'here',
    processId: process.pid,
    gitCommit: null,
    lockDigest: null,
    clock: systemClock,
    randomBytes: systemRandomBytes,
  },
  projectFolder: import.meta.dirname,
  codeByTable: new Map([[MADE, code]]),
  signal: stop.signal,
  progress: ({ computed }) => {
    if (Number.isNaN(firstMs) && computed > 0) firstMs = performance.now() - startedMs;
    if (computed >= Number(enough)) stop.abort();
  },
});
if (result.status !== 'interrupted') throw new VarveError('internal', { hint: JSON.stringify(result) });
const computed = result.tables[0]?.computed ?? 0;
const peakMb = (await peakKb()) / 1024;
/** Of this program alone: what the system counts by process begins with the memory of the one that started it. */
async function peakKb(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  return Number(/^VmHWM:\s+(\d+)/mu.exec(status)?.[1] ?? process.resourceUsage().maxRSS);
}

process.stdout.write(
  `${JSON.stringify({ firstMs, peakMb, usPerKey: ((performance.now() - startedMs) * 1000) / computed })}\n`,
);

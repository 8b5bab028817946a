import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { sql, type Store } from '../../src/store/index.ts';
import type { CrashChildOptions } from './crash-child.ts';

/** A line that a worker said. */
export type Said = Readonly<Record<string, unknown>>;

/** A worker in a process of its own. */
export interface Worker extends AsyncDisposable {
  readonly pid: number;
  readonly said: readonly Said[];
  /** Until it has written its first batch, or ended. */
  readonly begun: Promise<unknown>;
  /** What it said last, or the signal that ended it. */
  readonly end: Promise<Said>;
  readonly kill: (signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') => void;
}

/** Starts `crash-child.ts`. */
export function startWorker(
  url: string,
  schema: string,
  options: CrashChildOptions = {},
  { clockDays }: { readonly clockDays?: number } = {},
): Worker {
  const script = new URL('crash-child.ts', import.meta.url).pathname;
  const clock = new URL('fake-clock.ts', import.meta.url).href;
  return startProcess(
    [...(clockDays === undefined ? [] : ['--import', clock]), script, url, schema, JSON.stringify(options)],
    { FAKE_CLOCK_DAYS: String(clockDays ?? 0) },
  );
}

/** Starts `stall-child.ts`. */
export function startStalling(url: string, schema: string, where: 'take' | 'write'): Worker {
  return startProcess([new URL('stall-child.ts', import.meta.url).pathname, url, schema, where]);
}

function startProcess(
  nodeArguments: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Worker {
  const child = spawn(process.execPath, nodeArguments, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const said: Said[] = [];
  const lines = createInterface({ input: child.stdout });
  const begun = new Promise((resolve) => {
    lines.on('line', (line) => {
      said.push(JSON.parse(line) as Said);
      resolve(said);
    });
    child.once('close', resolve);
  });
  const end = new Promise<Said>((resolve) => {
    child.once('close', (exit, signal) => resolve(signal === null ? { ...said.at(-1), exit } : { signal }));
  });
  return {
    pid: child.pid ?? 0,
    said,
    begun,
    end,
    kill: (signal) => void child.kill(signal),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await end;
    },
  };
}

/** Lets the lease of a worker end after so many seconds, as if its last heartbeat had been that long ago. */
export async function endLease(store: Store, pid: number, inSeconds: number): Promise<number> {
  const [queue] = await store.query<{ there: boolean }>(
    sql`select to_regclass('varve_queue.job') is not null as there`,
  );
  if (queue?.there !== true) return 0;
  return store.execute(sql`
    update varve_queue.job set heartbeat_on = now() - make_interval(secs => heartbeat_seconds - ${inSeconds}::double precision)
    where name = 'keys' and state = 'active' and priority in (select id from varve.run where process = ${pid})`);
}

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A seed of this run, or the one that `VARVE_TEST_SEED` gives; printed, so that a failure can be had again. */
export function printedSeed(what: string): number {
  const seed = Number(process.env['VARVE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.info(`${what}: VARVE_TEST_SEED=${String(seed)}`);
  return seed;
}

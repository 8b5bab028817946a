/** A run in a process of its own, which kills itself at a fault point; and the end of what a killed one left. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  applyMigration,
  recoverRuns,
  rollbackMigration,
  type RecoverOutcome,
  type RunnerOptions,
  type RunOutcome,
} from '../../src/migration/index.ts';
import { postgisKind } from '../../src/migration/kind/postgis/index.ts';
import { doubleKind } from './double-kind.ts';

/** What is started. */
export interface StartedRun {
  /** A URL or a folder. */
  readonly address: string;
  readonly root: string;
  readonly verb: string;
  readonly id: string;
  /** Where it kills itself; without one it goes to its end. */
  readonly point?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** How it ended. */
export interface EndedRun {
  readonly signal: string | null;
  readonly status: string | undefined;
  readonly stderr: string;
}

/** Compiled source is kept between these processes, which else strip the types of some two hundred files each. */
const CACHE = fileURLToPath(new URL('../../.cache/compiled', import.meta.url));

/** Starts it, and waits for its end. */
export async function startRun({ address, root, verb, id, point, env }: StartedRun): Promise<EndedRun> {
  const script = fileURLToPath(new URL('run-process.ts', import.meta.url));
  const args = [script, address, root, verb, id, ...(point === undefined ? [] : [point])];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: CACHE, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += String(data)));
  child.stderr.on('data', (data) => (stderr += String(data)));
  const signal = await new Promise<string | null>((resolve) =>
    child.on('close', (_code, ended) => resolve(ended)),
  );
  const outcome = stdout === '' ? undefined : (JSON.parse(stdout) as { status: string });
  return { signal, status: outcome?.status, stderr: `${stderr} ${stdout}` };
}

type Verb = 'apply' | 'rollback' | 'recover';
const VERBS = { apply: applyMigration, rollback: rollbackMigration, recover: recoverRuns };

/** A verb in this process, which is another one than the killed one. */
export async function endRun(
  options: RunnerOptions,
  verb: Verb,
  id: string,
): Promise<{ readonly status: string; readonly told: string }> {
  const kinds = [doubleKind, postgisKind];
  const run = async (): Promise<Pick<RunOutcome, 'status' | 'findings'> | RecoverOutcome> =>
    VERBS[verb]({ ...options, kinds }, id);
  const outcome = await whenFree(run);
  return { status: outcome.status, told: JSON.stringify(outcome.findings) };
}

/** The server ends the session of a killed process when it looks; until then its lock is held. */
export async function whenFree<T extends { readonly findings: readonly { readonly code: string }[] }>(
  work: () => Promise<T>,
): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    const outcome = await work();
    const isHeld = outcome.findings.some(({ code }) => code === 'run_in_progress');
    if (!isHeld || tries >= 100) return outcome;
    await sleep(100);
  }
}

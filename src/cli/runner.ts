import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isVarveError, VarveError, type Finding } from '../base/index.ts';
import type { Signer } from '../evidence/index.ts';
import type { FaultHook, RunnerOptions, StepProgress } from '../migration/index.ts';
import { CONFIG_FILE, type Project } from './config.ts';
import type { Context } from './context.ts';
import type { Kinds } from './kinds.ts';
import { migrationSettings } from './migrations-config.ts';
import type { Progress } from './progress.ts';
import { openProjectWorld, type WorldAccess, type WorldResult } from './open-project-world.ts';
import type { ProjectWorld } from './project-world.ts';

/** What the verbs of a migration work with. */
export interface Runner extends AsyncDisposable {
  readonly world: ProjectWorld;
  readonly options: RunnerOptions;
  readonly kinds: Kinds;
}

/** The project's folder of migrations. */
export function migrationsRoot(projectDir: string): string {
  return join(projectDir, 'migrations');
}

/** Opens the project and everything that the lifecycle needs from outside; disposing it takes the progress bar away. */
export async function openRunner(
  context: Context,
  access: WorldAccess,
): Promise<(Runner & { readonly status: 'ok' }) | Extract<WorldResult, { readonly status: 'refused' }>> {
  const opened = await openProjectWorld(context, access, await projectOrFolder(context));
  if (opened.status === 'refused') return opened;
  const { world } = opened;
  const { environment } = world;
  const { DEFAULT_SETTINGS } = await import('../migration/index.ts');
  const kinds = await context.kindsOf(world);
  const bars = stepBars(context);
  const fault = faultHook(context);
  const signer = await runnerSigner(context);
  if (signer !== undefined && 'code' in signer) return { status: 'refused', findings: [signer] };
  const protectedKey = await readProtectedKey(context);
  const logins = await context.logins();
  const options: RunnerOptions = {
    store: world.store,
    kinds: kinds.list,
    root: migrationsRoot(world.project.dir),
    environment: context.options.env,
    settings: {
      ...migrationSettings(world.project.config.migrations, DEFAULT_SETTINGS),
      ...(protectedKey === undefined ? {} : { protectedKey }),
    },
    actor: { principal: `user:${environment.actor}`, role: 'runner' },
    host: environment.host,
    processId: environment.processId,
    gitCommit: environment.gitCommit,
    paramsDigest: environment.lockDigest,
    clock: environment.clock,
    randomBytes: environment.randomBytes,
    signal: context.signal,
    progress: bars.show,
    ...(logins.runner === undefined ? {} : { runnerLogin: logins.runner }),
    ...(logins.verify === undefined ? {} : { verifyLogin: logins.verify }),
    ...(signer === undefined ? {} : { signer }),
    ...(fault === undefined ? {} : { fault }),
  };
  return {
    status: 'ok',
    world,
    options,
    kinds,
    [Symbol.asyncDispose]: () => Promise.resolve(bars.end()),
  };
}

/**
 * The project, or where `--db` names a database and there is none, the folder itself with its folder `migrations`: scripts of SQL
 * need no definitions.
 *
 * Errors: throws `config_missing`, `config_invalid`.
 */
export async function projectOrFolder(context: Context): Promise<Project> {
  const { io, options } = context;
  try {
    return await context.project();
  } catch (error) {
    if (options.db === undefined || !isVarveError(error, 'config_missing')) throw error;
    const dir = resolve(io.workingDir, options.project ?? '.');
    return { dir, filePath: join(dir, CONFIG_FILE), config: { stores: {} } };
  }
}

/** The key that signs receipts, by the reference in VARVE_RUNNER_KEY: the path of a PEM file, or the PEM. */
async function runnerSigner({ io }: Context): Promise<Signer | Finding | undefined> {
  const value = io.env['VARVE_RUNNER_KEY'];
  if (value === undefined || value === '') return undefined;
  const { readSignerReference } = await import('../migration/index.ts');
  return readSignerReference('VARVE_RUNNER_KEY', value);
}

/**
 * The key for digests of protected rows, from the file that VARVE_PROTECTED_KEY names (M123).
 *
 * Errors: throws `key_invalid` where it cannot be read.
 */
async function readProtectedKey({ io }: Context): Promise<Uint8Array | undefined> {
  const path = io.env['VARVE_PROTECTED_KEY'];
  if (path === undefined || path === '') return undefined;
  try {
    return await readFile(resolve(io.workingDir, path));
  } catch {
    throw new VarveError('key_invalid', {
      detail: { reason: 'unreadable', name: 'VARVE_PROTECTED_KEY' },
      hint: 'Set it to the path of a file with 32 random bytes or more.',
    });
  }
}

/** Crash tests name a point at which this process is to end as if its machine had. */
function faultHook({ io }: Context): FaultHook | undefined {
  const point = io.env['VARVE_FAULT_POINT'];
  if (point === undefined || point === '') return undefined;
  return (reached) => {
    if (reached === point) process.kill(process.pid, 'SIGKILL');
    return Promise.resolve();
  };
}

function stepBars(context: Context): {
  readonly show: (progress: StepProgress) => void;
  readonly end: () => void;
} {
  let shown: { readonly step: string; readonly done: number; readonly bar: Progress } | undefined;
  return {
    show: ({ step, done, total }) => {
      if (shown?.step !== step) shown?.bar.end();
      const before = shown?.step === step ? shown : undefined;
      const bar = before?.bar ?? context.progress(step, total);
      bar.advance(done - (before?.done ?? 0));
      shown = { step, done, bar };
    },
    end: () => shown?.bar.end(),
  };
}

import { join } from 'node:path';
import type { Clock, RandomBytes } from '../base/index.ts';
import { sha256, type ApprovedException, type Digest, type Signer } from '../evidence/index.ts';
import type { Store } from '../store/index.ts';
import { readIfThere } from './evidence-store.ts';
import type { FaultHook } from './fault-point.ts';
import type { MigrationKind, StepProgress } from './kind.ts';
import type { EnvironmentName, MigrationSettings } from './settings.ts';

/** A further login of a store, by reference; it is used for no longer than a run needs it. */
export interface Login {
  /**
   * Opens the store at this `Store.location` with it: the target, or a copy of it.
   *
   * Errors: throws as opening the store does.
   */
  readonly open: (location: string) => Promise<Store>;
}

/** Everything that the lifecycle needs from outside. */
export interface RunnerOptions {
  readonly store: Store;
  readonly kinds: readonly MigrationKind[];
  /** Absolute path of the project's folder `migrations`. */
  readonly root: string;
  readonly environment: EnvironmentName;
  /** Default `DEFAULT_SETTINGS`. */
  readonly settings?: MigrationSettings;
  readonly actor: { readonly principal: string; readonly role: string };
  readonly host: string;
  readonly processId: number;
  /** Commit of the project, null where it has no version control. */
  readonly gitCommit: string | null;
  /** Digest of the project's package lock, null where it has none. */
  readonly paramsDigest: Digest | null;
  /** Signs receipts and ledger heads; only dev goes without. */
  readonly signer?: Signer;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /**
   * The store is a disposable copy, on which a rehearsal runs: nothing has to be signed or approved, and what wants a
   * review is told and goes on (M107).
   */
  readonly isRehearsal?: true;
  /** What approvals of the target allow of what a run finds, for a rehearsal: without it no rehearsal of such a bundle could pass. */
  readonly rehearsedExceptions?: readonly (ApprovedException & { readonly principal: string })[];
  /** The login that runs scripts and may nothing of its own (L4); without it no run is confined. */
  readonly runnerLogin?: Login;
  /** The login that reads the server's log before a run commits (L9); without it no run is witnessed. */
  readonly verifyLogin?: Login;
  readonly signal?: AbortSignal;
  readonly fault?: FaultHook;
  readonly progress?: (progress: StepProgress) => void;
  /** Milliseconds within which the deciding transaction has to get its locks, over all tries. Default 300,000. */
  readonly deadlineMs?: number;
  /**
   * Milliseconds that one try waits for one lock. Default 100: whoever asks for the table meanwhile, readers too, queues
   * behind the try.
   */
  readonly lockTimeoutMs?: number;
}

/** The commit that a project's `HEAD` points at, read from its `.git` without starting git; null where it has none. */
export async function readGitCommit(project: string): Promise<string | null> {
  const git = await gitFolder(project);
  const head = await readLine(join(git, 'HEAD'));
  if (head === undefined || !head.startsWith('ref: ')) return commitOrNull(head);
  const ref = head.slice('ref: '.length);
  const common = join(git, (await readLine(join(git, 'commondir'))) ?? '.');
  for (const folder of [git, common]) {
    const commit = commitOrNull(await readLine(join(folder, ref)));
    if (commit !== null) return commit;
  }
  const packed = await readText(join(common, 'packed-refs'));
  return commitOrNull(
    packed
      ?.split('\n')
      .find((line) => line.endsWith(` ${ref}`))
      ?.split(' ')[0],
  );
}

/** Digest of the project's package lock; null where it has none. */
export async function readParamsDigest(project: string): Promise<Digest | null> {
  const bytes = await readIfThere(join(project, 'package-lock.json'));
  return bytes === undefined ? null : sha256(bytes);
}

/** `.git` is a folder, or in a linked work tree a file that names one. */
async function gitFolder(project: string): Promise<string> {
  const path = join(project, '.git');
  try {
    const line = await readLine(path);
    return line?.startsWith('gitdir: ') === true ? line.slice('gitdir: '.length) : path;
  } catch {
    return path; // a folder is not read as a file
  }
}

async function readLine(path: string): Promise<string | undefined> {
  return (await readText(path))?.split('\n')[0]?.trim();
}

async function readText(path: string): Promise<string | undefined> {
  const bytes = await readIfThere(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

function commitOrNull(text: string | undefined): string | null {
  return text !== undefined && /^[0-9a-f]{40,64}$/u.test(text) ? text : null;
}

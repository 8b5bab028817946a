/**
 * The exclusive lock of an embedded database's folder, a file beside it: PGlite itself takes none, and two openers
 * corrupt the data (M90).
 *
 * Shape: `lab.db.lock` with `{ "token", "pid", "host", "startedAs", "program", "lockedAtMs" }`
 * `startedAs` is the boot's id and the process's start in clock ticks since then, so that another process which got the
 * same pid is told from the holder; null where the system does not say (no `/proc`).
 * A dead holder's file is taken over by whoever first creates `lab.db.lock.claim`; all steps between that and the
 * removal of the claim are synchronous. Should a process be killed just there, its claim stays and the folder stays
 * refused until a person removes both files: to guess would let two in.
 * A lock of another host is never taken over, since nothing here can see that host's processes.
 */
import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { VarveError, type Clock } from '../../base/index.ts';

/** A held lock; released at the latest when the process exits. */
export interface FolderLock {
  readonly release: () => void;
}

interface Holder {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  readonly startedAs: string | null;
  readonly program: string;
  readonly lockedAtMs: number;
}

/**
 * Locks a folder for this process.
 *
 * Errors: throws `store_locked` with pid, host and age of the holder.
 */
export function lockFolder(folder: string, clock: Clock): FolderLock {
  const lockPath = `${folder}.lock`;
  const own: Holder = {
    token: randomUUID(),
    pid: process.pid,
    host: hostname(),
    startedAs: startOf(process.pid),
    program: basename(process.argv[1] ?? process.execPath),
    lockedAtMs: clock.nowMs(),
  };
  if (!createWhole(lockPath, own)) takeOver(lockPath, own, clock);
  return heldLock(lockPath, own);
}

/** Creates the file with its content in one step, so that nobody ever reads half of it. False when it exists. */
function createWhole(lockPath: string, own: Holder): boolean {
  const draftPath = `${lockPath}.${own.token}`;
  writeFileSync(draftPath, JSON.stringify(own), { flag: 'wx' });
  try {
    linkSync(draftPath, lockPath);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(systemCode(error))) throw error;
    return createDirect(lockPath, own); // a file system without links
  } finally {
    rmSync(draftPath, { force: true });
  }
}

function createDirect(path: string, own: Holder): boolean {
  try {
    writeFileSync(path, JSON.stringify(own), { flag: 'wx' });
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function takeOver(lockPath: string, own: Holder, clock: Clock): void {
  const claimPath = `${lockPath}.claim`;
  assertDead(lockPath, readHolder(lockPath), own, clock);
  if (!createDirect(claimPath, own)) {
    assertDead(lockPath, readHolder(lockPath), own, clock);
    throw lockedBy(
      lockPath,
      readHolder(claimPath),
      clock,
      `Remove ${claimPath} if its process no longer runs.`,
    );
  }
  try {
    // Once more under the claim: another one may have taken over and be alive by now.
    assertDead(lockPath, readHolder(lockPath), own, clock);
    const draftPath = `${lockPath}.${own.token}`;
    writeFileSync(draftPath, JSON.stringify(own), { flag: 'wx' });
    renameSync(draftPath, lockPath);
  } finally {
    rmSync(claimPath, { force: true });
  }
}

function assertDead(lockPath: string, holder: Holder | undefined, own: Holder, clock: Clock): void {
  if (holder === undefined) {
    throw lockedBy(lockPath, holder, clock, `Remove ${lockPath} if no program has the folder open.`);
  }
  if (holder.host !== own.host) {
    const hint = `Close the program on ${holder.host}; if it no longer runs, remove ${lockPath}.`;
    throw lockedBy(lockPath, holder, clock, hint);
  }
  if (isAlive(holder)) {
    throw lockedBy(lockPath, holder, clock, `Wait for process ${holder.pid} (${holder.program}) or end it.`);
  }
}

function isAlive({ pid, startedAs }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) === 'EPERM'; // it runs, and belongs to someone else
  }
  const start = startOf(pid);
  return startedAs === null || start === null || start === startedAs;
}

/** The identity of a process beyond its pid: field 22 of `/proc/<pid>/stat` within this boot. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // The second field is the program's name in brackets and may itself hold blanks and brackets.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return ticks === undefined ? null : `${boot}:${ticks}`;
  } catch {
    return null; // no /proc on this system
  }
}

/** Undefined when the file is gone or was not written by varve. */
function readHolder(path: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isHolder(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isHolder(value: unknown): value is Holder {
  if (typeof value !== 'object' || value === null) return false;
  const { token, pid, host, startedAs, program, lockedAtMs } = value as Readonly<Record<string, unknown>>;
  return (
    typeof token === 'string' &&
    typeof pid === 'number' &&
    typeof host === 'string' &&
    (startedAs === null || typeof startedAs === 'string') &&
    typeof program === 'string' &&
    typeof lockedAtMs === 'number'
  );
}

/** One listener for all locks of the process, which may have a dozen folders open. */
const held = new Set<() => void>();

function releaseAll(): void {
  for (const release of held) release();
}

function heldLock(lockPath: string, own: Holder): FolderLock {
  const release = (): void => {
    if (held.delete(release) && held.size === 0) process.off('exit', releaseAll);
    // Not ours any more when a person removed it by hand and someone else locked the folder since.
    if (readHolder(lockPath)?.token === own.token) rmSync(lockPath, { force: true });
  };
  if (held.size === 0) process.on('exit', releaseAll);
  held.add(release);
  return { release };
}

function lockedBy(lockPath: string, holder: Holder | undefined, clock: Clock, hint: string): VarveError {
  const held =
    holder === undefined
      ? {}
      : {
          pid: holder.pid,
          host: holder.host,
          program: holder.program,
          ageSeconds: Math.max(0, Math.round((clock.nowMs() - holder.lockedAtMs) / 1000)),
        };
  return new VarveError('store_locked', { detail: { lockPath, ...held }, hint });
}

function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

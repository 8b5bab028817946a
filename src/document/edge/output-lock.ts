import { open, readFile, rm } from 'node:fs/promises';
import { refusal } from '../../base/index.ts';
import { ok, refused, type Result } from '../result.ts';

/**
 * The right to write one output, held by a file beside it that names its process. One that a dead process left behind is
 * taken over.
 */
export async function lockOutput(path: string): Promise<Result<AsyncDisposable>> {
  const lockPath = `${path}.lock`;
  let holder: number | undefined;
  for (let tries = 0; tries < 3; tries += 1) {
    if (await tryLock(lockPath)) return ok({ [Symbol.asyncDispose]: () => rm(lockPath, { force: true }) });
    holder = await holderOf(lockPath);
    if (holder !== undefined && isAlive(holder)) break;
    await rm(lockPath, { force: true });
  }
  return refused(
    refusal('output_locked', path, {
      detail: { process: holder ?? null },
      hint: 'Wait for the run that writes this output, or stop it; then go on with --resume.',
    }),
  );
}

async function tryLock(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(`${process.pid}\n`);
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function holderOf(path: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(path, 'utf8'), 10);
    return Number.isNaN(pid) ? undefined : pid;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A process that may not be asked is alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

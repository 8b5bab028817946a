/**
 * A Python with the packages of `requirements.txt`, in a folder of its own below `.cache`, made on first use.
 *
 * It is made anew when the requirements change. Where there is no Python, or no package registry, the comparison does
 * not run; that is no failure of varve.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../.cache/bench-peers/', import.meta.url));
const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url));
const MINUTES = 10;

/** The Python to use, or why there is none. */
export type PythonResult =
  | { readonly status: 'ready'; readonly python: string }
  | { readonly status: 'missing'; readonly reason: string };

/** Finds or makes it; `VARVE_BENCH_PYTHON` names another interpreter than `python3`. */
export async function openPython(progress: (message: string) => void): Promise<PythonResult> {
  const python = join(FOLDER, 'venv', process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const wanted = await readFile(REQUIREMENTS, 'utf8');
  if ((await installed()) === wanted && (await run(python, ['-c', 'import datajoint, psycopg2'])) === 0) {
    return { status: 'ready', python };
  }
  const base = process.env['VARVE_BENCH_PYTHON'] ?? 'python3';
  progress(`making a virtual environment of ${base}`);
  await rm(FOLDER, { recursive: true, force: true });
  await mkdir(FOLDER, { recursive: true });
  if ((await run(base, ['-m', 'venv', join(FOLDER, 'venv')])) !== 0) {
    return { status: 'missing', reason: `${base} is not there, or cannot make a virtual environment` };
  }
  progress('installing the packages of bench/peers/requirements.txt');
  if ((await run(python, ['-m', 'pip', 'install', '--quiet', '-r', REQUIREMENTS])) !== 0) {
    return {
      status: 'missing',
      reason: 'pip could not install the packages of bench/peers/requirements.txt',
    };
  }
  await writeFile(join(FOLDER, 'installed.txt'), wanted);
  return { status: 'ready', python };
}

async function installed(): Promise<string | undefined> {
  return readFile(join(FOLDER, 'installed.txt'), 'utf8').catch(() => undefined);
}

/** Its exit status; null where it could not be started or took too long. */
async function run(command: string, args: readonly string[]): Promise<number | null> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DJ_IGNORE_CONFIG_FILE: 'true', PIP_DISABLE_PIP_VERSION_CHECK: '1' },
    // Not `timeout`, whose timer outlives a command that could not be started.
    signal: AbortSignal.timeout(MINUTES * 60_000),
  });
  try {
    await once(child, 'close');
  } catch {
    return null;
  }
  return child.exitCode;
}

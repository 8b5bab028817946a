/** What version control has at a revision, asked of git without a shell; a project without git has nothing to say. */
import { execFile } from 'node:child_process';
import { basename, dirname, join, relative, sep } from 'node:path';
import { realpath } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A repository around a folder. */
export interface Repository {
  /** Full name of the commit that a revision means; undefined where there is none. */
  readonly resolve: (revision: string) => Promise<string | undefined>;
  /** Files below a folder at a commit, by their path in that folder; links are left out. */
  readonly readFolder: (commit: string, folder: string) => Promise<ReadonlyMap<string, Uint8Array>>;
  /** Whether a commit has anything at a path; undefined where git cannot tell. */
  readonly holds: (commit: string, absolute: string) => Promise<boolean | undefined>;
  /** The commit of the main branch: what the remote calls its head, else `main` or `master`. */
  readonly mainCommit: () => Promise<string | undefined>;
}

/** No file of a bundle is larger; git is not asked for more. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The repository that a folder lies in; undefined where it lies in none, or there is no git. */
export async function openRepository(folder: string): Promise<Repository | undefined> {
  const top = await ask(folder, ['rev-parse', '--show-toplevel']);
  if (top === undefined) return undefined;
  const root = top.toString().replace(/\r?\n$/u, '');
  const resolve = async (revision: string): Promise<string | undefined> => {
    // After this word nothing is an option, whatever it looks like.
    const name = await ask(root, [
      'rev-parse',
      '--verify',
      '--quiet',
      '--end-of-options',
      `${revision}^{commit}`,
    ]);
    return name?.toString().trim();
  };
  return {
    resolve,
    readFolder: async (commit, absolute) => readTree(root, commit, await pathIn(root, absolute)),
    holds: async (commit, absolute) => {
      const path = await pathIn(root, absolute);
      const found = await ask(root, ['ls-tree', '-z', '--end-of-options', commit, path]);
      return found === undefined ? undefined : found.byteLength > 0;
    },
    mainCommit: async () => {
      for (const name of ['refs/remotes/origin/HEAD', 'refs/heads/main', 'refs/heads/master']) {
        const commit = await resolve(name);
        if (commit !== undefined) return commit;
      }
      return undefined;
    },
  };
}

async function readTree(
  root: string,
  commit: string,
  folder: string,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const tree = folder === '' ? commit : `${commit}:${folder}`;
  const listed = await ask(root, ['ls-tree', '-r', '-z', '--end-of-options', tree]);
  const files = new Map<string, Uint8Array>();
  for (const line of (listed ?? Buffer.alloc(0)).toString().split('\0')) {
    const [, mode, object, path] = /^(\d+) blob ([0-9a-f]+)\t(.+)$/su.exec(line) ?? [];
    if (object === undefined || path === undefined || mode === '120000') continue;
    const bytes = await ask(root, ['cat-file', 'blob', object]);
    if (bytes !== undefined) files.set(path, bytes);
  }
  return files;
}

async function pathIn(root: string, absolute: string): Promise<string> {
  // The folder itself may be gone by now; the one above it is there.
  const real = join(await realpath(dirname(absolute)).catch(() => dirname(absolute)), basename(absolute));
  return relative(await realpath(root), real)
    .split(sep)
    .join('/');
}

/** What git answers; undefined where it has no answer, or is not there. */
async function ask(folder: string, words: readonly string[]): Promise<Buffer | undefined> {
  try {
    const { stdout } = await run('git', ['-C', folder, ...words], {
      encoding: 'buffer',
      maxBuffer: MAX_BYTES,
    });
    return stdout;
  } catch {
    return undefined;
  }
}

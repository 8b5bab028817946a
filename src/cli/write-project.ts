import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { refusal, type Finding } from '../base/index.ts';
import { release } from './release.ts';
import { STARTER_IGNORE } from './starter-project.ts';

/** A project that was written, and the commands that make it run; or why nothing was. */
export type WrittenProject =
  | { readonly status: 'ok'; readonly files: readonly string[]; readonly next: readonly string[] }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Writes the files of a project, with `package.json` and `.gitignore` where there are none.
 *
 * Errors: refuses with `files_exist`; nothing is ever overwritten.
 */
export async function writeProject(
  dir: string,
  own: Readonly<Record<string, string>>,
  workingDir: string,
): Promise<WrittenProject> {
  const taken = Object.keys(own).filter((name) => existsSync(join(dir, name)));
  if (taken.length > 0) return { status: 'refused', findings: [wouldOverwrite(dir, taken)] };
  const isInstalled = canResolveVarve(dir);
  const hadPackage = existsSync(join(dir, 'package.json'));
  const files = {
    ...(hadPackage ? {} : { 'package.json': packageJson(dir, isInstalled) }),
    ...(existsSync(join(dir, '.gitignore')) ? {} : { '.gitignore': STARTER_IGNORE }),
    ...own,
  };
  for (const [name, text] of Object.entries(files)) {
    if (!(await isWritten(join(dir, name), text))) {
      return { status: 'refused', findings: [wouldOverwrite(dir, [name])] };
    }
  }
  const folder = relative(workingDir, dir);
  const isModule = !hadPackage || (await isModulePackage(dir));
  const install = hadPackage ? `npm install --save-exact varve@${release()}` : 'npm install';
  const next = [
    ...(folder === '' ? [] : [`cd ${folder}`]),
    ...(isModule ? [] : ['npm pkg set type=module']),
    ...(isInstalled ? [] : [install]),
  ];
  return { status: 'ok', files: Object.keys(files), next };
}

function wouldOverwrite(dir: string, taken: readonly string[]): Finding {
  return refusal('files_exist', dir, {
    detail: { files: taken },
    hint: 'Name another folder, or move these files away: nothing is ever overwritten.',
  });
}

/** Whether an import of varve finds a package from this folder: one that is installed, or the package that the folder lies in. */
function canResolveVarve(startDir: string): boolean {
  for (let dir = startDir; ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'node_modules', 'varve', 'package.json'))) return true;
    if (dirname(dir) === dir) return false;
  }
}

/** Without it Node reads every file of the project twice, and says so at each command. */
async function isModulePackage(dir: string): Promise<boolean> {
  try {
    const content: unknown = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'));
    return (content as { readonly type?: unknown } | null)?.type === 'module';
  } catch {
    // What is wrong with it, npm says when the next step is taken.
    return false;
  }
}

function packageJson(dir: string, isInstalled: boolean): string {
  const name = basename(dir)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/gu, '-')
    .replaceAll(/^-+|-+$/gu, '');
  const content = {
    name: name === '' || name === 'varve' ? 'my-pipeline' : name,
    private: true,
    type: 'module',
    engines: { node: '>=24' },
    ...(isInstalled ? {} : { dependencies: { varve: release() } }),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Exclusive, so that a file that came in between, as from a second init, is not overwritten either: false then. */
async function isWritten(path: string, text: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { refusal } from '../../base/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import type { CommandResult } from '../output.ts';
import { release } from '../release.ts';
import { STARTER_FILES, STARTER_IGNORE, STARTER_QUESTION } from '../starter-project.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve init` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve init', 'varve init lake && cd lake && npm install'])
    .argument('[dir]', 'the folder; default: this one')
    .action(act(run));
}

async function run({ io, options }: Context, given: string | undefined): Promise<CommandResult> {
  const dir = resolve(io.workingDir, options.project ?? '.', given ?? '.');
  const taken = Object.keys(STARTER_FILES).filter((name) => existsSync(join(dir, name)));
  if (taken.length > 0) return refusedResult([wouldOverwrite(dir, taken)]);
  const isInstalled = canResolveVarve(dir);
  const hadPackage = existsSync(join(dir, 'package.json'));
  const files = {
    ...(hadPackage ? {} : { 'package.json': packageJson(dir, isInstalled) }),
    ...(existsSync(join(dir, '.gitignore')) ? {} : { '.gitignore': STARTER_IGNORE }),
    ...STARTER_FILES,
  };
  for (const [name, text] of Object.entries(files)) {
    if (!(await isWritten(join(dir, name), text))) return refusedResult([wouldOverwrite(dir, [name])]);
  }
  const next = nextSteps(relative(io.workingDir, dir), {
    isInstalled,
    hadPackage,
    isModule: !hadPackage || (await isModulePackage(dir)),
  });
  return {
    status: 'ok',
    fields: { dir, files: Object.keys(files), next },
    text: () =>
      [
        ...Object.keys(files).map((name) => `wrote  ${name}`),
        '',
        'Next:',
        ...next.map((line) => `  ${line}`),
      ].join('\n'),
  };
}

function wouldOverwrite(dir: string, taken: readonly string[]): ReturnType<typeof refusal> {
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

function nextSteps(
  folder: string,
  {
    isInstalled,
    hadPackage,
    isModule,
  }: { readonly isInstalled: boolean; readonly hadPackage: boolean; readonly isModule: boolean },
): readonly string[] {
  const install = hadPackage ? `npm install --save-exact varve@${release()}` : 'npm install';
  return [
    ...(folder === '' ? [] : [`cd ${folder}`]),
    ...(isModule ? [] : ['npm pkg set type=module']),
    ...(isInstalled ? [] : [install]),
    'npx varve plan',
    'npx varve apply',
    'npx varve populate',
    `npx varve ${STARTER_QUESTION}`,
  ];
}

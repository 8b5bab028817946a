/**
 * What an outside command is made of, as far as varve can see: its arguments, and the files of the project that they or
 * `files` name. What those import in turn is not followed: each language has its own way to find it.
 */
import { createHash } from 'node:crypto';
import { globSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { realPath } from '../code/resolve-module.ts';
import type { CommandSettings } from './command.ts';

/**
 * The text whose digest is that of the command.
 *
 * Shape: `argv ["python3","-m","lab.make"]`, `mode once`, and a line `sha256:... lab/make.py` for each file.
 */
export function commandSource(settings: CommandSettings, folder: string): string {
  const files = commandFiles(settings, folder).map(
    (file) => `${fileDigest(path.join(folder, file))} ${file}`,
  );
  return [`argv ${JSON.stringify(settings.argv)}`, `mode ${settings.mode}`, ...files].join('\n');
}

/** The files that decide what the command does, from the folder, with forward slashes. */
export function commandFiles({ argv, files }: CommandSettings, folder: string): readonly string[] {
  const named = argv.flatMap((argument, at) => (argv[at - 1] === '-m' ? moduleFiles(argument) : [argument]));
  const matched = globSync([...files], { cwd: folder });
  const own = [...named, ...matched].map((file) => fromFolder(folder, file));
  return [...new Set(own.filter((file) => file !== undefined))].toSorted();
}

/** Where Python looks for a module from the folder that it is started in. */
function moduleFiles(module: string): readonly string[] {
  const parts = module.split('.');
  const packages = parts.map((_, at) => path.join(...parts.slice(0, at + 1), '__init__.py'));
  return [`${path.join(...parts)}.py`, path.join(...parts, '__main__.py'), ...packages];
}

/** Its path from the folder; undefined where it is no file below it. */
function fromFolder(folder: string, file: string): string | undefined {
  const base = realPath(folder);
  const absolute = path.resolve(base, file);
  if (statSync(absolute, { throwIfNoEntry: false })?.isFile() !== true) return undefined;
  const relative = path.relative(base, realPath(absolute));
  const isBelow = relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative);
  return isBelow ? relative.split(path.sep).join('/') : undefined;
}

function fileDigest(file: string): string {
  return `sha256:${createHash('sha256').update(readFileSync(file)).digest('hex')}`;
}

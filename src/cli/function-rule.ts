import { readFile } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { refusal, type Finding } from '../base/index.ts';
import type { FunctionRule, RowRule } from '../evolution/index.ts';

/** `./attribute.ts#byParam`: an exported function in a file of the project. */
const REFERENCE = /^(?<path>[^#\s]+\.[cm]?[jt]s)#(?<name>[\p{L}_$][\p{L}\p{N}_$]*)$/u;

/** Whether a rule for a table names a function. */
export function namesFunction(rule: string): boolean {
  return REFERENCE.test(rule);
}

/** Reads the file and takes the function out of it, with the rule as the bundle has it. */
export async function loadFunctionRule(
  projectDir: string,
  table: string,
  text: string,
): Promise<{ readonly rule: string; readonly loaded: FunctionRule } | Finding> {
  const { path = '', name = '' } = REFERENCE.exec(text)?.groups ?? {};
  const file = resolve(projectDir, path);
  const inside = relative(projectDir, file).split(sep).join('/');
  const invalid = (reason: string, hint: string): Finding =>
    refusal('attribute_invalid', table, { detail: { reason }, hint });
  if (inside.startsWith('..') || inside.startsWith('/'))
    return invalid(
      'a file outside the project',
      'Name a file of this project, such as ./attribute.ts#byParam.',
    );
  let source: string;
  try {
    source = await readFile(file, 'utf8');
  } catch {
    return invalid(`no file ${inside}`, 'Name a file of this project, such as ./attribute.ts#byParam.');
  }
  const module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  const call = module[name];
  if (typeof call !== 'function')
    return invalid(
      `no function ${name} is exported there`,
      `Write: export function ${name}({ row, reads }) { ... }`,
    );
  const kept = `rules/${inside}`;
  return { rule: `${kept}#${name}`, loaded: { path: kept, source, call: call as RowRule } };
}

import { Option, type Command } from 'commander';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { refusal, type Finding } from '../../base/index.ts';
import {
  findingInProject,
  hasSql,
  lintBundle,
  lintMigration,
  listBundles,
  readBundle,
  type LintOptions,
} from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { formatOption, partsResult, type Format } from '../format/format-parts.ts';
import { countText, tableText, type CommandResult, type Style } from '../output.ts';

interface LintFlags {
  readonly format: Format;
  readonly server?: string;
  readonly inTransaction?: boolean;
  readonly timeouts?: boolean;
}

/** `varve lint` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve lint',
    'varve lint db/migrations --in-transaction --server 16',
    'varve lint change.sql --format sarif > change.sarif',
  ])
    .argument('[path...]', "SQL files, or folders of them or of bundles; default: the project's bundles")
    .addOption(
      new Option('--server <major>', 'the version that will run it').choices(['15', '16', '17', '18']),
    )
    .option('--in-transaction', 'whoever runs a file puts it into one transaction')
    .option('--timeouts', 'whoever runs a file sets lock_timeout and statement_timeout')
    .addOption(formatOption())
    .action(act((context, paths: readonly string[], flags: LintFlags) => run(context, paths, flags)));
}

/** What was linted: a file, or a bundle. */
interface Linted {
  readonly name: string;
  readonly findings: readonly Finding[];
}

async function run(context: Context, paths: readonly string[], flags: LintFlags): Promise<CommandResult> {
  const linted =
    paths.length === 0
      ? await lintProject(context, flags)
      : await lintPaths(context.io.workingDir, paths, flags);
  const part = {
    name: 'scripts',
    checked: linted.length,
    findings: linted.flatMap(({ findings }) => findings),
  };
  return partsResult([part], {
    format: flags.format,
    command: 'varve lint',
    text: (style) => lintedText(style, linted),
  });
}

async function lintProject(context: Context, flags: LintFlags): Promise<readonly Linted[]> {
  const { dir } = await context.project();
  const root = join(dir, 'migrations');
  const ids = await listBundles(root);
  const linted = await Promise.all(ids.map((id) => lintOneBundle(root, id, flags)));
  return linted.flat();
}

/** Nothing for a bundle without SQL; what cannot be read is told, for it was not linted. */
async function lintOneBundle(root: string, id: string, flags: LintFlags): Promise<readonly Linted[]> {
  const reading = await readBundle(root, id);
  if (reading.status === 'ok' && !hasSql(reading.bundle)) return [];
  const findings =
    reading.status === 'ok' ? await lintBundle(reading.bundle, optionsOf(flags)) : reading.findings;
  return [{ name: id, findings: findings.map((finding) => findingInProject(id, finding)) }];
}

function optionsOf({ server }: LintFlags): LintOptions {
  return server === undefined ? {} : { serverMajor: Number(server) };
}

async function lintPaths(
  workingDir: string,
  paths: readonly string[],
  flags: LintFlags,
): Promise<readonly Linted[]> {
  const linted = await Promise.all(
    paths.map(async (path) => {
      const found = await lintPath(workingDir, resolve(workingDir, path), flags);
      return found.length > 0 ? found : [unreadable(path, 'no SQL file in this folder')];
    }),
  );
  return linted.flat();
}

async function lintPath(workingDir: string, path: string, flags: LintFlags): Promise<readonly Linted[]> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) return [unreadable(nameOf(workingDir, path), 'not found')];
  if (!stats.isDirectory()) return [await lintFile(workingDir, path, flags)];
  const entries = await readdir(path, { withFileTypes: true });
  if (entries.some(({ name }) => name === 'migration.yml')) {
    return lintOneBundle(dirname(dirname(path)), basename(path), flags);
  }
  const inside = entries
    .filter((entry) =>
      entry.isDirectory() ? !/^\.|^node_modules$/.test(entry.name) : entry.name.endsWith('.sql'),
    )
    .map(({ name }) => name)
    .toSorted();
  const linted = await Promise.all(inside.map((name) => lintPath(workingDir, join(path, name), flags)));
  return linted.flat();
}

/** Each file is a change of its own: what an earlier one made is in use by now. */
async function lintFile(workingDir: string, path: string, flags: LintFlags): Promise<Linted> {
  const file = nameOf(workingDir, path);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
    const inTransaction = flags.inTransaction === true;
    const hasTimeouts = flags.timeouts === true;
    const findings = await lintMigration([{ file, text, inTransaction, hasTimeouts }], optionsOf(flags));
    return { name: file, findings };
  } catch (error) {
    if (error instanceof TypeError) return unreadable(file, 'not UTF-8');
    if (error instanceof Error && 'code' in error) return unreadable(file, String(error.code));
    throw error;
  }
}

function nameOf(workingDir: string, path: string): string {
  return relative(workingDir, path).replaceAll('\\', '/') || '.';
}

function unreadable(file: string, reason: string): Linted {
  const hint = 'Name an SQL file in UTF-8, or a folder that holds some.';
  return { name: file, findings: [refusal('file_unreadable', file, { detail: { reason }, hint })] };
}

function lintedText(style: Style, linted: readonly Linted[]): string {
  const count = (findings: readonly Finding[], severity: Finding['severity']): string =>
    countText(findings.filter((finding) => finding.severity === severity).length);
  return tableText(
    style,
    [
      { head: 'script' },
      { head: 'errors', align: 'right' },
      { head: 'warnings', align: 'right' },
      { head: 'notes', align: 'right' },
    ],
    linted.map(({ name, findings }) => [
      name,
      count(findings, 'error'),
      count(findings, 'warning'),
      count(findings, 'info'),
    ]),
  );
}

import { Option, type Command } from 'commander';
import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { refusal } from '../../base/index.ts';
import type { AdoptedTable, AdoptResult } from '../../evolution/index.ts';
import { adoptHistoryCommand, TOOL_NAMES, type AdoptHistoryFlags } from '../adopt-history.ts';
import { withExamples, type Act } from '../command.ts';
import { CONFIG_FILE } from '../config.ts';
import type { Context } from '../context.ts';
import { usageFinding } from '../failure.ts';
import { countOf, tableText, type CommandResult, type Style } from '../output.ts';
import { refusedResult } from '../walk-output.ts';
import { writeProject } from '../write-project.ts';

interface AdoptFlags extends Partial<AdoptHistoryFlags> {
  readonly schema?: readonly string[];
  readonly out?: string;
  readonly command?: string;
  readonly lines?: true;
  readonly plain?: true;
}

/** `varve adopt` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve adopt --db postgres://localhost/lab --out lab',
    `varve adopt --db postgres://localhost/lab --schema lab --command 'python3 -m lab.make'`,
    'varve adopt --db postgres://localhost/shop --plain --json',
    'varve adopt --migrations db/migration',
    'varve adopt --migrations sql --tool sql --all-applied',
  ])
    .option('--schema <schema...>', 'only these; default: all but those of the system and of varve')
    .option('--out <folder>', 'where the project is written; default: this folder')
    .option('--command <program>', 'the outside program that makes are, given the table as its last argument')
    .option('--lines', 'that program stays, and is told a key on each line')
    .option('--plain', 'take names as they are: no tiers and parts by the conventions of DataJoint')
    .option('--migrations <folder>', 'instead: what another migration tool has applied, as history')
    .addOption(new Option('--tool <name>', 'with --migrations: whose folder it is').choices([...TOOL_NAMES]))
    .option(
      '--history-table <name>',
      "with --migrations: the tool's table as schema.table, if not the usual one",
    )
    .option('--all-applied', 'with --migrations: no table says so, and every file was applied')
    .action(act(run, { db: true }));
}

async function run(context: Context, flags: AdoptFlags): Promise<CommandResult> {
  const stray = strayFlag(flags);
  if (stray !== undefined) return refusedResult([stray]);
  const { migrations, ...rest } = flags;
  return migrations === undefined
    ? adoptTables(context, flags)
    : adoptHistoryCommand(context, { ...rest, migrations });
}

/** An option of one of the two ways that is given with the other is refused, never ignored. */
function strayFlag(flags: AdoptFlags): ReturnType<typeof usageFinding> | undefined {
  const isHistory = flags.migrations !== undefined;
  const others = isHistory
    ? (['schema', 'out', 'command', 'lines', 'plain'] as const)
    : (['tool', 'historyTable', 'allApplied'] as const);
  const name = others.find((each) => flags[each] !== undefined);
  if (name === undefined) return undefined;
  const option = `--${name.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`;
  return isHistory
    ? usageFinding(`${option} and --migrations at once`, 'Adopt tables and history with a call each.')
    : usageFinding(`${option} without --migrations`, 'Name the folder: --migrations FOLDER.');
}

async function adoptTables(context: Context, flags: AdoptFlags): Promise<CommandResult> {
  const { io, options } = context;
  const address = options.db;
  if (address === undefined) {
    const hint = 'Write --db postgres://user@host:5432/name or --db embedded:FOLDER.';
    return refusedResult([usageFinding('the database to adopt is not named', hint)]);
  }
  const dir = resolve(io.workingDir, flags.out ?? '.');
  if (existsSync(join(dir, CONFIG_FILE))) return refusedResult([projectExists(dir)]);
  const program = flags.command === undefined ? undefined : programWords(flags.command);
  if (program?.length === 0) {
    return refusedResult([
      usageFinding('--command names no program', "Write --command 'python3 -m lab.make'."),
    ]);
  }
  const { adoptDefinitions } = await import('../../evolution/index.ts');
  const result = await adoptDefinitions(await context.store(), {
    ...(flags.schema === undefined ? {} : { schemas: flags.schema }),
    ...(program === undefined ? {} : { command: program }),
    mode: flags.lines === undefined ? 'once' : 'lines',
    conventions: flags.plain === undefined,
    store: storeText(address, dir, io.workingDir),
  });
  if (result.status === 'refused') return refusedResult(result.findings);
  return written(result, dir, io.workingDir, address);
}

function projectExists(dir: string): ReturnType<typeof refusal> {
  return refusal('files_exist', dir, {
    detail: { files: [CONFIG_FILE] },
    hint: 'Name another folder with --out: nothing is ever overwritten.',
  });
}

/** An address may hold a password, so it is named by its environment variable. */
function storeText(address: string, dir: string, workingDir: string): string {
  const folder = /^embedded:(?<folder>.+)$/u.exec(address)?.groups?.['folder'];
  return folder === undefined
    ? "{ postgres: { urlFrom: 'DATABASE_URL' } }"
    : `{ embedded: ${JSON.stringify(relative(dir, resolve(workingDir, folder))).replaceAll('"', "'")} }`;
}

/** The words of a program and its arguments; quotes keep spaces. */
function programWords(text: string): readonly string[] {
  const words = text.match(/(?:[^\s'"]|'[^']*'|"[^"]*")+/gu) ?? [];
  return words.map((word) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/gu, (_, one?: string, two?: string) => one ?? two ?? ''),
  );
}

async function written(
  result: Extract<AdoptResult, { readonly status: 'ok' }>,
  dir: string,
  workingDir: string,
  address: string,
): Promise<CommandResult> {
  const project = await writeProject(dir, result.files, workingDir);
  if (project.status === 'refused') return refusedResult(project.findings);
  const next = [
    ...project.next,
    ...(address.startsWith('embedded:') ? [] : ['export DATABASE_URL=...']),
    'npx varve plan --adopt',
    'npx varve apply',
  ];
  const { tables, skipped, findings } = result;
  return {
    status: 'ok',
    findings,
    fields: { dir, files: project.files, tables, skipped, next },
    text: (style) =>
      [
        tablesText(style, tables),
        ...(skipped.length === 0
          ? []
          : [`left alone: ${skipped.join(', ')}, kept by another program for itself`]),
        ...(findings.length === 0
          ? []
          : [`${countOf(findings.length, 'thing')} that definitions do not say: see above`]),
        '',
        ...project.files.map((name) => `wrote  ${name}`),
        '',
        'The database is as it was. Next:',
        ...next.map((line) => `  ${line}`),
      ].join('\n'),
  };
}

function tablesText(style: Style, tables: readonly AdoptedTable[]): string {
  return tableText(
    style,
    [{ head: 'table' }, { head: 'tier' }, { head: 'stands as' }],
    tables.map(({ table, tier, standsAs }) => [table, tier, standsAs]),
  );
}

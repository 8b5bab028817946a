import { Command, Option } from 'commander';
import { COMMANDS } from './command-table.ts';
import type { Act, CommandEntry, Honours } from './command.ts';
import { createContext, type Context, type GlobalOptions } from './context.ts';
import { exitStatus, failureResult, findingsText, isHelp, usageFinding } from './failure.ts';
import { processIo, type Io } from './io.ts';
import { kindsOf, type KindsOf } from './kinds.ts';
import { release } from './release.ts';
import { resultJson, streamStyle, type CommandResult } from './output.ts';

/** What the command line is made of; the default is all of varve. */
export interface MainParts {
  readonly commands?: readonly CommandEntry[];
  readonly kinds?: KindsOf;
}

/**
 * Runs one command line and returns the exit status; `process.exitCode` is left to the binary.
 *
 * Shape: `main(['trace', 'lab.scan', '--json'])` resolves to 0.
 * Invariant: nothing is thrown; with `--json` exactly one object reaches standard output.
 */
export async function main(
  argv: readonly string[],
  io: Io = processIo(),
  { commands = COMMANDS, kinds = kindsOf }: MainParts = {},
): Promise<number> {
  let result: CommandResult | undefined;
  const format = { json: argv.includes('--json'), quiet: argv.includes('--quiet') };
  try {
    const program = await buildProgram(argv, { io, commands, kinds }, (made) => (result = made));
    await program.parseAsync(argv.length === 0 ? ['--help'] : [...argv], { from: 'user' });
  } catch (thrown) {
    if (isHelp(thrown)) return 0;
    if (io.env['VARVE_DEBUG'] && thrown instanceof Error) io.stderr(`${thrown.stack ?? ''}\n`);
    result = failureResult(thrown);
  }
  if (result === undefined) return 0;
  print(io, result, format);
  return exitStatus(result);
}

async function buildProgram(
  argv: readonly string[],
  { io, commands, kinds }: Required<MainParts> & { readonly io: Io },
  finish: (result: CommandResult) => void,
): Promise<Command> {
  const program = globalProgram(io);
  const called = globalProgram(io).parseOptions([...argv]).operands[0];
  const act = actWith(program, (options) => createContext(io, options, kinds), finish);
  for (const entry of commands) {
    const command = program.command(entry.name).description(entry.summary);
    // `varve help NAME` shows that command, so its file is needed too.
    if (entry.name === called || called === 'help') (await entry.load()).register(command, act);
  }
  return program;
}

/** The program with the options every command understands. */
function globalProgram(io: Io): Command {
  return new Command('varve')
    .description('Changes the shape of a data system that already holds data, and keeps its history.')
    .version(release(), '--version', 'show the release')
    .option('--project <dir>', 'the project; default: the nearest varve.config.ts upward')
    .option('--store <name>', 'a store of the project')
    .option('--db <url>', 'a database without a project: postgres://... or embedded:FOLDER')
    .addOption(new Option('--env <name>', 'the environment').choices(['dev', 'stage', 'prod']).default('dev'))
    .option('--branch <name>', 'work on a branch')
    .option('--json', 'print one JSON object', false)
    .option('--quiet', 'print the result and errors only', false)
    .option('--yes', 'answer every question with yes', false)
    .helpOption('--help', 'show what is understood')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: io.stdout,
      // Errors are printed as findings, once, by `print`.
      writeErr: () => undefined,
      getOutHelpWidth: () => io.columns,
      getErrHelpWidth: () => io.columns,
      getOutHasColors: () => false,
    })
    .addHelpText(
      'after',
      '\nExample:\n  varve cascade lab.mouse --where "mouse_id = 1" --db postgres://localhost/lab',
    )
    .allowExcessArguments(false)
    .exitOverride();
}

function actWith(
  program: Command,
  contextOf: (options: GlobalOptions) => Context,
  finish: (result: CommandResult) => void,
): Act {
  return (work, honours = {}) =>
    async (...given) => {
      const options = program.opts<GlobalOptions>();
      const refused = refuseUnhonoured(options, honours);
      if (refused !== undefined) return finish(refused);
      await using context = contextOf(options);
      finish(await work(context, ...given));
    };
}

function refuseUnhonoured(options: GlobalOptions, honours: Honours): CommandResult | undefined {
  const unhonoured = (['branch', 'db'] as const).find(
    (name) => options[name] !== undefined && honours[name] !== true,
  );
  if (unhonoured === undefined) return undefined;
  const finding = usageFinding(`this command cannot follow --${unhonoured}`, `Leave --${unhonoured} out.`);
  return { status: 'refused', findings: [finding] };
}

interface OutputFormat {
  readonly json: boolean;
  readonly quiet: boolean;
}

function print(io: Io, result: CommandResult, { json, quiet }: OutputFormat): void {
  if (json) return io.stdout(`${resultJson(result)}\n`);
  const text = result.text?.(streamStyle(io, 'stdout'));
  if (text !== undefined && text !== '') io.stdout(`${text}\n`);
  const findings = (result.findings ?? []).filter(({ severity }) => !quiet || severity === 'error');
  io.stderr(findingsText(streamStyle(io, 'stderr'), findings));
}

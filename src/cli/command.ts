import type { Command } from 'commander';
import type { Context } from './context.ts';
import type { CommandResult } from './output.ts';

/**
 * Makes a commander action of a function that takes the context, then what commander hands over (arguments, options),
 * and returns what is to be printed.
 */
export type Act = <A extends readonly unknown[]>(
  work: (context: Context, ...given: A) => Promise<CommandResult>,
  honours?: Honours,
) => (...given: A) => Promise<void>;

/** Global options that not every command can follow: one that is given and not followed is refused, never ignored. */
export interface Honours {
  readonly branch?: boolean;
  readonly db?: boolean;
}

/** What a file of `command/` exports: how the command is called, and what it does. */
export interface CommandModule {
  /**
   * Adds arguments, options and the action to the command, or subcommands with theirs.
   *
   * Example:
   * ```text
   * export function register(command: Command, act: Act): void {
   *   withExamples(command, ['varve trace lab.scan --where "scan_id = 7"'])
   *     .argument('<table>')
   *     .action(act(run, { db: true }));
   * }
   * ```
   */
  readonly register: (command: Command, act: Act) => void;
}

/** A command before its file is loaded: enough for `varve --help`. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

/** Adds examples to a command's help. */
export function withExamples(command: Command, examples: readonly [string, ...string[]]): Command {
  return command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`);
}

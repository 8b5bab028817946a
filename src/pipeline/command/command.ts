import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { definitionError } from '../definition-error.ts';
import { filePathOf } from '../code/resolve-module.ts';
import type { AnyMake, TableDefinition } from '../table.ts';

/**
 * A make that is an outside command: a program in any language, which is given one key and its declared reads as JSON on
 * stdin and prints the rows as JSON.
 *
 * Its rows are checked against the columns of its table when they come, as those of any make; the compiler knows nothing
 * of them.
 */
export interface CommandMake {
  (inputs: unknown, context: unknown): Promise<never>;
  readonly command: CommandSettings;
}

/** What is started, and how it is spoken to. */
export interface CommandSettings {
  /** The program and its arguments; no shell reads them. */
  readonly argv: readonly string[];
  readonly mode: CommandMode;
  /** Further files that its result depends on, as globs from the project folder. */
  readonly files: readonly string[];
}

/** `once`: a process for each key; `lines`: one process for many, a line for each. */
export type CommandMode = 'once' | 'lines';

/** How a command is run, and what it is made of. */
export interface CommandOptions {
  /**
   * Default `once`: a process for each key, which reads one JSON object to the end of its stdin and prints its rows. With
   * `lines` a process stays: each line of its stdin is a key, each line that it prints the answer. Starting a process
   * costs some 30 ms in Python, so use it where keys are many.
   */
  readonly mode?: CommandMode;
  /**
   * Globs, from the project folder, of files that the result depends on: an edit of one of them makes results stale. Files
   * that the arguments name, also as `python -m`, are watched without it; what those import is not.
   */
  readonly files?: readonly string[];
}

/**
 * Makes a make of an outside command. It runs in the project folder; varve gives it nothing but its key and declared
 * reads, but does not keep it from the network or from a database.
 *
 * Shape on stdin: `{ "table": "lab.score", "key": { "scan": 7 }, "reads": { "scan": { "scan": 7, "depth": 1.5 } }, "now": "2026-05-12T09:14:07.000000Z", "seed": 2873465 }`;
 * bigint and numeric are text, so that no digit is lost, bytes are `"\\x00ff"`, a read of several rows is a list.
 * Shape on stdout: a row, `{ "score": 30.75 }`, or a list of rows; `parts` as a make returns them. The key may be left out.
 * With mode `lines` the answer is a line: `{ "rows": ... }` with the same, or `{ "error": "what was wrong" }`.
 * Errors: throws `definition_invalid` for arguments that cannot be started.
 * Example:
 * ```ts
 * import { command, pipeline, t } from 'varve/pipeline';
 * const lab = pipeline('lab');
 * const Scan = lab.manual('scan', { key: { scan: t.integer() }, columns: { depth: t.double() } });
 * const Score = lab.computed('score', {
 *   parents: [Scan],
 *   columns: { score: t.double() },
 *   reads: { scan: Scan },
 *   make: command(['python3', '-m', 'lab.make'], { mode: 'lines', files: ['lab/*.py'] }),
 * });
 * console.log(Score.spec.form); // make
 * ```
 */
export function command(argv: readonly string[], options: CommandOptions = {}): CommandMake {
  const { mode = 'once', files = [] } = options;
  const settings: CommandSettings = Object.freeze({ argv: [...argv], mode, files: [...files] });
  assertSettings(settings);
  const make = (): Promise<never> => {
    throw definitionError(
      argv.join(' '),
      'an outside command was called like a function',
      'Leave the calling to populate.',
    );
  };
  return Object.freeze(Object.assign(make, { command: settings }));
}

function assertSettings({ argv, mode, files }: CommandSettings): void {
  const isText = (value: unknown): boolean =>
    typeof value === 'string' && value.isWellFormed() && !value.includes('\0');
  if (argv.length === 0 || argv[0] === '' || !argv.every(isText)) {
    throw definitionError(
      'command',
      'it is no list of a program and its arguments',
      "Write command(['python3', '-m', 'lab.make']).",
    );
  }
  if (!['once', 'lines'].includes(mode)) {
    throw definitionError('command', `it has no mode "${mode}"`, "Write mode: 'once' or 'lines'.");
  }
  if (!files.every(isText)) {
    throw definitionError('command', '`files` is no list of globs', "Write files: ['lab/**/*.py'].");
  }
}

/** The outside command that a make is; undefined for a function of the project. */
export function commandOf(make: AnyMake | undefined): CommandSettings | undefined {
  return make !== undefined && 'command' in make ? (make as CommandMake).command : undefined;
}

/** The folder that a command runs in: that of the project's configuration, or the present one where there is none. */
export function commandFolder({ file }: Pick<TableDefinition, 'file'>): string {
  if (file === undefined) return process.cwd();
  for (let folder = dirname(filePathOf(file)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, CONFIG_FILE))) return folder;
    if (dirname(folder) === folder) return process.cwd();
  }
}

const CONFIG_FILE = 'varve.config.ts';

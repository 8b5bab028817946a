// What tells the story: words, commands with their real output, and what each of them has to show.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { stripVTControlCharacters, styleText } from 'node:util';

/** A place to tell a story: one project folder, one store. */
export interface Stage {
  readonly say: (text: string) => void;
  /** Shows a line as typed, for what is done beside varve. */
  readonly type: (line: string) => void;
  /** Runs `varve ...` in the project and returns what it printed, without colours. Throws where it does not end well. */
  readonly varve: (argv: readonly string[]) => Promise<string>;
  /** Throws where something is not as told. */
  readonly expect: (told: string, holds: boolean) => void;
}

/** Something is not as the story tells it. */
class StoryBroken extends Error {
  override readonly name = 'StoryBroken';
}

/** Opens the stage in a project folder; `store` is a store of its configuration. */
export function openStage(projectFolder: string, store: string | undefined): Stage {
  const storeFlags = store === undefined ? [] : ['--store', store];
  return {
    say: (text) => console.log(`\n${paint('cyan', text)}`),
    type,
    varve: async (argv) => {
      const line = [...argv, ...storeFlags];
      type(['varve', ...line].map(quoted).join(' '));
      const { status, output } = await runCommand(line, projectFolder);
      if (status !== 0) throw new StoryBroken(`varve ${argv[0] ?? ''} ended with exit status ${status}`);
      return output;
    },
    expect: (told, holds) => {
      if (!holds) throw new StoryBroken(`not as told: ${told}`);
    },
  };
}

/** The numbers in a table's line of a printed table. */
export function numbersOf(output: string, table: string): readonly number[] {
  const line = output.split('\n').find((each) => each.startsWith(`${table} `)) ?? '';
  return line
    .split(/\s+/)
    .filter((cell) => /^[\d,]+$/.test(cell))
    .map((cell) => Number(cell.replaceAll(',', '')));
}

function type(line: string): void {
  console.log(`\n${paint('bold', `$ ${line}`)}`);
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

async function runCommand(argv: readonly string[], cwd: string): Promise<Ended> {
  const child = fork(join(import.meta.dirname, 'command.ts'), argv, { cwd, stdio: 'inherit' });
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  let output = '';
  child.on('message', (text) => (output = stripVTControlCharacters(text as string)));
  child.on('error', reject);
  child.on('close', (status) => resolve({ status, output }));
  return promise;
}

function quoted(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word}'`;
}

function paint(style: 'bold' | 'cyan', text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

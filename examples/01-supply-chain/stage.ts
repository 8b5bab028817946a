// What tells the story: words, commands with their real output, and what each has to show.
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { stripVTControlCharacters, styleText } from 'node:util';

/** What a command printed, without colours, and its exit status. */
export interface Shown {
  readonly status: number;
  readonly output: string;
}

/** A place to tell a story: one project folder, one store. */
export interface Stage {
  readonly say: (text: string) => void;
  /** Shows a line as typed, for what is done beside varve. */
  readonly type: (line: string) => void;
  /** Runs `varve ...` in the project. Throws where the exit status is not the one that is told. */
  readonly varve: (argv: readonly string[], wanted?: { readonly status: number }) => Promise<Shown>;
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
    varve: async (argv, wanted = { status: 0 }) => {
      type(['varve', ...argv, ...storeFlags].map(quoted).join(' '));
      const shown = await runCommand([...argv, ...storeFlags], projectFolder);
      if (shown.status === wanted.status) return shown;
      throw new StoryBroken(`exit status ${shown.status} instead of ${wanted.status}`);
    },
    expect: (told, holds) => {
      if (!holds) throw new StoryBroken(`not as told: ${told}`);
    },
  };
}

function type(line: string): void {
  console.log(`\n${paint('bold', `$ ${line}`)}`);
}

async function runCommand(argv: readonly string[], cwd: string): Promise<Shown> {
  const child = fork(join(import.meta.dirname, 'command.ts'), argv, { cwd, stdio: 'inherit' });
  const { promise, resolve, reject } = Promise.withResolvers<Shown>();
  let output = '';
  child.on('message', (text) => {
    if (typeof text === 'string') output = stripVTControlCharacters(text);
  });
  child.on('error', reject);
  child.on('close', (status) => resolve({ status: status ?? -1, output }));
  return promise;
}

function quoted(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word}'`;
}

function paint(style: 'bold' | 'cyan', text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

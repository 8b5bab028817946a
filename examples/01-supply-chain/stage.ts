// What tells the story: words, commands with their real output, and what each of them has to show.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { stripVTControlCharacters, styleText } from 'node:util';

/** A place to tell a story: one project folder, one store. */
export interface Stage extends AsyncDisposable {
  readonly say: (text: string) => void;
  /** Shows a line as typed, for what is done beside varve. */
  readonly type: (line: string) => void;
  /** Runs `varve ...` in the project and returns what it printed, without colours. Throws where it does not end well. */
  readonly varve: (argv: readonly string[]) => Promise<string>;
  /** The same for a command that has to end with another exit status: 3 is a refusal, 4 a run that was taken back. */
  readonly refuses: (argv: readonly string[], status: number) => Promise<string>;
  /** To be called after an edit of the project's files. */
  readonly edited: () => Promise<void>;
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
  let session: ChildProcess | undefined;
  const end = async (): Promise<void> => {
    const ended = session === undefined ? undefined : once(session, 'exit');
    session?.disconnect();
    session = undefined;
    await ended;
  };
  const run = async (argv: readonly string[], wanted: number): Promise<string> => {
    const line = [...argv, ...storeFlags];
    type(['varve', ...line].map(quoted).join(' '));
    session ??= fork(join(import.meta.dirname, 'session.ts'), { cwd: projectFolder, stdio: 'inherit' });
    const { status, output } = await runCommand(session, line);
    if (status !== wanted) throw new StoryBroken(`varve ${argv[0] ?? ''} ended with exit status ${status}`);
    return output;
  };
  return {
    say: (text) => console.log(`\n${paint('cyan', text)}`),
    type,
    varve: (argv) => run(argv, 0),
    refuses: run,
    edited: end,
    expect: (told, holds) => {
      if (!holds) throw new StoryBroken(`not as told: ${told}`);
    },
    [Symbol.asyncDispose]: end,
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

async function runCommand(session: ChildProcess, argv: readonly string[]): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const onExit = (status: number | null): void => resolve({ status, output: '' });
  session.once('error', reject).once('exit', onExit);
  session.once('message', (ended) => resolve(ended as Ended));
  session.send(argv);
  try {
    const { status, output } = await promise;
    return { status, output: stripVTControlCharacters(output) };
  } finally {
    session.off('error', reject).off('exit', onExit);
  }
}

function quoted(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word}'`;
}

function paint(style: 'bold' | 'cyan', text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

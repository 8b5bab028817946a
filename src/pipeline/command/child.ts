/**
 * A started command: a process at the head of a group of its own, so that what it starts in turn ends with it, and a
 * Ctrl-C meant for varve does not reach it.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { VarveError } from '../../base/index.ts';

/** Where and with what a command is started. */
export interface ChildOptions {
  readonly argv: readonly string[];
  readonly folder: string;
}

/** So much of what it prints on stderr is kept: the end of it, where programs say what stopped them. */
const SAID_CHARACTERS = 4_000;

/** One process. */
export class Child {
  readonly process: ChildProcessWithoutNullStreams;
  /** Settles when it has ended, with how; or could not be started. */
  readonly ended: Promise<ChildEnd>;
  #said = '';
  #hasEnded = false;

  constructor({ argv, folder }: ChildOptions) {
    const [program = '', ...rest] = argv;
    this.process = spawn(program, rest, {
      cwd: folder,
      // A hash of Python that changes by itself would make equal keys give different rows.
      env: { PYTHONHASHSEED: '0', PYTHONUNBUFFERED: '1', ...process.env },
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    const { stdin, stderr } = this.process;
    // A command may end without reading all it was given; that is for its status to tell.
    stdin.on('error', () => undefined);
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = `${this.#said}${text}`.slice(-SAID_CHARACTERS);
    });
    children.add(this);
    watchExit();
    this.ended = new Promise((resolve) => {
      this.process.once('error', (error) => resolve(this.#end({ kind: 'unstartable', error })));
      this.process.once('close', (status, signal) => resolve(this.#end({ kind: 'ended', status, signal })));
    });
  }

  #end(end: ChildEnd): ChildEnd {
    this.#hasEnded = true;
    children.delete(this);
    return end;
  }

  get hasEnded(): boolean {
    return this.#hasEnded || this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** What it said on stderr since this was last asked. */
  takeSaid(): string {
    const said = this.#said;
    this.#said = '';
    return said.trim();
  }

  /** Ends it and all that it started, at once. */
  kill(): void {
    const { pid } = this.process;
    if (pid === undefined) return;
    try {
      if (process.platform === 'win32') this.process.kill('SIGKILL');
      else process.kill(-pid, 'SIGKILL');
    } catch {
      // Nobody of the group is left.
      return;
    }
  }

  /** Whether this process waits for it: one that has nothing to do must not keep the program from ending. */
  hold(isHeld: boolean): void {
    const { stdin, stdout, stderr } = this.process;
    for (const each of [this.process, stdin, stdout, stderr] as readonly Partial<Holding>[]) {
      if (isHeld) each.ref?.();
      else each.unref?.();
    }
  }
}

interface Holding {
  readonly ref: () => void;
  readonly unref: () => void;
}

/** How a process ended. */
export type ChildEnd =
  | { readonly kind: 'ended'; readonly status: number | null; readonly signal: string | null }
  | { readonly kind: 'unstartable'; readonly error: Error };

const children = new Set<Child>();
let isWatched = false;

/** No command outlives the program that started it. */
function watchExit(): void {
  if (isWatched) return;
  isWatched = true;
  process.on('exit', () => {
    for (const child of children) child.kill();
  });
}

/** What a key fails with whose command ended so; its own words are the stack, which stays in the database. */
export function endError(argv: readonly string[], end: ChildEnd, said: string): Error {
  if (end.kind === 'unstartable') {
    return new VarveError('command_unavailable', {
      detail: { command: argv[0] ?? '', reason: reasonOf(end.error) },
      hint: 'Install the program, or correct the first argument of `command`. It is looked for as the shell would: by PATH, or by its path from the project folder.',
    });
  }
  const how = end.signal === null ? `with status ${String(end.status)}` : `by ${end.signal}`;
  return commandError(argv, `the command ended ${how}`, said);
}

function reasonOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : 'it cannot be started';
}

/** A failure of the command itself; its last line says most. */
export function commandError(argv: readonly string[], what: string, said: string): Error {
  const last = said.split('\n').at(-1)?.trim() ?? '';
  const error = new CommandFailure(last === '' ? what : `${what}: ${last.slice(0, 500)}`);
  error.stack = [`${argv.join(' ')}: ${what}`, ...(said === '' ? [] : [said])].join('\n');
  return error;
}

/** What a make throws is no error of varve's: it is recorded as the words of the make. */
class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
}

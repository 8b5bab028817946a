/** Runs an outside command for one key: in a process of its own, or by a line to one that stays. */
import type { Key } from '../key-source.ts';
import type { MakeContext } from '../make-context.ts';
import type { AnyTable } from '../table.ts';
import { Child, commandError, endError, type ChildEnd } from './child.ts';
import { commandFolder, type CommandSettings } from './command.ts';
import { readAnswer, readRows, requestText } from './message.ts';

/** More than this printed for one key is no result. */
const MOST_CHARACTERS = 64 * 1024 * 1024;

/** The key, its inputs, and what ends it. */
export interface CommandCall {
  readonly key: Key;
  readonly values: Readonly<Record<string, unknown>>;
  readonly context: MakeContext;
}

/**
 * What the command makes of one key, as a make would have returned it.
 *
 * Errors: throws `command_unavailable` where the program cannot be started; else what the command said.
 */
export async function runCommand(
  settings: CommandSettings,
  table: AnyTable,
  call: CommandCall,
): Promise<readonly unknown[]> {
  const { key, values, context } = call;
  const request = requestText({
    table: table.spec.name,
    key,
    reads: values,
    now: context.now,
    seed: Math.floor(context.random() * 4294967296),
  });
  const turn: Turn = { settings, table, request, context };
  return settings.mode === 'once' ? runOnce(turn) : runLine(turn);
}

interface Turn {
  readonly settings: CommandSettings;
  readonly table: AnyTable;
  readonly request: string;
  readonly context: MakeContext;
}

async function runOnce({ settings, table, request, context }: Turn): Promise<readonly unknown[]> {
  const { argv } = settings;
  const child = new Child({ argv, folder: commandFolder(table.definition) });
  using _ = killedBy(context.signal, child);
  const printed = new Printed(child);
  child.process.stdin.end(`${request}\n`);
  const end = await child.ended;
  const said = child.takeSaid();
  if (printed.isTooMuch) throw commandError(argv, TOO_MUCH, said);
  if (end.kind !== 'ended' || end.status !== 0) throw endError(argv, end, said);
  logSaid(context, said);
  try {
    return readRows(table, printed.text);
  } catch {
    const what = printed.text.trim() === '' ? 'nothing' : 'no JSON';
    throw commandError(argv, `the command printed ${what} on stdout`, said);
  }
}

const TOO_MUCH = 'the command printed more than 64 Mi characters for one key';

/** All that a process prints, as far as it is not too much. */
class Printed {
  isTooMuch = false;
  readonly #pieces: string[] = [];
  #characters = 0;

  constructor(child: Child) {
    child.process.stdout.setEncoding('utf8').on('data', (piece: string) => {
      this.#characters += piece.length;
      this.isTooMuch ||= this.#characters > MOST_CHARACTERS;
      if (this.isTooMuch) child.kill();
      else this.#pieces.push(piece);
    });
  }

  get text(): string {
    return this.#pieces.join('');
  }
}

function killedBy(signal: AbortSignal, child: Child): Disposable {
  const kill = (): void => child.kill();
  if (signal.aborted) kill();
  signal.addEventListener('abort', kill, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', kill) };
}

/** What a program says of a key that went well goes to the log, a line at a time. */
function logSaid({ log }: MakeContext, said: string): void {
  if (said !== '') said.split('\n').forEach((line) => log(line));
}

async function runLine({ settings, table, request, context }: Turn): Promise<readonly unknown[]> {
  const { argv } = settings;
  const folder = commandFolder(table.definition);
  const pool = poolOf(argv, folder);
  const speaker = pool.take() ?? new Speaker(new Child({ argv, folder }));
  const { child } = speaker;
  using _ = killedBy(context.signal, child);
  const reply = await speaker.ask(request);
  // Whoever says something else than one line an answer is not waited for again: no answer could be told from another.
  if (reply.kind === 'ended') throw endError(argv, reply.end, child.takeSaid());
  if (reply.kind === 'too much') throw speaker.failed(argv, TOO_MUCH);
  const answer = readAnswer(table, reply.line);
  if (answer === undefined) {
    throw speaker.failed(
      argv,
      'the command printed a line that is neither {"rows": ...} nor {"error": "..."}',
    );
  }
  const said = child.takeSaid();
  pool.giveBack(speaker);
  if ('error' in answer) throw commandError(argv, answer.error.slice(0, 2_000), said);
  logSaid(context, said);
  return answer.rows;
}

type Reply =
  | { readonly kind: 'line'; readonly line: string }
  | { readonly kind: 'too much' }
  | { readonly kind: 'ended'; readonly end: ChildEnd };

/** A process that stays, and answers one line for each. */
class Speaker {
  readonly child: Child;
  #pieces: string[] = [];
  #characters = 0;
  #answer: ((reply: Reply) => void) | undefined;

  constructor(child: Child) {
    this.child = child;
    child.process.stdout.setEncoding('utf8').on('data', (piece: string) => this.#hear(piece));
    void child.ended.then((end) => this.#settle({ kind: 'ended', end }));
  }

  async ask(request: string): Promise<Reply> {
    this.child.hold(true);
    const reply = new Promise<Reply>((resolve) => (this.#answer = resolve));
    if (this.child.hasEnded) void this.child.ended.then((end) => this.#settle({ kind: 'ended', end }));
    this.child.process.stdin.write(`${request}\n`);
    return reply;
  }

  failed(argv: readonly string[], what: string): Error {
    this.child.kill();
    return commandError(argv, what, this.child.takeSaid());
  }

  #hear(piece: string): void {
    const at = piece.indexOf('\n');
    this.#pieces.push(at < 0 ? piece : piece.slice(0, at));
    this.#characters += piece.length;
    if (this.#characters > MOST_CHARACTERS) return this.#settle({ kind: 'too much' });
    if (at < 0) return;
    const line = this.#pieces.join('');
    this.#pieces = [];
    this.#characters = 0;
    // What follows an answer before the next question belongs to no key.
    const isAsked = this.#answer !== undefined && piece.slice(at + 1).trim() === '';
    if (isAsked) this.#settle({ kind: 'line', line });
    else this.#settle({ kind: 'line', line: '' });
    if (!isAsked) this.child.kill();
  }

  #settle(reply: Reply): void {
    this.#answer?.(reply);
    this.#answer = undefined;
  }
}

const IDLE_MS = 10_000;
const pools = new Map<string, Pool>();

function poolOf(argv: readonly string[], folder: string): Pool {
  const name = JSON.stringify([argv, folder]);
  const pool = pools.get(name) ?? new Pool();
  pools.set(name, pool);
  return pool;
}

/** The processes of one command that have nothing to do. They end when that lasts. */
class Pool {
  readonly #idle: Speaker[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  take(): Speaker | undefined {
    for (let speaker = this.#idle.pop(); speaker !== undefined; speaker = this.#idle.pop()) {
      if (!speaker.child.hasEnded) return speaker;
    }
    return undefined;
  }

  giveBack(speaker: Speaker): void {
    speaker.child.hold(false);
    this.#idle.push(speaker);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(), IDLE_MS);
    this.#timer.unref();
  }

  /** Its input ends, which tells a process to go; all that is left of it goes a moment later. */
  end(): void {
    clearTimeout(this.#timer);
    for (const { child } of this.#idle.splice(0)) {
      child.process.stdin.end();
      setTimeout(() => child.kill(), GRACE_MS).unref();
    }
  }
}

const GRACE_MS = 1_000;

/** Ends the processes of all commands that wait for a line. */
export function endIdleCommands(): void {
  for (const pool of pools.values()) pool.end();
}

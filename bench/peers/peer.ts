/** A process that does what it is told on its stdin and answers on its stdout, a JSON value a line. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { VarveError, type JsonObject } from '../../src/base/index.ts';

/** What to do; `do` is the verb, the rest its arguments. */
export interface Task extends JsonObject {
  readonly do: string;
}

/** One side of a comparison. */
export interface Peer extends AsyncDisposable {
  readonly processId: number;
  /** Errors: throws `internal` when the process ends or fails; what it said is on stderr. */
  readonly ask: <Answer>(task: Task) => Promise<Answer>;
}

/** How a peer is started. */
export interface PeerOptions {
  readonly command: string;
  readonly arguments: readonly string[];
  /** The database it works on. */
  readonly url: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts a peer; one task at a time. */
export function startPeer(options: PeerOptions): Peer {
  const child = spawn(options.command, options.arguments, {
    env: { ...process.env, ...options.environment, VARVE_BENCH_URL: options.url },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = Promise.race([once(child, 'exit'), once(child, 'error')]);
  // What is written to a process that has ended is lost; the answer that does not come says so.
  child.stdin.on('error', () => undefined);
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    processId: child.pid ?? 0,
    ask: async <Answer>(task: Task) => {
      child.stdin.write(`${JSON.stringify(task)}\n`);
      const answer = await answers.next();
      if (answer.done === true) {
        throw new VarveError('internal', {
          detail: { command: options.command, task: task.do },
          hint: 'A process of the comparison ended early. See what it wrote above.',
        });
      }
      return JSON.parse(answer.value) as Answer;
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

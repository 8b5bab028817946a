import { createInterface } from 'node:readline/promises';

/** What the command line reads from and writes to: an argument, so that a test can hold all of it. */
export interface Io {
  /** Writes to standard output: the result, nothing else. */
  readonly stdout: (text: string) => void;
  /** Writes to standard error: progress, warnings, questions, failures. */
  readonly stderr: (text: string) => void;
  readonly isTerminal: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  /** Width of the terminal in characters. */
  readonly columns: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workingDir: string;
  /** Milliseconds from any fixed point, never going back. */
  readonly monotonicMs: () => number;
  /** The bytes of standard input. */
  readonly stdin: () => AsyncIterable<Uint8Array>;
  /** Asks on standard error and returns the line typed. */
  readonly ask: (question: string) => Promise<string>;
  /** Calls the listener on each Ctrl-C; returns what takes it away again. */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** Ends the process at once. */
  readonly exit: (status: number) => void;
}

/** This process. */
export function processIo(): Io {
  return {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    isTerminal: {
      stdin: process.stdin.isTTY,
      stdout: process.stdout.isTTY,
      stderr: process.stderr.isTTY,
    },
    columns: process.stdout.columns || 100,
    env: process.env,
    workingDir: process.cwd(),
    monotonicMs: () => performance.now(),
    stdin: () => process.stdin,
    ask: askOnTerminal,
    onInterrupt,
    exit: (status) => process.exit(status),
  };
}

async function askOnTerminal(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await terminal.question(question);
  } finally {
    terminal.close();
  }
}

function onInterrupt(listener: () => void): () => void {
  process.on('SIGINT', listener);
  return () => void process.off('SIGINT', listener);
}

import { Readable } from 'node:stream';
import type { Io } from '../../src/cli/io.ts';

/** An `Io` that keeps what is written, with a clock and a Ctrl-C of the test's own. */
export interface CapturedIo {
  readonly io: Io;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly exits: readonly number[];
  readonly interrupt: () => void;
  readonly passMs: (durationMs: number) => void;
}

/** No terminal, 100 columns, an empty environment, unless said otherwise. */
export function capturedIo(
  given: Partial<Pick<Io, 'isTerminal' | 'env' | 'workingDir' | 'stdin' | 'ask' | 'columns'>> & {
    /** Ctrl-C comes as soon as someone listens for it. */
    readonly interruptAtOnce?: boolean;
  } = {},
): CapturedIo {
  const { interruptAtOnce, ...rest } = given;
  let stdout = '';
  let stderr = '';
  let nowMs = 0;
  const exits: number[] = [];
  const listeners = new Set<() => void>();
  const io: Io = {
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
    isTerminal: { stdin: false, stdout: false, stderr: false },
    columns: 100,
    env: {},
    workingDir: process.cwd(),
    stdin: () => Readable.from([]),
    ask: () => Promise.resolve(''),
    ...rest,
    monotonicMs: () => nowMs,
    onInterrupt: (listener) => {
      listeners.add(listener);
      if (interruptAtOnce === true) listener();
      return () => void listeners.delete(listener);
    },
    exit: (status) => void exits.push(status),
  };
  return {
    io,
    exits,
    stdout: () => stdout,
    stderr: () => stderr,
    interrupt: () => listeners.forEach((listener) => listener()),
    passMs: (durationMs) => void (nowMs += durationMs),
  };
}

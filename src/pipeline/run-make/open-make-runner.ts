import type { AnyTable } from '../table.ts';
import { inThreadRunner } from './in-thread-runner.ts';
import { isolatedRunner } from './isolated-runner.ts';
import type { MakeRunner } from './make-runner.ts';
import { workerRunner, type HostRunnerOptions } from './worker-runner.ts';

/**
 * Runs each make where its table asks for: isolated where it says `isolate: true`, else in worker threads, else, with no
 * workers, in the calling thread. Nothing is started before it is needed.
 */
export function openMakeRunner(options: HostRunnerOptions): MakeRunner {
  const { workers = 0, files } = options;
  const isolated = isolatedRunner({ ...options, workers: Math.max(workers, 1) });
  const others = workers > 0 ? workerRunner(options) : inThreadRunner({ files });
  const runnerOf = ({ definition }: AnyTable): MakeRunner => (definition.isolate ? isolated : others);
  return {
    slots: Math.max(workers, 1),
    isInCaller: workers === 0,
    isolates: true,
    run: (table, inputs, call) => runnerOf(table).run(table, inputs, call),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([isolated[Symbol.asyncDispose](), others[Symbol.asyncDispose]()]);
    },
  };
}

import type { AnyTable } from '../table.ts';
import { inThreadRunner } from './in-thread-runner.ts';
import { isolatedRunner } from './isolated-runner.ts';
import type { MakeRunner } from './make-runner.ts';
import { workerRunner, type HostRunnerOptions } from './worker-runner.ts';

/**
 * Runs each make where its table asks for: isolated where it says `isolate: true`, else in worker threads where there is
 * more than one worker, else in the calling thread. Nothing is started before it is needed.
 */
export function openMakeRunner(options: HostRunnerOptions): MakeRunner {
  const { workers = 1, files } = options;
  const isolated = isolatedRunner(options);
  const others = workers > 1 ? workerRunner(options) : inThreadRunner({ files });
  const runnerOf = ({ definition }: AnyTable): MakeRunner => (definition.isolate ? isolated : others);
  return {
    slots: workers,
    isolates: true,
    run: (table, inputs, call) => runnerOf(table).run(table, inputs, call),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([isolated[Symbol.asyncDispose](), others[Symbol.asyncDispose]()]);
    },
  };
}

import { commandOf } from '../command/command.ts';
import type { AnyTable } from '../table.ts';
import { commandRunner } from './command-runner.ts';
import { inThreadRunner } from './in-thread-runner.ts';
import { isolatedRunner } from './isolated-runner.ts';
import type { MakeRunner } from './make-runner.ts';
import { workerRunner, type HostRunnerOptions } from './worker-runner.ts';

/**
 * Runs each make where its table asks for: isolated where it says `isolate: true`, outside commands in as many processes
 * as there are workers, others in worker threads, or, with no workers, in the calling thread. Nothing is started before it
 * is needed.
 */
export function openMakeRunner(options: HostRunnerOptions): MakeRunner {
  const { workers = 0, files } = options;
  const isolated = isolatedRunner({ ...options, workers: Math.max(workers, 1) });
  const others = workers > 0 ? workerRunner(options) : inThreadRunner({ files });
  const commands = commandRunner({ slots: Math.max(workers, 1), files });
  const runnerOf = ({ definition }: AnyTable): MakeRunner => {
    if (definition.isolate) return isolated;
    return commandOf(definition.make) === undefined ? others : commands;
  };
  return {
    slots: Math.max(workers, 1),
    isInCaller: workers === 0,
    isolates: true,
    run: (table, inputs, call) => runnerOf(table).run(table, inputs, call),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([isolated, others, commands].map((runner) => runner[Symbol.asyncDispose]()));
    },
  };
}

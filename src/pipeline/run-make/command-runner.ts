import { endIdleCommands } from '../command/run-command.ts';
import { makeInThread } from './in-thread-runner.ts';
import { recordedFiles } from './key-context.ts';
import type { FileAccess, MakeResult, MakeRunner } from './make-runner.ts';

/**
 * Runs outside commands, so many at once. They compute in processes of their own, so no thread is started for them; one
 * that is killed by the end of the run leaves its key as it was.
 */
export function commandRunner(options: { readonly slots: number; readonly files: FileAccess }): MakeRunner {
  const { slots, files } = options;
  return {
    slots,
    isInCaller: false,
    isolates: false,
    run: async (table, inputs, call) => {
      const results: (MakeResult | undefined)[] = inputs.map(() => undefined);
      const making = {
        ...call,
        table: table.spec.name,
        openFiles: (reads: Parameters<typeof recordedFiles>[1]) => recordedFiles(files, reads),
      };
      const turns = inputs.entries();
      const lane = async (): Promise<void> => {
        for (const [at, input] of turns) {
          if (call.signal.aborted) return;
          [results[at]] = await makeInThread(table, [input], making);
        }
      };
      await Promise.all(Array.from({ length: Math.min(slots, inputs.length) }, lane));
      return results;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(endIdleCommands()),
  };
}

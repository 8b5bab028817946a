import { commandOf } from '../command/command.ts';
import { runCommand } from '../command/run-command.ts';
import type { MakeContext } from '../make-context.ts';
import type { AnyTable } from '../table.ts';
import type { RecordedRead } from '../write-rows.ts';
import { callMakes, type MakeCall } from './call-makes.ts';
import { KeyContext, recordedFiles, type Making } from './key-context.ts';
import type { FileAccess, MakeInput, MakeResult, MakeRunner } from './make-runner.ts';

/**
 * Runs makes in the thread that asks for them, one after the other: nothing is copied, and a trivial make costs next to
 * nothing. A make that spins after its first `await`, or ends the process, takes the run with it.
 */
export function inThreadRunner(options: { readonly files: FileAccess }): MakeRunner {
  const { files } = options;
  return {
    slots: 1,
    isInCaller: true,
    isolates: false,
    run: async (table, inputs, call) =>
      makeInThread(table, inputs, {
        ...call,
        table: table.spec.name,
        openFiles: (reads) => recordedFiles(files, reads),
      }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/**
 * Calls the makes of these keys here and now; fewer results than keys where the signal ended it. `begin` is called with
 * the place of each key before its make is.
 */
export async function makeInThread(
  table: AnyTable,
  inputs: readonly MakeInput[],
  making: Making,
  begin?: (index: number) => void,
): Promise<readonly MakeResult[]> {
  const calls = inputs.map((input, index) => {
    const call = callOf(table, input, making);
    return begin === undefined ? call : { ...call, call: announced(call, () => begin(index)) };
  });
  const outcomes = await callMakes(table, calls, making.signal);
  // A command that the end of the run killed did not fail: its key is as if its turn had not come.
  const killed = commandOf(table.definition.make) !== undefined && making.signal.aborted;
  const all = killed && outcomes.at(-1)?.status === 'failed' ? outcomes.slice(0, -1) : outcomes;
  return all.map((outcome, index) => ({ outcome, reads: calls[index]?.reads ?? [] }));
}

function announced({ call }: MakeCall, begin: () => void): () => unknown {
  return () => {
    begin();
    return call();
  };
}

interface RecordedCall extends MakeCall {
  readonly reads: readonly RecordedRead[];
}

function callOf(table: AnyTable, { key, values }: MakeInput, making: Making): RecordedCall {
  const reads: RecordedRead[] = [];
  const make = table.definition.make as unknown as (inputs: unknown, context: MakeContext) => unknown;
  const context = new KeyContext(making, key, reads);
  const outside = commandOf(table.definition.make);
  const call =
    outside === undefined
      ? (): unknown => make(values, context)
      : (): unknown => runCommand(outside, table, { key, values, context });
  return { key, reads, expire: () => context.expire(), call };
}

import { InvalidArgumentError, type Command } from 'commander';
import { restrict, trace } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import { tableGraph } from '../table-graph.ts';
import { refusedResult, walkResult } from '../walk-output.ts';
import { AND_HELP, collect, readRestrictions } from '../and-argument.ts';
import { isFinding } from '../table-argument.ts';

interface TraceFlags {
  readonly where?: string;
  readonly and?: readonly string[];
  readonly only?: readonly string[];
  readonly throughParts?: boolean;
  readonly timeout?: number;
}

/** `varve trace` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve trace lab.scan --where "scan_id = 7"',
    'varve trace lab.scan --where "scan_id < 100" --and "lab.rig where rig_id = 2"',
    'varve trace lab.scan --db postgres://localhost/lab --json',
  ])
    .argument('<table>', 'schema.table, or the bare name where one schema has it')
    .option('--where <sql>', 'a condition on the table; default: all its rows')
    .option('--and <restriction>', AND_HELP, collect)
    .option('--only <table...>', 'list these tables only')
    .option('--through-parts', 'follow a master into its parts and on to their other parents')
    .option('--timeout <seconds>', 'give up after so long', readSeconds)
    .action(
      act(
        async (context, table: string, flags: TraceFlags) => {
          const { where, and, only, throughParts, timeout = 0 } = flags;
          const others = readRestrictions(and);
          if (isFinding(others)) return refusedResult([others]);
          const store = await context.store();
          const graph = await tableGraph(context, store);
          const start = { table, ...(where === undefined ? {} : { where }) };
          const options = {
            statementTimeoutMs: timeout * 1_000,
            ...(only === undefined ? {} : { only }),
            ...(throughParts === undefined ? {} : { throughParts }),
          };
          const outcome =
            others.length === 0
              ? await trace(store, graph, start, options)
              : await restrict(graph, start, ...others).trace(store, options);
          return walkResult(outcome);
        },
        { db: true },
      ),
    );
}

/** A number of seconds of a flag; whole milliseconds of it count. */
export function readSeconds(text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0 && seconds <= 2_000_000) return seconds;
  throw new InvalidArgumentError('Not a number of seconds.');
}

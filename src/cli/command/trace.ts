import { InvalidArgumentError, type Command } from 'commander';
import { restrict, trace } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import { walkThen } from '../walk-as-of.ts';
import { refusedResult } from '../walk-output.ts';
import { AND_HELP, collect, readRestrictions } from '../and-argument.ts';
import { isFinding } from '../table-argument.ts';

interface TraceFlags {
  readonly where?: string;
  readonly and?: readonly string[];
  readonly only?: readonly string[];
  readonly throughParts?: boolean;
  readonly timeout?: number;
  readonly asOf?: string;
}

/** `varve trace` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve trace lab.scan --where "scan_id = 7"',
    'varve trace lab.scan --where "scan_id < 100" --and "lab.rig where rig_id = 2"',
    'varve trace lab.scan --db postgres://localhost/lab --json',
    'varve trace lab.scan --where "scan_id = 7" --as-of 2026-05-12T09:00:00Z',
  ])
    .argument('<table>', 'schema.table, or the bare name where one schema has it')
    .option('--where <sql>', 'a condition on the table; default: all its rows')
    .option('--and <restriction>', AND_HELP, collect)
    .option('--only <table...>', 'list these tables only')
    .option('--through-parts', 'follow a master into its parts and on to their other parents')
    .option('--timeout <seconds>', 'give up after so long', readSeconds)
    .option('--as-of <when>', AS_OF_HELP)
    .action(
      act(
        async (context, table: string, flags: TraceFlags) => {
          const { where, and, only, throughParts, timeout = 0, asOf } = flags;
          const others = readRestrictions(and);
          if (isFinding(others)) return refusedResult([others]);
          const start = { table, ...(where === undefined ? {} : { where }) };
          const options = {
            statementTimeoutMs: timeout * 1_000,
            ...(only === undefined ? {} : { only }),
            ...(throughParts === undefined ? {} : { throughParts }),
          };
          return walkThen(context, {
            tables: [start, ...others].map((each) => each.table),
            toParents: true,
            asOf,
            walk: (database, graph) =>
              others.length === 0
                ? trace(database, graph, start, options)
                : restrict(graph, start, ...others).trace(database, options),
          });
        },
        { db: true },
      ),
    );
}

/** What `--as-of` says in the help of walks. */
export const AS_OF_HELP = 'the rows and the graph of a time (ISO 8601), or of the end of a run';

/** A number of seconds of a flag; whole milliseconds of it count. */
export function readSeconds(text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0 && seconds <= 2_000_000) return seconds;
  throw new InvalidArgumentError('Not a number of seconds.');
}

import { Option, type Command } from 'commander';
import { cascade, restrict, type PartPolicy } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import { walkThen } from '../walk-as-of.ts';
import { refusedResult } from '../walk-output.ts';
import { AND_HELP, collect, readRestrictions } from '../and-argument.ts';
import { usageFinding } from '../failure.ts';
import { isFinding } from '../table-argument.ts';
import { AS_OF_HELP, readSeconds } from './trace.ts';

interface CascadeFlags {
  readonly where?: string;
  readonly and?: readonly string[];
  readonly only?: readonly string[];
  readonly parts?: PartPolicy;
  readonly timeout?: number;
  readonly asOf?: string;
}

/** `varve cascade` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve cascade lab.mouse --where "mouse_id = 1"',
    'varve cascade lab.mouse --where "mouse_id = 1" --and "lab.rig where rig_id = 2"',
    'varve cascade lab.mouse --as-of 2026-05-12T09:00:00Z',
    'varve cascade lab.mouse --parts cascade --db postgres://localhost/lab --json',
  ])
    .argument('<table>', 'schema.table, or the bare name where one schema has it')
    .option('--where <sql>', 'a condition on the table; default: all its rows')
    .option('--and <restriction>', AND_HELP, collect)
    .option('--only <table...>', 'list these tables only')
    .addOption(
      new Option(
        '--parts <policy>',
        'a part row whose master would stay: refuse, let it go alone, or take the master; default: enforce',
      ).choices(['enforce', 'ignore', 'cascade']),
    )
    .option('--timeout <seconds>', 'give up after so long', readSeconds)
    .option('--as-of <when>', AS_OF_HELP)
    .action(
      act(
        async (context, table: string, flags: CascadeFlags) => {
          const { where, and, only, parts, timeout = 0, asOf } = flags;
          const others = readRestrictions(and);
          if (isFinding(others)) return refusedResult([others]);
          if (others.length > 0 && parts !== undefined) return refusedResult([NO_PARTS]);
          const start = { table, ...(where === undefined ? {} : { where }) };
          const options = { statementTimeoutMs: timeout * 1_000, ...(only === undefined ? {} : { only }) };
          return walkThen(context, {
            tables: [start, ...others].map((each) => each.table),
            toParents: false,
            asOf,
            walk: (database, graph) =>
              others.length === 0
                ? cascade(database, graph, start, { parts: parts ?? 'enforce', ...options })
                : restrict(graph, start, ...others).count(database, options),
          });
        },
        { db: true },
      ),
    );
}

const NO_PARTS = usageFinding(
  '--parts says what a deletion does, and --and only counts rows that fulfil every condition',
  'Leave --parts out.',
);

import { Option, type Command } from 'commander';
import { cascade, restrict, type PartPolicy } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import { tableGraph } from '../table-graph.ts';
import { refusedResult, walkResult } from '../walk-output.ts';
import { AND_HELP, collect, readRestrictions } from '../and-argument.ts';
import { usageFinding } from '../failure.ts';
import { isFinding } from '../table-argument.ts';
import { readSeconds } from './trace.ts';

interface CascadeFlags {
  readonly where?: string;
  readonly and?: readonly string[];
  readonly only?: readonly string[];
  readonly parts?: PartPolicy;
  readonly timeout?: number;
}

/** `varve cascade` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve cascade lab.mouse --where "mouse_id = 1"',
    'varve cascade lab.mouse --where "mouse_id = 1" --and "lab.rig where rig_id = 2"',
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
    .action(
      act(
        async (context, table: string, { where, and, only, parts, timeout = 0 }: CascadeFlags) => {
          const others = readRestrictions(and);
          if (isFinding(others)) return refusedResult([others]);
          if (others.length > 0 && parts !== undefined) return refusedResult([NO_PARTS]);
          const store = await context.store();
          const graph = await tableGraph(context, store);
          const start = { table, ...(where === undefined ? {} : { where }) };
          const options = { statementTimeoutMs: timeout * 1_000, ...(only === undefined ? {} : { only }) };
          const outcome =
            others.length === 0
              ? await cascade(store, graph, start, { parts: parts ?? 'enforce', ...options })
              : await restrict(graph, start, ...others).count(store, options);
          return walkResult(outcome);
        },
        { db: true },
      ),
    );
}

const NO_PARTS = usageFinding(
  '--parts says what a deletion does, and --and only counts rows that fulfil every condition',
  'Leave --parts out.',
);

import { Option, type Command } from 'commander';
import { cascade, type PartPolicy } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import { tableGraph } from '../table-graph.ts';
import { walkResult } from '../walk-output.ts';
import { readSeconds } from './trace.ts';

interface CascadeFlags {
  readonly where?: string;
  readonly only?: readonly string[];
  readonly parts: PartPolicy;
  readonly timeout?: number;
}

/** `varve cascade` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve cascade lab.mouse --where "mouse_id = 1"',
    'varve cascade lab.mouse --parts cascade --db postgres://localhost/lab --json',
  ])
    .argument('<table>', 'schema.table, or the bare name where one schema has it')
    .option('--where <sql>', 'a condition on the table; default: all its rows')
    .option('--only <table...>', 'list these tables only')
    .addOption(
      new Option(
        '--parts <policy>',
        'a part row whose master would stay: refuse, let it go alone, or take the master',
      )
        .choices(['enforce', 'ignore', 'cascade'])
        .default('enforce'),
    )
    .option('--timeout <seconds>', 'give up after so long', readSeconds)
    .action(
      act(
        async (context, table: string, { where, only, parts, timeout = 0 }: CascadeFlags) => {
          const store = await context.store();
          const outcome = await cascade(
            store,
            await tableGraph(context, store),
            { table, ...(where === undefined ? {} : { where }) },
            { parts, statementTimeoutMs: timeout * 1_000, ...(only === undefined ? {} : { only }) },
          );
          return walkResult(outcome);
        },
        { db: true },
      ),
    );
}

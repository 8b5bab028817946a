import type { Command } from 'commander';
import { restoreRows } from '../../pipeline/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { countOf, countText, tableText, type CommandResult } from '../output.ts';
import { openProjectWorld } from '../open-project-world.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve restore` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve restore varve://run/2026-05-12T09:14:07Z.delete.lab.mouse.1f0c22aa --dry-run',
  ])
    .argument('<run>', 'the run that deleted the rows, as varve delete and varve history name it')
    .option('--dry-run', 'do it, count it, take it back')
    .action(act(run));
}

async function run(
  context: Context,
  name: string,
  { dryRun = false }: { readonly dryRun?: boolean },
): Promise<CommandResult> {
  const opened = await openProjectWorld(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  const { store, definitions, environment } = opened.world;
  const result = await restoreRows(store, definitions, name, { actor: environment.actor, dryRun });
  if (result.status === 'refused') return refusedResult(result.findings);
  const { tables } = result;
  const rows = tables.reduce((sum, each) => sum + each.rows, 0);
  return {
    status: 'ok',
    fields: { run: name, tables, dryRun },
    text: (style) =>
      [
        tableText(
          style,
          [{ head: 'table' }, { head: 'rows', align: 'right' }],
          tables.map((each) => [each.table, countText(each.rows)]),
        ),
        dryRun
          ? `${countOf(rows, 'row')} would stand again. Nothing was changed.`
          : `${countOf(rows, 'row')} stand again`,
      ].join('\n'),
  };
}

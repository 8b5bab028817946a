import type { Command } from 'commander';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import type { CommandResult } from '../output.ts';
import { runResult } from '../run-output.ts';
import { openRunner } from '../runner.ts';
import { waitOptions, waitsOf, type WaitFlags } from '../wait-argument.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve rollback` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve rollback PIPE-MIG-2026-05-12-01'])
    .argument('<id>', 'the migration to take back')
    .action(act(run, { db: true }));
  for (const option of waitOptions()) command.addOption(option);
}

async function run(context: Context, id: string, flags: WaitFlags): Promise<CommandResult> {
  const opened = await openRunner(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const { rollbackMigration } = await import('../../migration/index.ts');
  return runResult(id, await rollbackMigration({ ...runner.options, ...waitsOf(flags) }, id));
}

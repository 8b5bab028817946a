import type { Command } from 'commander';
import { isRefused } from '../../base/index.ts';
import { attributeOption } from '../attribution-argument.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { draftWithRules } from '../draft.ts';
import type { AttributionRule } from '../kinds.ts';
import type { CommandResult } from '../output.ts';
import { pendingMigration } from '../pending-migration.ts';
import { runResult } from '../run-output.ts';
import { openRunner, type Runner } from '../runner.ts';
import { waitOptions, waitsOf, type WaitFlags } from '../wait-argument.ts';
import { refusedResult } from '../walk-output.ts';

interface ApplyFlags extends WaitFlags {
  readonly attribute?: readonly AttributionRule[];
}

/** `varve apply` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve apply',
    'varve apply PIPE-MIG-2026-05-12-01 --json',
    'varve apply --attribute audit.license_verdict=recompute',
    'varve apply --deadline 1h',
  ])
    .argument('[id]', 'the migration; default: the one that is half-way, or the last that was planned')
    .addOption(attributeOption())
    .action(act(run, { db: true }));
  for (const option of waitOptions()) command.addOption(option);
}

async function run(context: Context, id: string | undefined, flags: ApplyFlags): Promise<CommandResult> {
  const opened = await openRunner(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const chosen =
    flags.attribute === undefined
      ? (id ?? (await pending(runner)))
      : await attributed(runner, flags.attribute);
  if (typeof chosen !== 'string') return chosen;
  if (id !== undefined && chosen !== id) context.say(`${id} with these rules is ${chosen}.`);
  const { applyMigration } = await import('../../migration/index.ts');
  return runResult(chosen, await applyMigration({ ...runner.options, ...waitsOf(flags) }, chosen));
}

async function pending({ options }: Runner): Promise<string | CommandResult> {
  const found = await pendingMigration(options);
  if (typeof found === 'string') return found;
  if (found !== undefined) return refusedResult(found);
  return { status: 'ok', fields: { migrationId: null }, text: () => 'No migration is pending.' };
}

/** Rules are part of what is signed and planned, so a bundle is never given others: the same change with them is another one. */
async function attributed(
  runner: Runner,
  rules: readonly AttributionRule[],
): Promise<string | CommandResult> {
  const drafted = await draftWithRules(runner, rules);
  if (drafted.status !== 'drafted') return drafted.result;
  const { outcome, migrationId } = drafted;
  return outcome.status === 'refused' || isRefused(outcome.findings)
    ? refusedResult(outcome.findings)
    : migrationId;
}

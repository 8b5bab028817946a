import { InvalidArgumentError, type Command } from 'commander';
import { refusal } from '../../base/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import type { AttributionRule } from '../kinds.ts';
import { runResult } from '../run-output.ts';
import { openRunner, type Runner } from '../runner.ts';
import type { CommandResult } from '../output.ts';
import { onlyPending } from '../pending-migration.ts';
import { refusedResult } from '../walk-output.ts';

interface ApplyFlags {
  readonly attribute?: readonly AttributionRule[];
}

/** `varve apply` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve apply',
    'varve apply PIPE-MIG-2026-05-12-01 --json',
    'varve apply PIPE-MIG-2026-05-12-01 --attribute audit.license_verdict=recompute',
  ])
    .argument('[id]', 'the migration; default: the one that is pending')
    .option(
      '--attribute <rule...>',
      'what becomes of ambiguous rows, as TABLE=RULE, or RULE for every table: recompute',
      readRule,
    )
    .action(act(run));
}

async function run(context: Context, id: string | undefined, flags: ApplyFlags): Promise<CommandResult> {
  const opened = await openRunner(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const chosen = id ?? (await onlyPending(runner.options));
  if (chosen === undefined)
    return { status: 'ok', fields: { migrationId: null }, text: () => 'No migration is pending.' };
  if (typeof chosen !== 'string') return refusedResult([chosen]);
  const refused = await attribute(runner, chosen, flags.attribute ?? []);
  if (refused !== undefined) return refused;
  const { applyMigration } = await import('../../migration/index.ts');
  return runResult(chosen, await applyMigration(runner.options, chosen));
}

async function attribute(
  { kinds, options }: Runner,
  id: string,
  rules: readonly AttributionRule[],
): Promise<CommandResult | undefined> {
  if (rules.length === 0) return undefined;
  if (kinds.attribute === undefined) {
    const hint = 'Leave --attribute out: no kind of migration that can be run here asks for it.';
    return refusedResult([refusal('kind_unavailable', id, { hint })]);
  }
  const outcome = await kinds.attribute(options, id, rules);
  return outcome.status === 'refused' ? refusedResult(outcome.findings) : undefined;
}

function readRule(text: string, before: readonly AttributionRule[] = []): readonly AttributionRule[] {
  const parts = /^(?:(?<table>[^=]+)=)?(?<rule>[^=]+)$/u.exec(text)?.groups;
  if (parts?.['rule'] === undefined) throw new InvalidArgumentError('Not TABLE=RULE or RULE.');
  return [...before, { table: parts['table'], rule: parts['rule'] }];
}

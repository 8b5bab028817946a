import type { Command } from 'commander';
import type { ReceiptRef, RecoverOutcome, RunOutcome } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import type { CommandResult } from '../output.ts';
import { runFields } from '../run-output.ts';
import { openRunner } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve recover` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve recover', 'varve recover --env stage --json']).action(act(run, { db: true }));
}

async function run(context: Context): Promise<CommandResult> {
  const opened = await openRunner(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const { recoverRuns } = await import('../../migration/index.ts');
  return recoverResult(await recoverRuns(runner.options));
}

function recoverResult(outcome: RecoverOutcome): CommandResult {
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { completed, runs, findings } = outcome;
  const receipts = completed.map(({ path, digest }) => ({ path, digest }));
  const fields = { completed: receipts, runs: runs.flatMap(settledFields) };
  if (outcome.status === 'indeterminate') return { status: 'indeterminate', findings, fields };
  return { status: 'ok', findings, fields, text: () => recoveredText(completed, runs) };
}

function settledFields(outcome: RunOutcome): readonly unknown[] {
  if (outcome.status === 'refused') return [];
  return [{ status: outcome.status, ...runFields(migrationOf(outcome), outcome) }];
}

function migrationOf(outcome: Exclude<RunOutcome, { readonly status: 'refused' }>): string {
  return outcome.status === 'applied' ? outcome.migrationId : (outcome.receipt?.receipt.migration_id ?? '');
}

function recoveredText(completed: readonly ReceiptRef[], runs: readonly RunOutcome[]): string {
  if (completed.length + runs.length === 0) return 'No run is unfinished.';
  const receipts = completed.map(({ path }) => `completed  migrations/${path}`);
  const lines = runs.flatMap((run) =>
    run.status === 'refused' ? [] : [`${run.runId}  ${run.status.replace('_', ' ')}`],
  );
  return [...receipts, ...lines, 'No run is unfinished any more.'].join('\n');
}

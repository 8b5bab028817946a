import type { Command } from 'commander';
import { isRefused, refusal, type Finding, type Json } from '../../base/index.ts';
import type { PlanFile } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import type { CommandResult, Style } from '../output.ts';
import { countsFields, countsText } from '../run-output.ts';
import { openRunner, type Runner } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve plan` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve plan', 'varve plan PIPE-MIG-2026-05-12-01 --json'])
    .argument(
      '[id]',
      'a migration; default: a new one, of what differs between the definitions and the database',
    )
    .action(act(run));
}

async function run(context: Context, id: string | undefined): Promise<CommandResult> {
  const opened = await openRunner(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const chosen = id === undefined ? await draft(runner) : id;
  if (typeof chosen !== 'string') return chosen;
  const { planMigration } = await import('../../migration/index.ts');
  const outcome = await planMigration(runner.options, chosen);
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  return planResult(outcome.plan, outcome.findings);
}

async function draft({ kinds, options }: Runner): Promise<string | CommandResult> {
  if (kinds.draft === undefined) {
    const hint = 'Name a migration: no kind that can be run here writes one from the definitions.';
    return refusedResult([refusal('kind_unavailable', 'pipeline', { hint })]);
  }
  const outcome = await kinds.draft(options);
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  if (outcome.status === 'drafted') return outcome.migrationId;
  return {
    status: 'ok',
    fields: { migrationId: null, tables: [], operations: [] },
    text: () => 'The database is as the definitions say. There is nothing to do.',
  };
}

/** A plan is shown even where its findings refuse: what they say is read beside it. */
function planResult(plan: PlanFile, findings: readonly Finding[]): CommandResult {
  const { bound, shown, migration_id: migrationId, plan_digest: planDigest } = plan;
  const operations = bound.work['operations'] ?? shown['operations'] ?? [];
  const cost = shown['cost'] ?? null;
  return {
    status: isRefused(findings) ? 'refused' : 'ok',
    findings,
    fields: {
      migrationId,
      planDigest,
      tables: countsFields(bound.tables),
      operations,
      cost,
      questions: linesOf(shown['questions']),
      rollbackClass: bound.rollback_class,
    },
    text: (style) => planText(style, plan),
  };
}

function planText(style: Style, { migration_id: migrationId, bound, shown }: PlanFile): string {
  const operations = linesOf(shown['operations']);
  const questions = linesOf(shown['questions']);
  return [
    ...operations,
    ...(bound.tables.length === 0 ? [] : [countsText(style, bound.tables)]),
    ...questions.map((line) => style('yellow', line)),
    `${migrationId}: nothing has changed yet. Go on with varve apply ${migrationId}`,
  ].join('\n');
}

function linesOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((line) => typeof line === 'string') : [];
}

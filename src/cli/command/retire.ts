import type { Command } from 'commander';
import type { PlanFile, PlanOutcome } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { countText, sizeText, tableText, type CommandResult, type Style } from '../output.ts';
import { countsFields, runResult } from '../run-output.ts';
import { openRunner } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

interface RetireFlags {
  readonly dryRun?: true;
}

/** `varve retire` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve retire PIPE-MIG-2026-05-12-01 --dry-run',
    'varve approve PIPE-MIG-2026-05-12-01 --for retire --as user:eve --key ~/.varve/eve.pem',
    'varve retire PIPE-MIG-2026-05-12-01',
  ])
    .argument('<id>', 'the migration whose superseded structures go')
    .option('--dry-run', 'show what would go and stop')
    .action(act(run));
}

async function run(context: Context, id: string, { dryRun }: RetireFlags): Promise<CommandResult> {
  const opened = await openRunner(context, dryRun === true ? 'read' : 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const { planRetire, retireMigration } = await import('../../migration/index.ts');
  return dryRun === true
    ? planResult(id, await planRetire(runner.options, id))
    : runResult(id, await retireMigration(runner.options, id));
}

function planResult(id: string, outcome: PlanOutcome): CommandResult {
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { plan, findings } = outcome;
  const structures = structuresOf(plan);
  const fields = {
    migrationId: id,
    planDigest: plan.plan_digest,
    tables: countsFields(plan.bound.tables),
    structures,
  };
  const sizeBytes = structures.reduce((sum, each) => sum + each.sizeBytes, 0);
  const text = (style: Style): string =>
    [
      style('bold', `${id}: these would go for good, ${sizeText(sizeBytes)}`),
      structuresText(style, structures),
      `plan     ${plan.plan_digest}`,
      `Nothing has changed. Go on with: varve approve ${id} --for retire --as PRINCIPAL --key FILE, then varve retire ${id}`,
    ].join('\n');
  return { status: 'ok', findings, fields, text };
}

/** One structure of a plan to retire. */
export interface PlannedLetGo {
  readonly table: string;
  readonly placement: string;
  readonly run: string;
  readonly rows: number;
  readonly computations: number;
  readonly recordedReads: number;
  readonly supersededResults: number;
  readonly sizeBytes: number;
}

/** What a plan to retire names, with the bytes that are shown beside it. */
export function structuresOf({ bound, shown }: PlanFile): readonly PlannedLetGo[] {
  const planned = (bound.work['structures'] ?? []) as unknown as readonly PlannedLetGo[];
  const sizes = (shown['sizes'] ?? []) as readonly {
    readonly placement: string;
    readonly sizeBytes: number;
  }[];
  const bytesByPlace = new Map(sizes.map(({ placement, sizeBytes }) => [placement, sizeBytes]));
  return planned.map(
    ({ table, placement, run: ran, rows, computations, recordedReads, supersededResults }) => ({
      table,
      placement,
      run: ran,
      rows,
      computations,
      recordedReads,
      supersededResults,
      sizeBytes: bytesByPlace.get(placement) ?? 0,
    }),
  );
}

/** The same for people. */
export function structuresText(style: Style, structures: readonly PlannedLetGo[]): string {
  const right = { align: 'right' } as const;
  return tableText(
    style,
    [
      { head: 'structure' },
      { head: 'rows', ...right },
      { head: 'results', ...right },
      { head: 'superseded', ...right },
      { head: 'reads', ...right },
      { head: 'size', ...right },
    ],
    structures.map(({ placement, rows, computations, supersededResults, recordedReads, sizeBytes }) => [
      placement,
      ...[rows, computations, supersededResults, recordedReads].map(countText),
      sizeText(sizeBytes),
    ]),
  );
}

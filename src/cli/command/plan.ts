import type { Command } from 'commander';
import { isRefused, type Finding, type Json } from '../../base/index.ts';
import type { Attestation } from '../../evolution/index.ts';
import type { PlanFile, PlanOutcome } from '../../migration/index.ts';
import { attributeOption } from '../attribution-argument.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { draftWithRules } from '../draft.ts';
import { explained } from '../explain-output.ts';
import { usageFinding } from '../failure.ts';
import type { AttributionRule } from '../kinds.ts';
import { readCount } from '../number-argument.ts';
import type { CommandResult, Style } from '../output.ts';
import { costText, countsFields, countsText, reasonsText, type Reason } from '../run-output.ts';
import { openRunner, type Runner } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

interface PlanFlags {
  readonly attribute?: readonly AttributionRule[];
  readonly explain?: string;
  readonly key?: string;
  readonly limit?: number;
  readonly offset?: number;
  /** Tables whose changed make is said to give the same. */
  readonly attest?: readonly string[];
  readonly sample?: number;
  readonly seed?: string;
  readonly adopt?: true;
}

/** `varve plan` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve plan',
    'varve plan --attribute audit.license_verdict=recompute',
    `varve plan --attribute "audit.license_verdict.policy=case when year < 2020 then 'old' end"`,
    'varve plan --attest audit.manifest --sample 500',
    'varve plan --adopt',
    'varve plan PIPE-MIG-2026-05-12-01 --json',
    'varve plan --explain audit.license_verdict',
    `varve plan --explain audit.license_verdict --key '{"repository":7}'`,
  ])
    .argument(
      '[id]',
      'a migration; default: a new one, of what differs between the definitions and the database',
    )
    .addOption(attributeOption())
    .option(
      '--explain <table>',
      'instead: the rows that cannot stay as they are, and why; nothing is written',
    )
    .option(
      '--key <json>',
      'with --explain: one row, by the key that it has now, and all that decides over it',
    )
    .option('--limit <rows>', 'with --explain: so many rows at most; default 20', readCount)
    .option('--offset <rows>', 'with --explain: begin after so many', readCount)
    .option(
      '--attest <table...>',
      'its changed make gives the same: instead of computing all rows again, see it on a sample, and keep them',
    )
    .option('--sample <keys>', 'with --attest: keys of each earlier code; 200 if not said', readCount)
    .option('--seed <text>', 'with --attest: another text, other keys')
    .option('--adopt', 'take over tables that stand there already, as they are')
    .action(act(run, { db: true }));
}

async function run(context: Context, id: string | undefined, flags: PlanFlags): Promise<CommandResult> {
  if (flags.explain !== undefined) return explained(context, id, { ...flags, explain: flags.explain });
  const stray = (['key', 'limit', 'offset'] as const).find((name) => flags[name] !== undefined);
  if (stray !== undefined)
    return refusedResult([usageFinding(`--${stray} without --explain`, 'Name the table: --explain TABLE.')]);
  const isOther = flags.attribute !== undefined || flags.attest !== undefined || flags.adopt === true;
  if (id !== undefined && isOther) {
    const hint = 'Leave the id out: with other rules it is another migration, which varve plan writes.';
    return refusedResult([usageFinding('--attribute, --attest or --adopt, and an id, at once', hint)]);
  }
  const attest = attestationsOf(flags);
  if (attest.length === 0 && (flags.sample ?? flags.seed) !== undefined) {
    const hint = 'Name the tables whose make changed with --attest, or leave it out.';
    return refusedResult([usageFinding('--sample or --seed without --attest', hint)]);
  }
  const opened = await openRunner(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const { planMigration, unwritable } = await import('../../migration/index.ts');
  try {
    if (id !== undefined) return await shownPlan(runner, await planMigration(runner.options, id));
    const drafted = await draftWithRules(runner, flags.attribute ?? [], {
      attest,
      adopt: flags.adopt === true,
    });
    return drafted.status === 'ended' ? drafted.result : await shownPlan(runner, drafted.outcome);
  } catch (error) {
    return refusedResult(unwritable(error, runner.options.root).findings);
  }
}

function attestationsOf({ attest = [], sample, seed }: PlanFlags): readonly Attestation[] {
  const some = { ...(sample === undefined ? {} : { sample }), ...(seed === undefined ? {} : { seed }) };
  return attest.map((table) => ({ table, ...some }));
}

/** A plan is shown even where its findings refuse: what they say is read beside it. */
export async function shownPlan({ options }: Runner, outcome: PlanOutcome): Promise<CommandResult> {
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { plan, findings } = outcome;
  const { readBundle } = await import('../../migration/index.ts');
  const reading = await readBundle(options.root, plan.migration_id);
  const intent = reading.status === 'ok' ? reading.bundle.declaration.intent : '';
  return planResult(plan, findings, linesOf(plan.shown['operations']) ?? intent.split('; '));
}

function planResult(plan: PlanFile, findings: readonly Finding[], words: readonly string[]): CommandResult {
  const { bound, shown, migration_id: migrationId, plan_digest: planDigest } = plan;
  const questions = linesOf(shown['questions']) ?? [];
  const reasons = (shown['reasons'] ?? []) as unknown as readonly Reason[];
  const cost = (shown['cost'] ?? null) as unknown as Parameters<typeof costText>[0] | null;
  const fields = {
    migrationId,
    planDigest,
    tables: countsFields(bound.tables),
    reasons,
    operations: bound.work['operations'] ?? [],
    cost,
    questions,
    rollbackClass: bound.rollback_class,
    ...(shown['estimates'] === undefined
      ? {}
      : {
          objects: bound.objects,
          locks: shown['locks'] ?? [],
          estimates: shown['estimates'],
          enforcement: bound.enforcement ?? null,
        }),
  };
  const refused = isRefused(findings);
  const next = refused
    ? 'It cannot be applied as it is.'
    : `Nothing has changed yet. Go on with: varve apply ${migrationId}`;
  const text = (style: Style): string =>
    [
      style('bold', migrationId),
      ...words.map((line) => `  ${line}`),
      ...(bound.tables.length === 0 ? [] : [countsText(style, bound.tables)]),
      ...locksText(shown['locks']),
      ...(shown['estimates'] === undefined
        ? []
        : [touchedText(bound, shown['estimates'] as unknown as readonly Estimate[])]),
      ...(reasons.length === 0 ? [] : [reasonsText(style, reasons)]),
      ...(cost === null ? [] : [costText(cost)]),
      ...questions.map((line) => style('yellow', line)),
      next,
    ].join('\n');
  return { status: refused ? 'refused' : 'ok', findings, fields, text };
}

/** `locks    forward.sql:1 takes ACCESS EXCLUSIVE on plot`. */
function locksText(locks: Json | undefined): readonly string[] {
  const lines = (locks ?? []) as unknown as readonly {
    file: string;
    line: number;
    effects: readonly string[];
  }[];
  return lines.flatMap(({ file, line, effects }) =>
    effects.map((effect) => `locks    ${file}:${String(line)} ${effect}`),
  );
}

interface Estimate {
  readonly table: string;
  readonly estimatedRows: number | null;
}

/** The tables that a script names, with the planner's numbers marked as what they are. */
function touchedText({ objects, enforcement }: PlanFile['bound'], estimates: readonly Estimate[]): string {
  const lines = objects.map((object) => {
    const rows = estimates.find(({ table }) => table === object)?.estimatedRows;
    return `touches  ${object}${typeof rows === 'number' ? `  (about ${rows.toLocaleString('en')} rows, an estimate)` : ''}`;
  });
  const held =
    enforcement === undefined ? [] : [`held     ${enforcement.level} (${enforcement.layers.join(', ')})`];
  return [...lines, ...held].join('\n');
}

function linesOf(value: Json | undefined): readonly string[] | undefined {
  return Array.isArray(value) ? value.filter((line) => typeof line === 'string') : undefined;
}

import { Option, type Command } from 'commander';
import { deleteRows, planDelete, type DeletePlan } from '../../pipeline/index.ts';
import type { PartPolicy } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { countOf, countText, tableText, type CommandResult, type Style } from '../output.ts';
import { openProjectWorld } from '../open-project-world.ts';
import { findSpec, isFinding } from '../table-argument.ts';
import { refusedResult } from '../walk-output.ts';
import { readRowCondition } from '../where-argument.ts';

interface DeleteFlags {
  readonly where: string;
  readonly parts: PartPolicy;
  readonly reason?: string;
  readonly dryRun?: true;
}

/** `varve delete` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve delete lab.mouse --where "mouse = 7" --dry-run',
    'varve delete lab.mouse --where "mouse = 7" --reason "the tag was read wrong"',
    'varve delete lab.mouse --where "weight < 0" --yes --json',
  ])
    .argument('<table>', 'schema.table, or the bare name where one schema has it')
    .requiredOption('--where <sql>', 'a condition on the table; all of it: true')
    .addOption(
      new Option(
        '--parts <mode>',
        'a part row whose master would stay: refuse, let it go alone, or take the master',
      )
        .choices(['enforce', 'ignore', 'cascade'])
        .default('enforce'),
    )
    .option('--reason <text>', 'why, kept with the run and shown by varve history')
    .option('--dry-run', 'show what would go, and stop')
    .action(act(run));
}

async function run(context: Context, name: string, flags: DeleteFlags): Promise<CommandResult> {
  const { where, parts, reason } = flags;
  const opened = await openProjectWorld(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  const { store, definitions, environment } = opened.world;
  const spec = findSpec(definitions, name);
  if (isFinding(spec)) return refusedResult([spec]);
  const condition = await readRowCondition(store, spec, where);
  if (isFinding(condition)) return refusedResult([condition]);
  const plan = await planDelete(store, definitions, spec.name, where, { parts });
  if (plan.status === 'refused') return refusedResult(plan.findings);
  const rows = plan.tables.reduce((sum, each) => sum + each.rows, 0);
  if (rows === 0) return nothing(spec.name);
  if (flags.dryRun === true) return shown(spec.name, plan);
  if (!context.options.yes) context.say(planText((_, text) => text, plan));
  if (!(await context.confirm(`Move ${countOf(rows, 'row')} to history?`))) return nothing(spec.name);
  const result = await deleteRows(store, definitions, spec.name, where, {
    environment,
    parts,
    plan,
    ...(reason === undefined ? {} : { reason }),
  });
  if (result.status === 'refused') return refusedResult(result.findings);
  const { tables, run: runName } = result;
  return {
    status: 'ok',
    fields: { table: spec.name, tables, stale: plan.stale, run: runName },
    text: (style) =>
      [
        countsText(style, tables),
        `${countOf(rows, 'row')} moved to history by ${runName}`,
        `Take it back with: varve restore ${runName}`,
      ].join('\n'),
  };
}

function shown(table: string, plan: DeletePlan): CommandResult {
  const { tables, stale } = plan;
  return {
    status: 'ok',
    fields: { table, tables, stale, run: null, dryRun: true },
    text: (style) => `${planText(style, plan)}\nNothing was changed.`,
  };
}

function nothing(table: string): CommandResult {
  return {
    status: 'ok',
    fields: { table, tables: [], stale: [], run: null },
    text: () => 'Nothing was deleted.',
  };
}

function planText(style: Style, { tables, stale }: DeletePlan): string {
  const staleRows = stale.filter(({ rows }) => rows > 0);
  return [
    countsText(style, tables),
    ...staleRows.map(
      ({ table, rows }) => `${countOf(rows, 'row')} of ${table} will be stale: they read what goes`,
    ),
  ].join('\n');
}

function countsText(style: Style, tables: DeletePlan['tables']): string {
  return tableText(
    style,
    [{ head: 'table' }, { head: 'rows', align: 'right' }],
    tables.map(({ table, rows }) => [table, rows === 0 ? style('dim', '0') : countText(rows)]),
  );
}

import type { Command } from 'commander';
import { systemClock, type Finding } from '../../base/index.ts';
import type { GateReport, GateResult } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import type { CheckPart } from '../format/check-part.ts';
import { formatOption, formatParts, type Format } from '../format/format-parts.ts';
import { migrationSettings } from '../migrations-config.ts';
import { actorName } from '../open-project-world.ts';
import { tableText, type CommandResult, type Style } from '../output.ts';
import { migrationsRoot } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

interface GateFlags {
  readonly format: Format;
  readonly base?: string;
  readonly register?: true;
  readonly freeze?: true;
}

/** `varve gate`: from files alone, no database is opened. */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve gate',
    'varve gate PG-MIG-2026-05-12-01 --base origin/main',
    'varve gate --format sarif > gate.sarif',
  ])
    .argument('[ids...]', 'migrations; default: all of the project')
    .addOption(formatOption())
    .option('--base <revision>', 'what is merged, as git names it: nothing of it may be edited or gone')
    .option('--register', 'first enter those that the registry does not know, as drafts')
    .option(
      '--freeze',
      'where all gates pass: enter in the registry that they are merged; for a project without git',
    )
    .action(act(run));
}

async function run(context: Context, ids: readonly string[], flags: GateFlags): Promise<CommandResult> {
  const { dir, config } = await context.project();
  const migration = await import('../../migration/index.ts');
  const root = migrationsRoot(dir);
  const by = `user:${actorName(context)}`;
  const settings = migrationSettings(config.migrations, migration.DEFAULT_SETTINGS);
  const { env: environment } = context.options;
  if (flags.register === true) {
    const entered = await migration.registerAll(root, { owners: [by], by, clock: systemClock });
    if (entered.status === 'refused') return refusedResult(entered.findings);
  }
  const { base } = flags;
  const options = {
    root,
    settings,
    environment,
    clock: systemClock,
    ...(base === undefined ? {} : { base }),
  };
  const report = await migration.runGates(options, ids);
  const isBlocked = migration.isBlocked(report);
  if (flags.freeze === true && !isBlocked) {
    const frozen = await migration.freezeBundles(
      root,
      report.bundles.map(({ id }) => id),
      { by, clock: systemClock },
    );
    if (frozen.status === 'refused') return refusedResult(frozen.findings);
  }
  return resultOf(report, isBlocked, flags.format);
}

async function resultOf(report: GateReport, isBlocked: boolean, format: Format): Promise<CommandResult> {
  const findings = [
    ...report.findings,
    ...report.bundles.flatMap(({ gates }) => gates.flatMap((gate) => gate.findings)),
  ];
  const result: CommandResult = {
    status: isBlocked ? 'refused' : 'ok',
    findings,
    fields: {
      migrations: report.bundles.map(({ id, gates }) => ({
        migrationId: id,
        gates: gates.map(({ gate, status }) => ({ gate, status })),
      })),
    },
  };
  const formatted = await formatParts(partsOf(report), { format, command: 'varve gate' }, result);
  return { ...result, text: (style) => formatted ?? reportText(style, report) };
}

/** A part for each gate, and one for what lies between bundles. */
function partsOf({ bundles, findings }: GateReport): readonly CheckPart[] {
  const results = bundles.flatMap(({ gates }) => gates);
  const byGate = [...Map.groupBy(results, ({ gate }) => gate)];
  return [
    { name: 'registry', checked: bundles.length, findings },
    ...byGate.map(([name, gates]): CheckPart => ({
      name,
      checked: gates.filter(({ status }) => status === 'pass' || status === 'fail').length,
      findings: gates.flatMap((gate): readonly Finding[] => gate.findings),
    })),
  ];
}

const WORDS = { pass: 'pass', fail: 'FAIL', not_run: 'DID NOT RUN', nothing_yet: 'nothing yet' } as const;
const COLOURS = { pass: 'green', fail: 'red', not_run: 'red', nothing_yet: 'dim' } as const;

function reportText(style: Style, { bundles, findings }: GateReport): string {
  if (bundles.length === 0 && findings.length === 0) return 'There are no migrations.';
  const cell = ({ status }: GateResult): string => style(COLOURS[status], WORDS[status]);
  const names = bundles[0]?.gates.map(({ gate }) => gate) ?? [];
  return tableText(
    style,
    [{ head: 'migration' }, ...names.map((name) => ({ head: name.replaceAll('_', ' ') }))],
    bundles.map(({ id, gates }) => [id, ...gates.map(cell)]),
  );
}

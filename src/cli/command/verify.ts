import type { Command } from 'commander';
import type { VerifiedTable } from '../../evolution/index.ts';
import type { StaleTable } from '../../pipeline/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { evolutionWorld } from '../kinds.ts';
import { countText, tableText, type CommandResult, type Style } from '../output.ts';
import type { Progress } from '../progress.ts';
import { openProjectWorld } from '../open-project-world.ts';
import type { ProjectWorld } from '../project-world.ts';
import { findSpecs } from '../table-argument.ts';
import { refusedResult } from '../walk-output.ts';

interface VerifyFlags {
  readonly full?: true;
  readonly imported?: true;
}

/** `varve verify` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve verify',
    'varve verify --full',
    'varve verify --full audit.license_verdict --json',
  ])
    .argument('[tables...]', 'computed tables; default: all')
    .option('--full', 'compute everything again, in a copy that is thrown away, and compare row by row')
    .option('--imported', 'with --full: also what is imported, which reads the outside world again')
    .action(act(run));
}

async function run(context: Context, names: readonly string[], flags: VerifyFlags): Promise<CommandResult> {
  // The copy of --full lies in the database while it is compared, and its run is recorded.
  const opened = await openProjectWorld(context, flags.full === true ? 'write' : 'read');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  const { world } = opened;
  const named = findSpecs(world.definitions, names);
  if (named.findings.length > 0) return refusedResult(named.findings);
  const tables = named.specs.length === 0 ? undefined : named.specs.map(({ name }) => name);
  return flags.full === true
    ? verifyInCopy(context, world, tables, flags.imported === true)
    : verifyRecorded(world, tables);
}

/** What is recorded of each row, inputs and code, against the present. */
async function verifyRecorded(
  world: ProjectWorld,
  tables: readonly string[] | undefined,
): Promise<CommandResult> {
  const { stale } = await import('../../pipeline/index.ts');
  const { store, definitions } = world;
  const result = await stale(store, definitions, await world.codeByTable(), tables);
  if (result.status === 'refused') return refusedResult(result.findings);
  const isCurrent = result.tables.every((table) => table.stale.length === 0);
  return {
    status: 'ok',
    fields: {
      isCurrent,
      tables: result.tables.map((table) => ({ table: table.table, stale: table.stale.length })),
    },
    text: (style) => recordedText(style, result.tables, isCurrent),
  };
}

function recordedText(style: Style, tables: readonly StaleTable[], isCurrent: boolean): string {
  const table = tableText(
    style,
    [{ head: 'table' }, { head: 'stale', align: 'right' }],
    tables.map((line) => [line.table, countText(line.stale.length)]),
  );
  const said = isCurrent
    ? 'Recorded inputs and code are those of the present. Prove the rows themselves with varve verify --full'
    : 'See why with varve stale, and bring these rows to the present with varve populate';
  return `${table}\n${said}`;
}

async function verifyInCopy(
  context: Context,
  world: ProjectWorld,
  tables: readonly string[] | undefined,
  imported: boolean,
): Promise<CommandResult> {
  const { verifyFull } = await import('../../evolution/index.ts');
  const bars = new Map<string, { readonly bar: Progress; done: number }>();
  const result = await verifyFull(world.store, await evolutionWorld(world), {
    imported,
    signal: context.signal,
    ...(tables === undefined ? {} : { tables }),
    progress: ({ table, computed, total }) => {
      const shown = bars.get(table) ?? {
        bar: context.progress(`verify ${table}`, total ?? undefined),
        done: 0,
      };
      shown.bar.advance(computed - shown.done);
      bars.set(table, { bar: shown.bar, done: computed });
    },
  }).finally(() => bars.forEach(({ bar }) => bar.end()));
  if (result.status === 'refused') return refusedResult(result.findings);
  return {
    status: result.status === 'equal' ? 'ok' : 'refused',
    findings: result.findings,
    fields: { isEqual: result.status === 'equal', tables: result.tables },
    text: (style) => verifiedText(style, result.tables),
  };
}

function verifiedText(style: Style, tables: readonly VerifiedTable[]): string {
  const numbers = ['rows', 'equal', 'differing', 'missing', 'extra'] as const;
  return tableText(
    style,
    [{ head: 'table' }, ...numbers.map((head) => ({ head, align: 'right' as const }))],
    tables.map((line) => [line.table, ...numbers.map((name) => countText(line[name]))]),
  );
}

import { InvalidArgumentError, Option, type Command } from 'commander';
import type { SampledTable, VerifiedTable, VerifyOptions } from '../../evolution/index.ts';
import type { StaleTable } from '../../pipeline/index.ts';
import type { Finding } from '../../base/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { usageFinding } from '../failure.ts';
import { evolutionWorld } from '../kinds.ts';
import { readCount } from '../number-argument.ts';
import { countText, tableText, type CommandResult, type Style } from '../output.ts';
import type { Progress } from '../progress.ts';
import { openProjectWorld } from '../open-project-world.ts';
import type { ProjectWorld } from '../project-world.ts';
import { findSpecs } from '../table-argument.ts';
import { refusedResult } from '../walk-output.ts';

interface VerifyFlags {
  readonly full?: true;
  /** A number of keys, or true for as many as are taken by default. */
  readonly sample?: number | true;
  readonly seed?: string;
  readonly imported?: true;
}

/** `varve verify` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve verify',
    'varve verify --full',
    'varve verify audit.license_verdict --sample 500',
    'varve verify --full audit.license_verdict --json',
  ])
    .argument('[tables...]', 'computed tables; default: all')
    .option('--full', 'compute everything again, in a copy that is thrown away, and compare row by row')
    .addOption(
      new Option(
        '--sample [keys]',
        'compute some keys of each table again, from its parents as they stand: so many of each code that computed rows, 200 if not said',
      )
        .argParser(readSampleSize)
        .conflicts('full'),
    )
    .addOption(new Option('--seed <text>', 'with --sample: another text, other keys').conflicts('full'))
    .option('--imported', 'with either: also what is imported, which reads the outside world again')
    .action(act(run));
}

async function run(context: Context, names: readonly string[], flags: VerifyFlags): Promise<CommandResult> {
  // The copy of a proof lies in the database while it is compared, and its run is recorded.
  const computes = flags.full === true || flags.sample !== undefined;
  if (!computes && (flags.seed ?? flags.imported) !== undefined) return refusedResult([withoutProof(flags)]);
  const opened = await openProjectWorld(context, computes ? 'write' : 'read');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  const { world } = opened;
  const named = findSpecs(world.definitions, names);
  if (named.findings.length > 0) return refusedResult(named.findings);
  const tables = named.specs.length === 0 ? undefined : named.specs.map(({ name }) => name);
  const given = { world, tables, imported: flags.imported === true };
  if (flags.full === true) return verifyInCopy(context, given);
  if (flags.sample === undefined) return verifyRecorded(world, tables);
  return verifySampled(context, given, {
    ...(flags.sample === true ? {} : { size: flags.sample }),
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
  });
}

function readSampleSize(text: string): number {
  if (/^\d+$/u.test(text)) return readCount(text);
  throw new InvalidArgumentError('Not a number of keys. Name the tables before --sample.');
}

function withoutProof({ seed }: VerifyFlags): Finding {
  const flag = seed === undefined ? '--imported' : '--seed';
  return usageFinding(`${flag} without a proof`, 'Give --sample with it, or leave it out.');
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

interface Given {
  readonly world: ProjectWorld;
  readonly tables: readonly string[] | undefined;
  readonly imported: boolean;
}

/** Options of either proof, with a bar for each table; the bars end with the work. */
async function withBars<T>(
  context: Context,
  { tables, imported }: Given,
  work: (options: VerifyOptions) => Promise<T>,
): Promise<T> {
  const bars = new Map<string, { readonly bar: Progress; done: number }>();
  return work({
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
}

async function verifyInCopy(context: Context, given: Given): Promise<CommandResult> {
  const { verifyFull } = await import('../../evolution/index.ts');
  const { world } = given;
  const result = await withBars(context, given, async (options) =>
    verifyFull(world.store, await evolutionWorld(world), options),
  );
  if (result.status === 'refused') return refusedResult(result.findings);
  return {
    status: result.status === 'equal' ? 'ok' : 'refused',
    findings: result.findings,
    fields: { isEqual: result.status === 'equal', isStale: result.status === 'stale', tables: result.tables },
    text: (style) => verifiedText(style, result.tables),
  };
}

function verifiedText(style: Style, tables: readonly VerifiedTable[]): string {
  const numbers = ['rows', 'equal', 'stale', 'differing', 'missing', 'extra'] as const;
  return tableText(
    style,
    [{ head: 'table' }, ...numbers.map((head) => ({ head, align: 'right' as const }))],
    tables.map((line) => [line.table, ...numbers.map((name) => countText(line[name]))]),
  );
}

async function verifySampled(
  context: Context,
  given: Given,
  some: { readonly size?: number; readonly seed?: string },
): Promise<CommandResult> {
  const { verifySample } = await import('../../evolution/index.ts');
  const { world } = given;
  const result = await withBars(context, given, async (options) =>
    verifySample(world.store, await evolutionWorld(world), { ...options, ...some }),
  );
  if (result.status === 'refused') return refusedResult(result.findings);
  return {
    status: result.status === 'equal' ? 'ok' : 'refused',
    findings: result.findings,
    fields: { isEqual: result.status === 'equal', isStale: result.status === 'stale', tables: result.tables },
    text: (style) => sampledText(style, result.tables),
  };
}

const PROVES = `"at most": the share of wrong keys that so many equal ones leave possible, with 95 % confidence, stale keys apart.
Nothing is proved of keys without a row. Every row is compared by varve verify --full`;

function sampledText(style: Style, tables: readonly SampledTable[]): string {
  const numbers = ['keys', 'sampled', 'equal', 'stale', 'differing'] as const;
  const lines = tables.flatMap(({ table, codes }) =>
    codes.map((code) => [
      table,
      code.code === null
        ? 'none recorded'
        : `${code.code.slice(0, 'sha256:'.length + 8)}${code.isPresent ? '' : ' (older)'}`,
      ...numbers.map((name) => countText(code[name])),
      code.wrongAtMost === null ? '' : `${String(Math.ceil(code.wrongAtMost * 1000) / 10)} %`,
    ]),
  );
  const heads = [...numbers, 'wrong, at most'];
  const table = tableText(
    style,
    [{ head: 'table' }, { head: 'code' }, ...heads.map((head) => ({ head, align: 'right' as const }))],
    lines,
  );
  return lines.length === 0 ? 'There is no computed row to take a sample of.' : `${table}\n${PROVES}`;
}

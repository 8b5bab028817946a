import type { Command } from 'commander';
import { refusal, type Finding } from '../../base/index.ts';
import {
  COUNTED_KEYS,
  openMakeRunner,
  populate,
  type MakeRunner,
  type PopulatedTable,
  type PopulateOptions,
  type PopulateProgress,
  type PopulateResult,
} from '../../pipeline/index.ts';
import type { ObjectStore, Sql } from '../../store/index.ts';
import { withExamples, type Act } from '../command.ts';
import { filesFolderOf } from '../config.ts';
import type { Context } from '../context.ts';
import { readKeyCondition } from '../where-argument.ts';
import { readCount } from '../number-argument.ts';
import { countText, tableText, type CommandResult, type Style } from '../output.ts';
import type { Progress } from '../progress.ts';
import { openProjectWorld } from '../open-project-world.ts';
import type { ProjectWorld } from '../project-world.ts';
import { findSpecs, isFinding } from '../table-argument.ts';
import { refusedResult } from '../walk-output.ts';

interface PopulateFlags {
  readonly max?: number;
  readonly where?: string;
  readonly batch?: number;
  readonly lease?: number;
  readonly workers?: number;
  /** False with `--no-share`. */
  readonly share: boolean;
  /** False with `--no-wait`. */
  readonly wait: boolean;
}

/** `varve populate` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve populate',
    'varve populate --workers 4',
    'varve populate lab.grade --max 1000',
    'varve populate lab.grade --where "mouse < 100" --json',
  ])
    .argument(
      '[tables...]',
      'schema.table, or the bare name where one schema has it; default: all that are computed',
    )
    .option('--max <keys>', 'compute so many keys at most', readCount)
    .option('--where <sql>', 'only keys that fulfil a condition on the key columns')
    .option('--batch <keys>', 'keys to read, compute and write at once at most; default 2000', readCount)
    .option(
      '--workers <threads>',
      'worker threads that makes run in; default 1 on a server, none on an embedded store',
      readCount,
    )
    .option(
      '--lease <seconds>',
      'without a sign of life for so long, others take the keys; default 30',
      readCount,
    )
    .option('--no-share', 'take no heed of other workers on the same database')
    .option('--no-wait', 'end without the retries that are still to come')
    .action(act(run));
}

async function run(context: Context, names: readonly string[], flags: PopulateFlags): Promise<CommandResult> {
  const opened = await openProjectWorld(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  const { world } = opened;
  const named = findSpecs(world.definitions, names);
  if (named.findings.length > 0) return refusedResult(named.findings);
  const tables = named.specs.map(({ name }) => name);
  const where = await conditionOf(world, tables, flags.where);
  if (where !== undefined && isFinding(where)) return refusedResult([where]);
  const bar = progressBar(context);
  await using runner = makeRunnerOf(world, await world.objects(), flags.workers);
  const result = await populate(world.store, {
    ...(await optionsOf(world, context)),
    runner,
    ...(tables.length === 0 ? {} : { tables }),
    ...(where === undefined ? {} : { where }),
    ...(flags.max === undefined ? {} : { max: flags.max }),
    ...(flags.batch === undefined ? {} : { batchSize: flags.batch }),
    ...(flags.lease === undefined ? {} : { leaseSeconds: flags.lease }),
    ...(flags.share ? {} : { isShared: false }),
    waitForRetries: flags.wait,
    progress: bar.show,
  }).finally(bar.end);
  return resultOf(result);
}

async function conditionOf(
  { definitions, store }: ProjectWorld,
  names: readonly string[],
  text: string | undefined,
): Promise<Sql | Finding | undefined> {
  if (text === undefined) return undefined;
  const computed = definitions.set.tables.filter(({ form }) => form !== undefined);
  const targets = names.length === 0 ? computed : computed.filter(({ name }) => names.includes(name));
  return readKeyCondition(store, targets, text);
}

/** On a server makes have threads of their own, so that one that computes for long does not look dead to other workers. */
function makeRunnerOf(
  { project, definitions, store }: ProjectWorld,
  objects: ObjectStore | undefined,
  workers: number | undefined,
): MakeRunner {
  return openMakeRunner({
    definitionsModule: project.filePath,
    definitionDigest: definitions.digest,
    files: { folder: filesFolderOf(project), objects: objects?.settings },
    workers: workers ?? (store.capabilities.sharedByProcesses ? 1 : 0),
  });
}

async function optionsOf(world: ProjectWorld, context: Context): Promise<PopulateOptions> {
  return {
    definitions: world.definitions,
    environment: world.environment,
    projectFolder: filesFolderOf(world.project),
    objects: await world.objects(),
    codeByTable: await world.codeByTable(),
    signal: context.signal,
    log: context.say,
  };
}

/** One bar over all tables: several of them are worked on at a time. */
function progressBar(context: Context): {
  readonly show: (progress: PopulateProgress) => void;
  readonly end: () => void;
} {
  const tables = new Map<string, PopulateProgress>();
  let bar: Progress | undefined;
  let shown = { computed: 0, failed: 0 };
  return {
    show: (progress) => {
      tables.set(progress.table, progress);
      const all = [...tables.values()];
      const computed = all.reduce((sum, each) => sum + each.computed, 0);
      const failed = all.reduce((sum, each) => sum + each.failed, 0);
      bar ??= context.progress('populate');
      if (all.every(({ total }) => total !== null)) {
        bar.expect(all.reduce((sum, { total }) => sum + (total ?? 0), 0));
      }
      bar.advance(computed - shown.computed, failed - shown.failed);
      shown = { computed, failed };
    },
    end: () => bar?.end(),
  };
}

function resultOf(result: PopulateResult): CommandResult {
  if (result.status === 'refused') return refusedResult(result.findings);
  const { tables, run: runName, findings } = result;
  const fields = { tables, run: runName };
  const text = (style: Style): string => populatedText(style, tables);
  if (result.status === 'done') return { status: 'ok', findings, fields, text };
  if (result.status === 'failed') return { status: 'failed', findings, fields, text };
  return { status: 'refused', findings: [interrupted(tables, runName), ...findings], fields, text };
}

function interrupted(tables: readonly PopulatedTable[], runName: string): Finding {
  const kept = tables.reduce((sum, { computed }) => sum + computed, 0);
  return refusal('interrupted', 'populate', {
    detail: { kept, run: runName },
    hint: 'Every key computed so far is kept. Run the same command again: it goes on with the others.',
  });
}

function populatedText(style: Style, tables: readonly PopulatedTable[]): string {
  if (tables.length === 0) return 'Nothing is computed in this project.';
  const heads = ['computed', 'failed', 'remaining', 'unchanged'].map((head) => ({
    head,
    align: 'right' as const,
  }));
  return tableText(
    style,
    [{ head: 'table' }, ...heads],
    tables.map(({ table, computed, failed, remaining, skippedUnchanged }) => [
      table,
      countText(computed),
      failed === 0 ? '0' : style('red', countText(failed)),
      remaining === null ? `over ${countText(COUNTED_KEYS)}` : countText(remaining),
      countText(skippedUnchanged),
    ]),
  );
}

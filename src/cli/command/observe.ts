import type { Command } from 'commander';
import type { ObservedTable } from '../../evolution/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { evolutionWorld } from '../kinds.ts';
import { readCount } from '../number-argument.ts';
import { openProjectWorld } from '../open-project-world.ts';
import { countText, tableText, type CommandResult, type Style } from '../output.ts';
import type { Progress } from '../progress.ts';
import { findSpecs } from '../table-argument.ts';
import { refusedResult } from '../walk-output.ts';

interface ObserveFlags {
  readonly sample?: number;
}

/** `varve observe` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve observe', 'varve observe lab.score --sample 100', 'varve observe --json'])
    .argument('[tables...]', 'computed or imported tables; default: all')
    .option('--sample <keys>', 'so many keys of each table at most', readCount)
    .action(act(run));
}

async function run(context: Context, given: readonly string[], flags: ObserveFlags): Promise<CommandResult> {
  const opened = await openProjectWorld(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  const { world } = opened;
  const named = findSpecs(world.definitions, given);
  if (named.findings.length > 0) return refusedResult(named.findings);
  const { observeAdopted } = await import('../../evolution/index.ts');
  const bars = new Map<string, { readonly bar: Progress; done: number }>();
  const result = await observeAdopted(world.store, await evolutionWorld(world), {
    signal: context.signal,
    ...(named.specs.length === 0 ? {} : { tables: named.specs.map(({ name }) => name) }),
    ...(flags.sample === undefined ? {} : { sample: flags.sample }),
    progress: ({ table, computed, total }) => {
      const shown = bars.get(table) ?? {
        bar: context.progress(`observe ${table}`, total ?? undefined),
        done: 0,
      };
      shown.bar.advance(computed - shown.done);
      bars.set(table, { bar: shown.bar, done: computed });
    },
  }).finally(() => bars.forEach(({ bar }) => bar.end()));
  if (result.status === 'refused') return refusedResult(result.findings);
  const { tables, findings } = result;
  return { status: 'ok', findings, fields: { tables }, text: (style) => observedText(style, tables) };
}

function observedText(style: Style, tables: readonly ObservedTable[]): string {
  if (tables.every(({ unrecorded }) => unrecorded === 0))
    return 'Something is recorded of every computed row.';
  const numbers = ['unrecorded', 'observed', 'equal', 'differing', 'failed'] as const;
  return tableText(
    style,
    [{ head: 'table' }, ...numbers.map((head) => ({ head, align: 'right' as const }))],
    tables.map((line) => [line.table, ...numbers.map((name) => countText(line[name]))]),
  );
}

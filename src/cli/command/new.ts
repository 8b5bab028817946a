import { Argument, type Command } from 'commander';
import { systemClock } from '../../base/index.ts';
import type { KindName } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { actorName } from '../open-project-world.ts';
import type { CommandResult } from '../output.ts';
import { migrationsRoot } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve new`: writes files alone, no database is opened. */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve new postgis --intent "Sites get a code"'])
    .addArgument(
      new Argument('<kind>', 'the kind of migration').choices([
        'postgis',
        'search',
        'graph',
        'pipeline',
        'document',
        'replica',
      ]),
    )
    .option('--intent <text>', 'in plain words, what it is for')
    .action(act(run));
}

async function run(
  context: Context,
  kind: KindName,
  { intent }: { readonly intent?: string },
): Promise<CommandResult> {
  const { dir } = await context.project();
  const { newBundle } = await import('../../migration/index.ts');
  const outcome = await newBundle({
    root: migrationsRoot(dir),
    kind,
    by: `user:${actorName(context)}`,
    clock: systemClock,
    ...(intent === undefined ? {} : { intent }),
  });
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { id, digest } = outcome.bundle;
  const folder = `migrations/${kind}/${id}`;
  const next = [`fill in ${folder}`, 'varve check', `varve plan ${id}`, `varve gate ${id}`];
  return {
    status: 'ok',
    fields: { migrationId: id, folder, files: outcome.files, bundleDigest: digest, next },
    text: () =>
      [
        ...outcome.files.map((name) => `wrote  ${folder}/${name}`),
        '',
        'Next:',
        ...next.map((line) => `  ${line}`),
      ].join('\n'),
  };
}

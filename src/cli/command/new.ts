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
  withExamples(command, ['varve new postgis --intent "Sites get a code"', 'varve new policy'])
    .addArgument(
      new Argument('<kind>', 'the kind of migration, or policy: who may do what').choices([
        'postgis',
        'search',
        'graph',
        'pipeline',
        'document',
        'replica',
        'policy',
      ]),
    )
    .option('--intent <text>', 'in plain words, what it is for')
    .action(act(run));
}

async function run(
  context: Context,
  kind: KindName | 'policy',
  { intent }: { readonly intent?: string },
): Promise<CommandResult> {
  const { dir } = await context.project();
  const { newBundle } = await import('../../migration/index.ts');
  if (kind === 'policy') return writePolicy(migrationsRoot(dir));
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

async function writePolicy(root: string): Promise<CommandResult> {
  const { newPolicy } = await import('../../migration/index.ts');
  const outcome = await newPolicy(root);
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { files } = outcome;
  const next = ['edit migrations/registry/policy/main.cedar and its fixtures', 'varve gate'];
  return {
    status: 'ok',
    fields: { files: files.map((path) => `migrations/${path}`), next },
    text: () =>
      [
        'wrote  migrations/registry/policy/main.cedar, with a request that is allowed and one that is denied',
        `       for each verb and environment (${String(files.length - 1)} files)`,
        '',
        'Next:',
        ...next.map((line) => `  ${line}`),
      ].join('\n'),
  };
}

import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import type { ApprovedException, Grant } from '../../evidence/index.ts';
import { withExamples, type Act } from '../command.ts';
import { addException } from '../exception-argument.ts';
import type { Context } from '../context.ts';
import { readDuration } from '../duration-argument.ts';
import { usageFinding } from '../failure.ts';
import { countsFields, countsText } from '../run-output.ts';
import type { CommandResult } from '../output.ts';
import { openRunner } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';
import { structuresOf, structuresText } from './retire.ts';

interface ApproveFlags {
  readonly as: string;
  readonly for: Grant;
  readonly key?: string;
  readonly expires: number;
  readonly except: readonly ApprovedException[];
  readonly irreversible?: true;
}

const SECONDS_OF_A_WEEK = 7 * 24 * 3600;

/** `varve approve` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve approve PIPE-MIG-2026-05-12-01 --for retire --as user:eve --key ~/.varve/eve.pem',
    'varve approve PG-MIG-2026-05-12-01 --as user:eve --key eve.pem --except backfill_large:app.site:250000',
    'VARVE_KEY=~/.varve/eve.pem varve approve PIPE-MIG-2026-05-12-01 --as user:eve --env stage',
  ])
    .argument('<id>', 'the migration that is approved')
    .requiredOption('--as <principal>', 'who approves, as the register of keys names them')
    .addOption(
      new Option(
        '--for <grant>',
        'what is allowed: to apply its plan, to take it back, or to let go of what it superseded',
      )
        .choices(['apply', 'rollback', 'retire'])
        .default('apply'),
    )
    .option('--key <file>', 'the private key, a PEM file; default: the file that VARVE_KEY names')
    .addOption(
      new Option(
        '--except <code:subject:ceiling>',
        'a finding that is allowed none the less; may be repeated',
      )
        .argParser(addException)
        .default([]),
    )
    .option('--irreversible', 'says that there is no way back from it')
    .addOption(
      new Option('--expires <time>', 'how long it counts, such as 12h or 7d')
        .argParser(readDuration)
        .default(SECONDS_OF_A_WEEK, '7d'),
    )
    .action(act(run));
}

async function run(context: Context, id: string, flags: ApproveFlags): Promise<CommandResult> {
  const file = flags.key ?? context.io.env['VARVE_KEY'];
  if (file === undefined || file === '') {
    const hint = 'Write --key FILE, or set VARVE_KEY to the path of your private key.';
    return refusedResult([usageFinding('an approval needs a key', hint)]);
  }
  const opened = await openRunner(context, 'read');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const { approveMigration, readSigner } = await import('../../migration/index.ts');
  const signer = await readSigner(resolve(context.io.workingDir, file));
  if ('code' in signer) return refusedResult([signer]);
  const outcome = await approveMigration(runner.options, id, {
    principal: flags.as,
    grant: flags.for,
    signer,
    exceptions: flags.except,
    isIrreversible: flags.irreversible === true,
    validForMs: flags.expires * 1000,
  });
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { approval, path, digest, plan } = outcome;
  return {
    status: 'ok',
    fields: {
      migrationId: id,
      approval,
      path: `migrations/${path}`,
      digest,
      tables: countsFields(plan.bound.tables),
    },
    text: (style) =>
      [
        style('bold', `${flags.as} approves ${id} in ${approval.environment}: ${flags.for}`),
        flags.for === 'retire'
          ? structuresText(style, structuresOf(plan))
          : countsText(style, plan.bound.tables),
        `plan     ${approval.plan_digest}`,
        ...approval.exceptions.map(
          ({ code, subject, ceiling }) =>
            `except   ${code}: ${subject}${ceiling === null ? '' : `, up to ${ceiling}`}`,
        ),
        `until    ${approval.expires_at}`,
        `written  migrations/${path}`,
      ].join('\n'),
  };
}

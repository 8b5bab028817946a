import type { Command } from 'commander';
import type { RehearsalOutcome } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import type { CommandResult, Style } from '../output.ts';
import { openRunner } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve rehearse` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve rehearse PG-MIG-2026-05-12-01',
    'varve rehearse PG-MIG-2026-05-12-01 --env stage --json',
  ])
    .argument('<id>', 'the planned migration; the database itself stays as it is')
    .action(act(run));
}

async function run(context: Context, id: string): Promise<CommandResult> {
  const opened = await openRunner(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const { rehearseMigration } = await import('../../migration/index.ts');
  const outcome = await rehearseMigration(runner.options, id);
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { runId, receipt, findings } = outcome;
  const { rollback, validation, forward_twice: forwardTwice } = receipt.receipt;
  return {
    // On the copy alone: to the database nothing was done.
    status: outcome.status === 'rehearsed' ? 'ok' : 'refused',
    findings,
    fields: {
      runId,
      migrationId: id,
      direction: 'rehearsal',
      rung: rollback.rung,
      rollbackClass: rollback.class,
      forwardTwice,
      checks: validation.checks,
      receipt: { path: `migrations/${receipt.path}`, digest: receipt.digest },
    },
    text: (style) => rehearsalText(style, id, outcome),
  };
}

const CHECK_TEXTS: Readonly<Record<string, string>> = {
  fingerprint_equals_target: 'the copy is what the database is',
  forward: 'forward',
  rollback: 'the way back',
  equal_to_pre: 'equal to what was before',
  second_forward: 'forward again',
  equal_to_first_post: 'equal to the first end',
  new_writes: 'the way back after new rows',
  forward_twice: 'forward twice in a row',
};

const STATUS_TEXTS = { pass: 'holds', fail: 'fails', error: 'not known', not_run: 'not run' } as const;

const TWICE_TEXTS = {
  no_op: 'changes nothing more',
  error: 'ends in a clean error',
  second_change: 'changes more: wants a review',
  not_run: 'not run',
} as const;

function rehearsalText(
  style: Style,
  id: string,
  { status, runId, receipt }: Exclude<RehearsalOutcome, { readonly status: 'refused' }>,
): string {
  const { validation, rollback, forward_twice: twice } = receipt.receipt;
  const rung = rollback.rung === null ? '' : ` Its way back is proved on a copy (${rollback.rung}).`;
  const head = status === 'rehearsed' ? `${id} held on a copy.${rung}` : `${id} did not hold on a copy.`;
  return [
    style('bold', head),
    ...validation.checks.map(({ name, status: found }) => {
      const said = name === 'forward_twice' ? TWICE_TEXTS[twice] : STATUS_TEXTS[found];
      return `  ${(CHECK_TEXTS[name] ?? name).padEnd(34)}${said}`;
    }),
    `run      ${runId}`,
    `receipt  migrations/${receipt.path}`,
    `         ${receipt.digest}`,
  ].join('\n');
}

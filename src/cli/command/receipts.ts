import type { Command } from 'commander';
import { join, resolve } from 'node:path';
import type { Verification } from '../../evidence/index.ts';
import { listReceipts, showReceipt, verifyReceipts } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { countText, tableText, type CommandResult, type Style } from '../output.ts';

/** `varve receipts list|show|verify`: from files alone, no database is opened. */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve receipts list', 'varve receipts verify --all']);
  withExamples(command.command('list').description('every closed run, oldest first'), [
    'varve receipts list --json',
  ]).action(act(list));
  withExamples(command.command('show').description('one receipt'), [
    'varve receipts show PIPE-MIG-2026-03-01-01',
  ])
    .argument('<which>', 'a run id, a receipt digest, or a migration id for its latest run')
    .action(act(show));
  withExamples(command.command('verify').description('hold receipts against their evidence, offline'), [
    'varve receipts verify --all',
    'varve receipts verify migrations/pipeline/PIPE-MIG-2026-03-01-01/receipts/run_receipt.json',
  ])
    .argument('[path]', 'a receipt, a bundle, or a migrations folder; default: all of the project')
    .option('--all', 'everything in the migrations folder of the project')
    .action(act((context, path: string | undefined) => verify(context, path)));
}

async function list(context: Context): Promise<CommandResult> {
  const receipts = await listReceipts(await migrationsFolder(context));
  const rows = receipts.map(({ at, environment, migrationId, direction, digest }) => [
    at,
    environment,
    migrationId,
    direction,
    digest.slice(0, 'sha256:'.length + 12),
  ]);
  const heads = ['closed', 'environment', 'migration', 'direction', 'receipt'].map((head) => ({ head }));
  const text = (style: Style): string => (rows.length === 0 ? 'no receipts' : tableText(style, heads, rows));
  return { status: 'ok', fields: { receipts }, text };
}

async function show(context: Context, which: string): Promise<CommandResult> {
  const outcome = await showReceipt(await migrationsFolder(context), which);
  if (outcome.status === 'refused') return outcome;
  const { digest, receipt } = outcome;
  return { status: 'ok', fields: { digest, receipt }, text: () => JSON.stringify(receipt, undefined, 2) };
}

async function verify(context: Context, path: string | undefined): Promise<CommandResult> {
  const place = path === undefined ? await migrationsFolder(context) : resolve(context.io.workingDir, path);
  const verification = await verifyReceipts(place);
  const { files, receipts, findings } = verification;
  return {
    status: findings.length === 0 ? 'ok' : 'refused',
    findings,
    fields: { files, receipts },
    text: (style) => verificationText(style, verification),
  };
}

function verificationText(style: Style, { files, receipts, findings }: Verification): string {
  const lines = receipts.map(({ status, migrationId, outcome, path }) => {
    const word = status === 'verified' ? style('green', 'verified') : style('red', 'refuted');
    return `${word}  ${migrationId}  ${outcome}  ${path}`;
  });
  const sum = `${countText(files)} files, ${countText(receipts.length)} receipts, ${countText(findings.length)} findings`;
  return [...lines, sum].join('\n');
}

/** The migrations folder of the project. */
async function migrationsFolder(context: Context): Promise<string> {
  return join((await context.project()).dir, 'migrations');
}

import type { Command } from 'commander';
import { resolve, relative, sep } from 'node:path';
import { refusal, type Finding } from '../../base/index.ts';
import { verifyAll, verifyReceipt, type Receipt, type Verification } from '../../evidence/index.ts';
import { folderReader } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { usageFinding } from '../failure.ts';
import { countOf, tableText, type CommandResult, type Style } from '../output.ts';
import { migrationsRoot } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve receipts` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve receipts', 'varve receipts verify --all --json']);
  withExamples(
    command.command('list', { isDefault: true }).description('every receipt under migrations/ (the default)'),
    ['varve receipts list --json'],
  ).action(act(list));
  withExamples(
    command.command('show').description('one receipt').argument('<path>', 'of a run_receipt.json'),
    ['varve receipts show migrations/pipeline/PIPE-MIG-2026-05-12-01/receipts/run_receipt.json'],
  ).action(act(show));
  withExamples(
    command
      .command('verify')
      .description('whether receipts hold, from files alone; opens no database')
      .argument('[path]', 'of one run_receipt.json')
      .option('--all', 'everything under migrations/'),
    ['varve receipts verify --all'],
  ).action(act(verify));
}

async function list(context: Context): Promise<CommandResult> {
  const root = migrationsRoot((await context.project()).dir);
  const { receipts } = inProject(await verifyAll(folderReader(root)));
  return { status: 'ok', fields: { receipts }, text: (style) => receiptsText(style, receipts) };
}

async function show(context: Context, path: string): Promise<CommandResult> {
  const root = migrationsRoot((await context.project()).dir);
  const bytes = await folderReader(root).read(pathUnder(root, context, path));
  const receipt = bytes === undefined ? undefined : readReceipt(bytes);
  if (receipt === undefined) return refusedResult([noReceipt(path)]);
  return { status: 'ok', fields: { receipt }, text: (style) => receiptText(style, receipt) };
}

async function verify(
  context: Context,
  path: string | undefined,
  { all }: { readonly all?: true },
): Promise<CommandResult> {
  if ((path === undefined) !== (all === true)) {
    return refusedResult([
      usageFinding('one of PATH and --all is needed', 'Name a receipt, or write --all.'),
    ]);
  }
  const root = migrationsRoot((await context.project()).dir);
  const reader = folderReader(root);
  const verification =
    path === undefined
      ? await verifyAll(reader)
      : await verifyReceipt(reader, pathUnder(root, context, path));
  const { files, receipts, findings } = verification;
  return {
    status: findings.some(({ severity }) => severity === 'error') ? 'refused' : 'ok',
    findings,
    fields: { files, receipts },
    text: (style) => verificationText(style, verification),
  };
}

/** Paths as they are seen from the project's folder. */
function inProject(verification: Verification): Verification {
  const receipts = verification.receipts.map((each) => ({ ...each, path: `migrations/${each.path}` }));
  return { ...verification, receipts };
}

/** A path as a person sees it from where they stand, or as varve prints it, below `migrations/`. */
function pathUnder(root: string, { io }: Context, path: string): string {
  const fromHere = relative(root, resolve(io.workingDir, path));
  return (fromHere.startsWith('..') ? path : fromHere).split(sep).join('/');
}

function readReceipt(bytes: Uint8Array): Receipt | undefined {
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Receipt> | null;
    return typeof value?.run_id === 'string' && value.environment !== undefined
      ? (value as Receipt)
      : undefined;
  } catch {
    return undefined;
  }
}

function noReceipt(path: string): Finding {
  const hint = 'Name a run_receipt.json as `varve receipts list` shows it.';
  return refusal('receipt_invalid', path, { detail: { reason: 'missing' }, hint });
}

function receiptsText(style: Style, receipts: Verification['receipts']): string {
  if (receipts.length === 0) return 'There are no receipts yet.';
  return tableText(
    style,
    [{ head: 'migration' }, { head: 'outcome' }, { head: 'holds' }, { head: 'receipt' }],
    receipts.map(({ migrationId, outcome, status, path }) => [
      migrationId,
      outcome.replaceAll('_', ' '),
      status === 'verified' ? style('green', 'yes') : style('red', 'no'),
      path,
    ]),
  );
}

function verificationText(style: Style, { files, receipts, findings }: Verification): string {
  const looked = `Looked at ${countOf(files, 'file')} and ${countOf(receipts.length, 'receipt')}`;
  const text =
    findings.length === 0
      ? `${looked}: everything holds.`
      : `${looked}: ${countOf(findings.length, 'finding')}.`;
  return style(findings.length === 0 ? 'green' : 'red', text);
}

function receiptText(style: Style, receipt: Receipt): string {
  const { validation, rollback, enforcement, environment } = receipt;
  const checks = validation.checks.map(({ name, status }) => [
    name,
    status === 'pass' ? style('green', status) : style('red', status),
  ]);
  return [
    `${style('bold', receipt.migration_id)}  ${receipt.direction}  ${receipt.outcome.replaceAll('_', ' ')}`,
    `run          ${receipt.run_id}`,
    `by           ${receipt.actor.principal} on ${environment.host} in ${environment.name}`,
    `from, to     ${receipt.started_at}, ${receipt.finished_at}`,
    `commit       ${environment.git_commit ?? 'none'}`,
    `bundle       ${receipt.bundle_digest}`,
    `plan         ${receipt.plan_digest}`,
    `enforcement  ${enforcement.level} (${enforcement.layers.join(', ')})`,
    `way back     ${rollback.class}`,
    tableText(style, [{ head: 'check' }, { head: 'status' }], checks),
  ].join('\n');
}

import type { Command } from 'commander';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { refusal, type Finding } from '../../base/index.ts';
import type { Receipt, Verification, VerifyOptions } from '../../evidence/index.ts';
import { listReceipts, showReceipt, verifyReceipts, type ReceiptLine } from '../../migration/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { usageFinding } from '../failure.ts';
import { countOf, tableText, type CommandResult, type Style } from '../output.ts';
import { migrationsRoot } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve receipts list|show|verify`: from files alone, no database is opened. */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve receipts', 'varve receipts verify --all --json']);
  withExamples(
    command.command('list', { isDefault: true }).description('every closed run, oldest first (the default)'),
    ['varve receipts list --json'],
  ).action(act(list));
  withExamples(
    command
      .command('show')
      .description('one receipt')
      .argument('<which>', 'a run id, a receipt digest, or a migration id for its latest run'),
    ['varve receipts show PIPE-MIG-2026-05-12-01'],
  ).action(act(show));
  withExamples(
    command
      .command('verify')
      .description('hold receipts against their evidence, offline')
      .argument('[path]', 'a receipt, a bundle, or a migrations folder; default: all of the project')
      .option('--all', 'everything in the migrations folder of the project')
      .option('--head <file>', 'a ledger head that was kept elsewhere: shows a tail that is lost since'),
    [
      'varve receipts verify --all',
      'varve receipts verify --head ~/heads/prod.head.json',
      'varve receipts verify migrations/pipeline/PIPE-MIG-2026-05-12-01/receipts/run_receipt.json',
    ],
  ).action(act(verify));
}

async function list(context: Context): Promise<CommandResult> {
  const receipts = await listReceipts(await rootOf(context));
  return { status: 'ok', fields: { receipts }, text: (style) => receiptsText(style, receipts) };
}

async function show(context: Context, which: string): Promise<CommandResult> {
  const outcome = await showReceipt(await rootOf(context), which);
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { digest, receipt } = outcome;
  return { status: 'ok', fields: { digest, receipt }, text: (style) => receiptText(style, receipt) };
}

async function verify(
  context: Context,
  path: string | undefined,
  { all, head }: { readonly all?: true; readonly head?: string },
): Promise<CommandResult> {
  if (path !== undefined && all === true) {
    return refusedResult([usageFinding('PATH and --all at once', 'Name a receipt, or write --all.')]);
  }
  // A path needs no project: whoever is given a folder of evidence can check it.
  const place = path === undefined ? await rootOf(context) : resolve(context.io.workingDir, path);
  const kept = await keptHead(context, head);
  if ('code' in kept) return refusedResult([kept]);
  const verification = await verifyReceipts(place, kept);
  const { files, receipts, findings } = verification;
  return {
    status: findings.some(({ severity }) => severity === 'error') ? 'refused' : 'ok',
    findings,
    fields: { files, receipts },
    text: (style) => verificationText(style, verification),
  };
}

async function keptHead(
  context: Context,
  file: string | undefined,
): Promise<Pick<VerifyOptions, 'keptHead'> | Finding> {
  if (file === undefined) return {};
  try {
    const bytes = new Uint8Array(await readFile(resolve(context.io.workingDir, file)));
    return { keptHead: { path: file, bytes } };
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    const hint = 'Name the copy of an ENVIRONMENT.head.json that was kept.';
    return refusal('evidence_missing', file, { detail: { reason }, hint });
  }
}

async function rootOf(context: Context): Promise<string> {
  return migrationsRoot((await context.project()).dir);
}

function receiptsText(style: Style, receipts: readonly ReceiptLine[]): string {
  if (receipts.length === 0) return 'There are no receipts yet.';
  const heads = ['closed', 'environment', 'migration', 'direction', 'receipt'].map((head) => ({ head }));
  return tableText(
    style,
    heads,
    receipts.map(({ at, environment, migrationId, direction, digest }) => [
      at,
      environment,
      migrationId,
      direction,
      digest,
    ]),
  );
}

function verificationText(style: Style, { files, receipts, findings }: Verification): string {
  const lines = receipts.map(({ status, migrationId, outcome, path }) => {
    const word = status === 'verified' ? style('green', 'verified') : style('red', 'refuted ');
    return `${word}  ${migrationId}  ${outcome}  ${path}`;
  });
  const looked = `Looked at ${countOf(files, 'file')} and ${countOf(receipts.length, 'receipt')}`;
  const sum =
    findings.length === 0
      ? `${looked}: everything holds.`
      : `${looked}: ${countOf(findings.length, 'finding')}.`;
  return [...lines, sum].join('\n');
}

function receiptText(style: Style, receipt: Receipt): string {
  const { validation, rollback, enforcement, environment } = receipt;
  const checks = validation.checks.map(({ name, status, required }) => [
    name,
    status === 'pass' ? style('green', status) : required === false ? status : style('red', status),
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
    ...(typeof receipt.signed_by === 'string' ? [`signed by    ${receipt.signed_by}`] : []),
    ...(receipt.direction === 'retire' ? [] : [`way back     ${rollback.class}`]),
    ...receipt.approvals.map((digest) => `approved     ${digest}`),
    tableText(style, [{ head: 'check' }, { head: 'status' }], checks),
  ].join('\n');
}

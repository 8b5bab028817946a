import type { TableCounts } from '../evidence/index.ts';
import type { RunOutcome } from '../migration/index.ts';
import { countText, tableText, type CommandResult, type Style } from './output.ts';

const CLASSES = ['keep', 'rekey', 'backfill', 'recompute', 'retire', 'ambiguous'] as const;
/** Always shown, since they are what a plan is read for; the others only where a row is in them. */
const ALWAYS: readonly string[] = ['keep', 'backfill', 'recompute', 'retire', 'ambiguous'];

/** Every affected table with its rows by class. */
export function countsText(style: Style, tables: readonly TableCounts[]): string {
  const classes = CLASSES.filter((name) => ALWAYS.includes(name) || tables.some((line) => line[name] > 0));
  return tableText(
    style,
    [{ head: 'table' }, ...classes.map((head) => ({ head, align: 'right' as const })), { head: '' }],
    tables.map((line) => [
      line.table,
      ...classes.map((name) => (line[name] === 0 ? style('dim', '0') : countText(line[name]))),
      line.ambiguous > 0 ? style('yellow', '!') : '',
    ]),
  );
}

/** The counts of one table as the JSON of a plan and of a run says them. */
export function countsFields(tables: readonly TableCounts[]): readonly Readonly<Record<string, unknown>>[] {
  return tables.map(({ table, keep, rekey, backfill, recompute, retire, ambiguous, carried }) => ({
    table,
    keep,
    rekey,
    backfill,
    recompute,
    retire,
    ambiguous,
    carried,
  }));
}

/** The result of apply, rollback, and of each run that recovery settled. */
export function runResult(migrationId: string, outcome: RunOutcome): CommandResult {
  const { findings } = outcome;
  if (outcome.status === 'refused') return { status: 'refused', findings };
  const fields = runFields(migrationId, outcome);
  if (outcome.status !== 'applied') {
    return { status: outcome.status, findings, fields, text: () => unappliedText(migrationId, outcome) };
  }
  return { status: 'ok', findings, fields, text: (style) => appliedText(style, outcome) };
}

type Begun = Exclude<RunOutcome, { readonly status: 'refused' }>;
type Applied = Extract<RunOutcome, { readonly status: 'applied' }>;

/** What the JSON says of a run that was opened. */
export function runFields(migrationId: string, outcome: Begun): Readonly<Record<string, unknown>> {
  const { runId, receipt } = outcome;
  const ran = { runId, migrationId, receipt: receiptFields(receipt) };
  if (outcome.status !== 'applied') return ran;
  const { direction, already, tables, enforcement } = outcome;
  return { ...ran, direction, already, tables: countsFields(tables), enforcement };
}

function receiptFields(receipt: Begun['receipt']): unknown {
  return receipt === undefined ? null : { path: `migrations/${receipt.path}`, digest: receipt.digest };
}

function appliedText(style: Style, outcome: Applied): string {
  const { runId, receipt, tables } = outcome;
  return [
    style('bold', headText(outcome)),
    ...(tables.length === 0
      ? []
      : [outcome.direction === 'retire' ? letGoText(style, tables) : countsText(style, tables)]),
    `run      ${runId}`,
    `receipt  migrations/${receipt.path}`,
    `         ${receipt.digest}`,
  ].join('\n');
}

function headText({ migrationId, direction, already }: Applied): string {
  if (direction === 'retire') {
    return already
      ? `What ${migrationId} superseded was let go before; nothing was done now.`
      : `What ${migrationId} superseded is let go.`;
  }
  const done = direction === 'forward' ? 'applied' : 'rolled back';
  return already ? `${migrationId} was ${done} before; nothing was done now.` : `${migrationId} is ${done}.`;
}

/** Of what is let go there is one class of rows only. */
function letGoText(style: Style, tables: readonly TableCounts[]): string {
  return tableText(
    style,
    [{ head: 'table' }, { head: 'rows let go', align: 'right' }],
    tables.map(({ table, retire }) => [table, countText(retire)]),
  );
}

function unappliedText(
  migrationId: string,
  { status, runId, receipt, findings }: Exclude<Begun, Applied>,
): string {
  const isDecided = findings.some(({ code }) => code === 'after_incomplete');
  const head =
    status === 'rolled_back'
      ? `${migrationId} was undone: what stands in the database is the baseline of the run.`
      : isDecided
        ? `The run of ${migrationId} is decided and stands; work after it is left. Run varve recover.`
        : `What became of ${migrationId} is not known. Run varve recover.`;
  return [
    head,
    `run      ${runId}`,
    ...(receipt === undefined ? [] : [`receipt  migrations/${receipt.path}`]),
  ].join('\n');
}

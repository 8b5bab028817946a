import type { TableCounts } from '../evidence/index.ts';
import type { RunOutcome } from '../migration/index.ts';
import { countText, tableText, type CommandResult, type Style } from './output.ts';

const CLASSES = ['keep', 'rekey', 'backfill', 'recompute', 'retire', 'ambiguous', 'carried'] as const;
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

const REASONS_SHOWN = 5;

/** Why rows are in their classes, the most frequent reasons of each table first. */
export function reasonsText(style: Style, reasons: readonly Reason[]): string {
  const tables = [...new Set(reasons.map(({ table }) => table))];
  const rows = tables.flatMap((name) => {
    const own = reasons
      .filter(({ table }) => table === name)
      .toSorted((left, right) => right.rows - left.rows);
    const rest = own.slice(REASONS_SHOWN).reduce((sum, each) => sum + each.rows, 0);
    return [
      ...own.slice(0, REASONS_SHOWN).map((each) => [each.table, each.class, countText(each.rows), each.why]),
      ...(rest === 0 ? [] : [[name, '', countText(rest), 'other reasons']]),
    ];
  });
  return tableText(
    style,
    [{ head: 'table' }, { head: 'class' }, { head: 'rows', align: 'right' }, { head: 'why' }],
    rows,
  );
}

/** A fact that decides over rows of a table. */
export interface Reason {
  readonly table: string;
  readonly class: string;
  readonly why: string;
  readonly rows: number;
}

/** What an evolution is likely to take: `about 2 min of makes, 1.2 GB beside`. */
export function costText({
  makeSeconds,
  sizeBytes,
}: {
  readonly makeSeconds: number | null;
  readonly sizeBytes: number;
}): string {
  const makes =
    makeSeconds === null
      ? 'makes of which no time is recorded'
      : makeSeconds === 0
        ? 'no makes'
        : `about ${spanText(makeSeconds)} of makes`;
  return `${makes}, ${sizeText(sizeBytes)} beside`;
}

function spanText(seconds: number): string {
  if (seconds < 1) return 'a second';
  if (seconds < 90) return `${String(Math.round(seconds))} s`;
  if (seconds < 5_400) return `${String(Math.round(seconds / 60))} min`;
  return seconds < 129_600 ? `${(seconds / 3_600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} days`;
}

const SIZES = ['kB', 'MB', 'GB', 'TB'] as const;

function sizeText(bytes: number): string {
  let size = bytes / 1_000;
  for (const unit of SIZES) {
    if (size < 1_000 || unit === 'TB') return `${size < 10 ? size.toFixed(1) : size.toFixed(0)} ${unit}`;
    size /= 1_000;
  }
  return '';
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

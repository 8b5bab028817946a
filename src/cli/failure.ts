import { CommanderError } from 'commander';
import {
  ERROR_CODES,
  isVarveError,
  messageOf,
  refusal,
  type ErrorCode,
  type Finding,
  type Severity,
  type VarveError,
} from '../base/index.ts';
import type { CommandResult, Status, Style } from './output.ts';

const STATUS_BY_EXIT: Readonly<Record<1 | 2 | 3 | 4 | 5, Status>> = {
  1: 'failed',
  2: 'refused',
  3: 'refused',
  4: 'rolled_back',
  5: 'indeterminate',
};

/**
 * What a caught value means to the outside: a result with one finding, like that of any other refusal.
 * An exception that nobody foresaw is `internal` and shows its text alone, for its fields are not known to be harmless.
 */
export function failureResult(thrown: unknown): CommandResult {
  if (thrown instanceof CommanderError) return usageResult(thrown);
  if (isVarveError(thrown)) {
    return { status: STATUS_BY_EXIT[ERROR_CODES[thrown.code].exit], findings: [errorFinding(thrown)] };
  }
  const reason = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  const hint = 'Set VARVE_DEBUG=1 to see the stack, and report it.';
  return { status: 'failed', findings: [refusal('internal', 'varve', { detail: { reason }, hint })] };
}

/** The finding that says what an exception of varve's own says. */
export function errorFinding({ code, detail, hint }: VarveError, severity: Severity = 'error'): Finding {
  const { subject, ...rest } = detail;
  const named = subject ?? detail['location'] ?? detail['table'];
  return { code, severity, subject: typeof named === 'string' ? named : 'varve', detail: rest, hint };
}

function usageResult(thrown: CommanderError): CommandResult {
  if (thrown.code === 'commander.help')
    return { status: 'refused', findings: [usageFinding('no command given')] };
  const reason = thrown.message.replace(/^error: /u, '').replace(/\s*\n\s*/gu, ' ');
  return { status: 'refused', findings: [usageFinding(reason)] };
}

/** A call that is not understood. */
export function usageFinding(reason: string, hint = 'Ask with --help for what is understood.'): Finding {
  return refusal('usage', 'command line', { detail: { reason }, hint });
}

/** Whether commander stopped only because it has printed what was asked for: help or version. */
export function isHelp(thrown: unknown): boolean {
  return thrown instanceof CommanderError && thrown.exitCode === 0;
}

/** The exit status of a result: its first refusing finding decides, then its status. */
export function exitStatus({ status, findings = [] }: CommandResult): number {
  if (status === 'ok') return 0;
  if (status === 'rolled_back') return 4;
  if (status === 'indeterminate') return 5;
  const decisive = findings.find(({ severity }) => severity === 'error');
  // What failed had begun, so a code that would refuse a beginning counts as a failure too; only a fault of varve's own is told apart.
  if (status === 'failed') return decisive !== undefined && ERROR_CODES[decisive.code].exit === 1 ? 1 : 4;
  return decisive === undefined ? 3 : ERROR_CODES[decisive.code].exit;
}

/** Findings for people: code, subject, what and, on a line of its own, what to do next; the same advice is given once. */
export function findingsText(style: Style, findings: readonly Finding[]): string {
  const given = new Set<string>();
  return findings
    .map((finding) => {
      const isGiven = given.has(finding.hint);
      given.add(finding.hint);
      return findingText(style, isGiven ? { ...finding, hint: 'As above.' } : finding);
    })
    .join('');
}

const COLOUR_BY_SEVERITY = { error: 'red', review: 'yellow', warning: 'yellow', info: 'cyan' } as const;

function findingText(style: Style, { severity, code, subject, detail, hint }: Finding): string {
  const head = style(COLOUR_BY_SEVERITY[severity], `${severity}: ${code}`);
  return `${head}  ${style('bold', subject)}  ${describe(code, detail)}\n  ${hint}\n`;
}

function describe(code: ErrorCode, detail: Finding['detail']): string {
  const { reason, ...rest } = detail;
  if (typeof reason !== 'string') return messageOf(code, detail);
  return Object.keys(rest).length === 0 ? reason : `${reason} (${messageOf(code, rest)})`;
}

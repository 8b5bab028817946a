import type { ErrorCode } from './error-code.ts';
import type { JsonObject } from './json.ts';

/** How much a finding weighs: `error` refuses, `review` refuses until approved, `warning` and `info` only tell. */
export type Severity = 'error' | 'review' | 'warning' | 'info';

/**
 * Something a check has to say: the one object that the CLI, HTTP, the page and the receipt print.
 *
 * Shape: `{ code: 'unknown_table', severity: 'error', subject: 'lab.mouze', detail: { nearest: 'lab.mouse' }, hint: 'Ask for lab.mouse.' }`
 * Invariant: JSON-safe; `detail` never holds a row's values other than keys that the caller itself named.
 */
export interface Finding {
  readonly code: ErrorCode;
  readonly severity: Severity;
  /** What it is about: a table `schema.table`, a column `schema.table.column`, a file and line, a migration id. */
  readonly subject: string;
  readonly detail: JsonObject;
  /** What to do next, in the imperative. */
  readonly hint: string;
}

/** A finding that refuses. */
export function refusal(
  code: ErrorCode,
  subject: string,
  options: { readonly detail?: JsonObject; readonly hint: string },
): Finding {
  return { code, severity: 'error', subject, detail: options.detail ?? {}, hint: options.hint };
}

/** Whether any of these findings refuses. */
export function isRefused(findings: readonly Finding[]): boolean {
  return findings.some(({ severity }) => severity === 'error' || severity === 'review');
}

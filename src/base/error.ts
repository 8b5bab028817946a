import { ERROR_CODES, type ErrorCode } from './error-code.ts';
import type { JsonObject } from './json.ts';

/** What an exception carries beside its code. `detail` never holds a row's values. */
export interface VarveErrorOptions {
  readonly detail?: JsonObject;
  /** What to do next, in the imperative. */
  readonly hint: string;
  readonly cause?: unknown;
}

/**
 * The one exception of varve: bugs and infrastructure. A refusal is no exception but a list of findings.
 *
 * Shape: `{ name: 'VarveError', code: 'database_unreachable', detail: { location: 'postgres://db:5432/lab' }, hint: '...' }`
 * Invariant: the message is derived from code and detail, so nothing ever matches on it.
 */
export class VarveError extends Error {
  override readonly name: string = 'VarveError';
  readonly code: ErrorCode;
  readonly detail: JsonObject;
  readonly hint: string;

  constructor(code: ErrorCode, options: VarveErrorOptions) {
    super(
      messageOf(code, options.detail ?? {}),
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.detail = options.detail ?? {};
    this.hint = options.hint;
  }
}

/** Whether a caught value is varve's own exception, with this code if one is asked for. */
export function isVarveError(value: unknown, code?: ErrorCode): value is VarveError {
  return value instanceof VarveError && (code === undefined || value.code === code);
}

/** The text of a code and its fields; the same for an exception and for a finding. */
export function messageOf(code: ErrorCode, detail: JsonObject): string {
  const fields = Object.entries(detail).map(([name, value]) => `${name} ${fieldText(value)}`);
  const summary = ERROR_CODES[code].summary;
  return fields.length === 0 ? summary : `${summary}: ${fields.join(', ')}`;
}

function fieldText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

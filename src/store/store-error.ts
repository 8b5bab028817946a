import { VarveError, type ErrorCode } from '../base/index.ts';

/** What is kept of a database error; its message, DETAIL and HINT are dropped, since they quote row values. */
export interface StoreErrorFields {
  readonly sqlstate: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly dataType?: string;
  /** 1-based offset into the statement's text. */
  readonly position?: number;
}

/** A database error, wrapped once in the driver. Callers branch on `sqlstate`. */
export class StoreError extends VarveError {
  override readonly name = 'StoreError';
  readonly fields: StoreErrorFields;

  constructor(code: ErrorCode, fields: StoreErrorFields, hint: string) {
    super(code, { detail: { ...fields }, hint });
    this.fields = fields;
  }
}

/** Whether a caught value is a database error, with one of these SQLSTATEs if any are given. */
export function isStoreError(value: unknown, ...sqlstates: readonly string[]): value is StoreError {
  return value instanceof StoreError && (sqlstates.length === 0 || sqlstates.includes(value.fields.sqlstate));
}

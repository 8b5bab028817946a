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
  /** The operating system's or the runtime's name of the fault, such as `ECONNREFUSED`. */
  readonly system?: string;
  /** Where the store is, without credentials; on errors of reaching it. */
  readonly location?: string;
}

/** A database error, wrapped once in the driver. Callers branch on `sqlstate`. */
export class StoreError extends VarveError {
  override readonly name = 'StoreError';
  readonly fields: StoreErrorFields;

  /** `cause` is for a failure during a failure; never the driver's own error, whose text quotes values. */
  constructor(code: ErrorCode, fields: StoreErrorFields, hint: string, cause?: AggregateError) {
    super(code, { detail: { ...fields }, hint, cause });
    this.fields = fields;
  }
}

/** Whether a caught value is a database error, with one of these SQLSTATEs if any are given. */
export function isStoreError(value: unknown, ...sqlstates: readonly string[]): value is StoreError {
  return value instanceof StoreError && (sqlstates.length === 0 || sqlstates.includes(value.fields.sqlstate));
}

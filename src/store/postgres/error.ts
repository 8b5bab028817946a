import { isVarveError, VarveError, type ErrorCode } from '../../base/index.ts';
import { StoreError, type StoreErrorFields } from '../store-error.ts';

/**
 * A driver's error as varve's own, by SQLSTATE; the longest prefix counts. Message, DETAIL and HINT are dropped.
 * Source: PostgreSQL, "Appendix A. Error Codes".
 */
export function toStoreError(error: unknown, location: string): VarveError {
  if (isVarveError(error)) return error;
  const fault = readFault(error);
  const code = codeOf(fault.sqlstate);
  const where = LOCATED.has(code) ? { location } : {};
  return new StoreError(code, { ...fault, ...where }, HINTS[fault.sqlstate] ?? HINTS[code] ?? HINT);
}

/** Both failures of a failure during a failure; the first one names the code. */
export function withSecondFailure(first: unknown, second: unknown): VarveError {
  const cause = new AggregateError([first, second]);
  if (first instanceof StoreError) return new StoreError(first.code, first.fields, first.hint, cause);
  if (isVarveError(first)) {
    return new VarveError(first.code, { detail: first.detail, hint: first.hint, cause });
  }
  return new VarveError('database_error', { hint: HINT, cause });
}

/** Whether the session can no longer be used after this error. */
export function endsSession(error: unknown): boolean {
  return error instanceof StoreError && /^(08|25P03|57P)/.test(error.fields.sqlstate);
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  '08': 'database_unreachable',
  '0A': 'sql_invalid',
  '22': 'sql_invalid',
  '23': 'constraint_violated',
  '25006': 'sql_invalid',
  '25P03': 'database_unreachable',
  '28': 'permission_denied',
  '3D': 'database_unreachable',
  '3F': 'sql_invalid',
  '40': 'transaction_conflict',
  '42': 'sql_invalid',
  '42501': 'permission_denied',
  '53100': 'database_full',
  '53300': 'database_unreachable',
  '55P03': 'transaction_conflict',
  '57014': 'statement_cancelled',
  '57P': 'database_unreachable',
};

/** Codes of reaching the store, where it matters which one was meant. */
const LOCATED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'database_unreachable',
  'permission_denied',
  'database_full',
]);

const HINT = 'Look up the SQLSTATE in the database log, which has the whole message.';

/** By SQLSTATE where one has its own way out, else by code. */
const HINTS: Readonly<Partial<Record<string, string>>> = {
  '25006': 'Run the statement in a transaction that may write.',
  '25P02': 'Let the error of a failed statement leave the transaction, or run the statement in a savepoint.',
  '28000': 'Correct the user name, or let this user in (pg_hba.conf).',
  '28P01': 'Correct the user name or the password.',
  '3D000': 'Create the database, or correct its name.',
  '53300': 'Raise max_connections, or lower the pool size.',
  constraint_violated: 'Correct the row that breaks the constraint, or the constraint.',
  database_full: 'Make room on the disk that holds the database, then repeat.',
  database_unreachable: 'Check host, port and network, and that the server runs; then repeat.',
  permission_denied: 'Grant the right to this user, or connect as one that has it.',
  sql_invalid: 'Correct the statement at this position.',
  statement_cancelled: 'Repeat, with a longer timeout if it was one that struck.',
  transaction_conflict: 'Repeat the transaction.',
};

function codeOf(sqlstate: string): ErrorCode {
  for (const length of [5, 3, 2]) {
    const code = CODES[sqlstate.slice(0, length)];
    if (code !== undefined) return code;
  }
  return 'database_error';
}

function readFault(error: unknown): StoreErrorFields {
  const fault =
    typeof error === 'object' && error !== null ? (error as Readonly<Record<string, unknown>>) : {};
  const code = fault['code'];
  if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in fault) {
    return { sqlstate: code, ...namesOf(fault) };
  }
  if (typeof code === 'string') return { sqlstate: SQLSTATE_BY_SYSTEM[code] ?? '08006', system: code };
  // The client's own faults carry no code. Those of authentication begin with the protocol's name; all others are about
  // a connection that was lost or not made in time.
  const text = error instanceof Error ? error.message : '';
  return { sqlstate: text.startsWith('SASL') ? '28P01' : '08006' };
}

const SQLSTATE_BY_SYSTEM: Readonly<Record<string, string>> = {
  EACCES: '42501',
  EAI_AGAIN: '08001',
  ECONNREFUSED: '08001',
  EDQUOT: '53100',
  EHOSTUNREACH: '08001',
  ENOENT: '08001',
  ENOSPC: '53100',
  ENOTFOUND: '08001',
  EPERM: '42501',
  EROFS: '42501',
  ETIMEDOUT: '08001',
};

/** Names of objects; none of these holds a row's value. */
function namesOf(fault: Readonly<Record<string, unknown>>): Partial<StoreErrorFields> {
  const names = ['schema', 'table', 'column', 'constraint', 'dataType'] as const;
  const given = names.flatMap((name) => (typeof fault[name] === 'string' ? [[name, fault[name]]] : []));
  const position = Number(fault['position']);
  return {
    ...(Object.fromEntries(given) as Partial<StoreErrorFields>),
    ...(Number.isInteger(position) && position > 0 ? { position } : {}),
  };
}

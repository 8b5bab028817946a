import type { TransactionStmtKind } from 'libpg-query';

import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const transactionOpen: LintRule = {
  code: 'lint_transaction_open',
  severity: 'error',
  finds: `BEGIN without a COMMIT before the end of the script`,
  why: `The connection closes and takes everything back, without an error.`,
  remedy: `Write COMMIT at the end.`,
  example: {
    instead: `begin;
create table geo.note (note_id bigint);`,
    write: `begin;
create table geo.note (note_id bigint);
commit;`,
  },
  find,
};

function find({ statement: { node, start }, history, isLast, setting }: LintView): readonly Hit[] {
  if (!isLast || setting.inTransaction) return [];
  const { kind, chain } = 'TransactionStmt' in node ? node.TransactionStmt : {};
  const begins = kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START' || chain === true;
  const ends = kind !== undefined && ENDS.includes(kind) && chain !== true;
  const at = history.openedAt ?? (begins ? start : undefined);
  return at === undefined || ends ? [] : [{ subject: 'BEGIN', reason: 'nothing ends the transaction', at }];
}

const ENDS: readonly TransactionStmtKind[] = [
  'TRANS_STMT_COMMIT',
  'TRANS_STMT_ROLLBACK',
  'TRANS_STMT_PREPARE',
];

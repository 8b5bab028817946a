import type { TransactionStmtKind } from 'libpg-query';

import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const transactionControl: LintRule = {
  code: 'lint_transaction_control',
  severity: 'error',
  finds: `BEGIN in a transaction, COMMIT or ROLLBACK outside one, and any of them in a script whose runner puts it into one`,
  why: `PostgreSQL only warns: the transaction ends earlier than it seems to, and what follows runs without one.`,
  remedy: `Leave transactions to the runner, or write BEGIN and COMMIT in pairs.`,
  example: {
    instead: `begin;
begin;
create table geo.note (note_id bigint);
commit;`,
    write: `begin;
create table geo.note (note_id bigint);
commit;`,
  },
  find,
};

function find({ statement: { node }, history, setting }: LintView): readonly Hit[] {
  if (!('TransactionStmt' in node)) return [];
  const { kind = 'TRANS_STMT_BEGIN' } = node.TransactionStmt;
  const subject = WORDS[kind];
  if (subject === undefined) return [];
  if (setting.inTransaction) return [{ subject, reason: 'its runner has put the script into a transaction' }];
  const begins = subject === 'BEGIN';
  if (begins && history.inTransaction) return [{ subject, reason: 'a transaction is open already' }];
  return begins || history.inTransaction ? [] : [{ subject, reason: 'no transaction is open' }];
}

const WORDS: Readonly<Partial<Record<TransactionStmtKind, string>>> = {
  TRANS_STMT_BEGIN: 'BEGIN',
  TRANS_STMT_START: 'BEGIN',
  TRANS_STMT_COMMIT: 'COMMIT',
  TRANS_STMT_ROLLBACK: 'ROLLBACK',
  TRANS_STMT_PREPARE: 'PREPARE TRANSACTION',
};

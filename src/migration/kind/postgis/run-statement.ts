/**
 * One statement in the deciding transaction, by the extended protocol, which refuses a text of two (M76). After it the
 * transaction is the same and still open, or the connection is cut at once (M77).
 */
import { refusal, VarveError, type Finding } from '../../../base/index.ts';
import { isStoreError, sql, type StoreError, type Transaction } from '../../../store/index.ts';
import { isTransient, isUnreachable } from '../../failure.ts';
import { forgedPlan, IS_FORGED } from './own-plans.ts';
import { subjectOf, type Statement } from './script.ts';
import { refusedHint } from './sqlstate.ts';

/** What the guards of protected tables raise. */
const DENIED = 'VV001';

/**
 * Sends a statement; what the database refuses is a finding.
 *
 * Errors: throws `transaction_escape`, and what is to be tried again or tells that the store is gone.
 */
export async function runStatement(
  transaction: Transaction,
  statement: Statement,
  about: { readonly transactionId: string; readonly statementCount: number },
): Promise<readonly Finding[]> {
  try {
    await transaction.execute(sql.raw(statement.text));
  } catch (error) {
    if (transaction.status() === 'idle' && !isUnreachable(error)) throw escaped(transaction, statement);
    if (!isStoreError(error) || isTransient(error) || isUnreachable(error)) throw error;
    return [failureOf(error, statement, about.statementCount)];
  }
  await assertSame(transaction, statement, about.transactionId);
  return [];
}

async function assertSame(transaction: Transaction, statement: Statement, id: string): Promise<void> {
  if (transaction.status() !== 'open') throw escaped(transaction, statement);
  const [row] = await transaction.query<{ id: string | null; isForged: boolean }>(
    sql`select pg_catalog.pg_current_xact_id_if_assigned()::text as id, ${IS_FORGED} as "isForged"`,
  );
  if (row?.id !== id) throw escaped(transaction, statement);
  if (row.isForged) throw forgedPlan(transaction, subjectOf(statement.file, statement.place));
}

function escaped(transaction: Transaction, { file, place, ordinal }: Statement): VarveError {
  transaction.cut();
  return new VarveError('transaction_escape', {
    detail: { subject: subjectOf(file, place), statement: ordinal },
    hint: 'The connection was cut. Look at what the statement committed, and take out what ends the transaction.',
  });
}

/** Of a database error only names and places are kept (M126). */
function failureOf({ fields }: StoreError, statement: Statement, count: number): Finding {
  const { sqlstate, schema, table, column, constraint, dataType, position } = fields;
  if (sqlstate === DENIED) {
    return refusal('protected_domain_changed', `${schema ?? ''}.${table ?? ''}`, {
      detail: { statement: statement.ordinal, at: subjectOf(statement.file, statement.place) },
      hint: 'The statement, or what it set off, writes to a protected table, which refused. Nothing was changed.',
    });
  }
  const place =
    position === undefined ? statement.place : statement.placeOf(unitsOf(statement.text, position - 1));
  const names = { schema, table, column, constraint, dataType };
  const known = Object.entries(names).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return refusal('statement_failed', subjectOf(statement.file, place), {
    detail: { statement: statement.ordinal, of: count, sqlstate, ...Object.fromEntries(known) },
    hint: refusedHint(sqlstate, 'Nothing was changed.'),
  });
}

/** The server counts characters, a text its UTF-16 units. */
function unitsOf(text: string, characters: number): number {
  let units = 0;
  for (const character of text) {
    if (characters <= 0) break;
    units += character.length;
    characters -= 1;
  }
  return units;
}

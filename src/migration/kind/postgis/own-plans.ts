/**
 * The session keeps the plans of some statements by which a run is observed, each under a name. A script that runs text of its own,
 * or calls a function that does, could put another statement in the place of one: what is asked by that name would be answered
 * by the script. A plan that the protocol made is told from one that a statement made, and no statement makes one of the former.
 */
import { VarveError } from '../../../base/index.ts';
import { sql, type Sql, type Transaction } from '../../../store/index.ts';

/** Whether a statement of the session put a plan in such a place. To be asked by a statement whose plan is not kept. */
export const IS_FORGED: Sql = sql`exists (select from pg_catalog.pg_prepared_statements p
  where p.from_sql and pg_catalog.starts_with(p.name, 'varve_plan_'))`;

/** Looks, after something of the script ran that was no statement of its own. Errors: throws `guard_changed`. */
export async function assertOwnPlans(transaction: Transaction, subject: string): Promise<void> {
  const [row] = await transaction.query<{ isForged: boolean }>(sql`select ${IS_FORGED} as "isForged"`);
  if (row?.isForged !== false) throw forgedPlan(transaction, subject);
}

/** A session with such a plan is never used again. */
export function forgedPlan(transaction: Transaction, subject: string): VarveError {
  transaction.cut();
  return new VarveError('guard_changed', {
    detail: { subject, layers: ['L5', 'L7', 'L8'] },
    hint: 'The script, or a function that it called, prepared a statement under a name of varve. Take that out; nothing was changed.',
  });
}

/** Queries of the declaration that have to give one value, asked before the commit. */
import { refusal, VarveError, type Finding } from '../../../base/index.ts';
import type { Check } from '../../../evidence/index.ts';
import { isStoreError, readScript, sql, type Transaction } from '../../../store/index.ts';
import type { Invariant } from '../../declaration.ts';

/** Invariants that are no single query. */
export async function invariantFaults(invariants: readonly Invariant[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { name, query } of invariants) {
    const { statements, faults } = await readScript(query);
    const [only, another] = statements;
    const isQuery =
      faults.length === 0 && another === undefined && only !== undefined && 'SelectStmt' in only.node;
    if (isQuery) continue;
    const hint = 'Write one SELECT that gives one value.';
    findings.push(
      refusal('declaration_invalid', `invariant ${name}`, { detail: { reason: 'no_query' }, hint }),
    );
  }
  return findings;
}

/** Asks each of them; what it gives is compared and told to nobody. */
export async function checkInvariants(
  transaction: Transaction,
  invariants: readonly Invariant[],
): Promise<{ readonly checks: readonly Check[]; readonly findings: readonly Finding[] }> {
  const checks: Check[] = [];
  const findings: Finding[] = [];
  for (const { name, query, expect } of invariants) {
    const found = await askReadOnly(transaction, query);
    const holds = found.status === 'value' && isSame(found.value, expect);
    checks.push({ name: `invariant: ${name}`, status: holds ? 'pass' : 'fail' });
    if (holds) continue;
    findings.push(
      refusal('invariant_failed', name, {
        detail: { reason: found.status === 'value' ? 'another_value' : found.sqlstate },
        hint: 'Ask the query of this invariant yourself, on a copy that the script ran on. Nothing was changed.',
      }),
    );
  }
  return { checks, findings };
}

type Answer =
  | { readonly status: 'value'; readonly value: unknown }
  | { readonly status: 'failed'; readonly sqlstate: string };

/** Nothing that a query calls may write any more: everything that decides was measured. */
async function askReadOnly(transaction: Transaction, query: string): Promise<Answer> {
  let answer: Answer = { status: 'failed', sqlstate: '02000' };
  const done = new VarveError('internal', {
    hint: 'Report this: what goes back from a savepoint came out of it.',
  });
  try {
    await transaction.savepoint(async () => {
      await transaction.execute(sql`set local transaction_read_only = on`);
      const [row] = await transaction.query(sql.raw(query));
      answer = { status: 'value', value: row === undefined ? null : Object.values(row)[0] };
      // Only the way back from a savepoint lets the transaction write again.
      throw done;
    });
  } catch (error) {
    if (error === done) return answer;
    if (!isStoreError(error)) throw error;
    return { status: 'failed', sqlstate: error.fields.sqlstate };
  }
  return answer;
}

function isSame(found: unknown, expected: Invariant['expect']): boolean {
  if (typeof found === 'bigint') return String(found) === String(expected);
  return (
    found === expected ||
    (typeof found === 'string' && typeof expected === 'number' && Number(found) === expected)
  );
}

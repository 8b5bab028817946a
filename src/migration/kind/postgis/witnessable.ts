/** Whether a run can be witnessed (L9): by the settings of the server, and by what the script does. */
import { sql, type Queryable } from '../../../store/index.ts';
import type { Statement } from './script.ts';

/** PREPARE TRANSACTION refuses what these leave. */
const UNPREPARABLE: readonly string[] = ['NotifyStmt', 'ListenStmt', 'UnlistenStmt'];

/** Why it cannot; empty where it can. What a function does is not seen here: the run then fails at PREPARE. */
export async function unwitnessedReasons(
  queryable: Queryable,
  statements: readonly Statement[],
  allowed: readonly string[],
): Promise<readonly string[]> {
  const [row] = await queryable.query<{ level: string; most: number }>(
    sql`select current_setting('wal_level') as level, current_setting('max_prepared_transactions')::int as most`,
  );
  return [
    ...(row?.level === 'logical' ? [] : ['wal_level']),
    ...((row?.most ?? 0) > 0 ? [] : ['max_prepared_transactions']),
    ...(allowed.includes('temporary_tables') ? ['temporary_tables'] : []),
    ...(statements.some(({ kind }) => UNPREPARABLE.includes(kind)) ? ['notify'] : []),
  ];
}

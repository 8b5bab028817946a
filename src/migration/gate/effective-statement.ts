/** Whether an SQL script does anything, by its parsed statements (M46, R1): comments and `select 1` take nothing back. */

/** Statements that change no data and no catalog. */
const WITHOUT_EFFECT: readonly string[] = [
  'TransactionStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'ExplainStmt',
  'DeclareCursorStmt',
  'FetchStmt',
  'ClosePortalStmt',
  'ConstraintsSetStmt',
  'DiscardStmt',
  'CheckPointStmt',
  'ListenStmt',
  'UnlistenStmt',
  'NotifyStmt',
  'LockStmt',
  'PrepareStmt',
  'DeallocateStmt',
];

/** What a script is by its text: it does something, it does nothing, or PostgreSQL's parser does not take it (R2). */
export async function scriptEffect(text: string): Promise<'effective' | 'without_effect' | 'no_sql'> {
  // The parser takes a text of comments, but none of nothing.
  if (text.trim() === '') return 'without_effect';
  const { parse } = await import('libpg-query');
  try {
    const { stmts = [] } = await parse(text);
    return stmts.some(({ stmt }) => hasEffect(stmt)) ? 'effective' : 'without_effect';
  } catch {
    return 'no_sql';
  }
}

function hasEffect(statement: object | undefined): boolean {
  const [kind = ''] = Object.keys(statement ?? {});
  if (kind === '' || WITHOUT_EFFECT.includes(kind)) return false;
  // A query has an effect where a function of it may have one, or where it writes in a WITH or into a table.
  return (
    kind !== 'SelectStmt' ||
    holds(statement, ['FuncCall', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'intoClause'])
  );
}

function holds(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, member]) => names.includes(name) || holds(member, names));
}

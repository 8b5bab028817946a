import { VarveError } from '../base/index.ts';
import { compileSql, type Sql } from './sql.ts';
import type { Queryable } from './store.ts';

/**
 * Runs statements that have no parameters, such as those that define something, one after the other as one script: one round
 * trip for all of them, which counts where others wait for what is locked meanwhile.
 *
 * Errors: throws `internal` where one has a parameter, before any is run; else as `Queryable.script`.
 */
export async function executeAll(
  queryable: Pick<Queryable, 'script'>,
  statements: readonly Sql[],
): Promise<void> {
  if (statements.length > 0) await queryable.script(statements.map(textOf).join(';\n'));
}

function textOf(statement: Sql): string {
  const { text, values } = compileSql(statement);
  if (values.length === 0) return text;
  throw new VarveError('internal', { hint: 'Report this: a statement of a script has parameters.' });
}

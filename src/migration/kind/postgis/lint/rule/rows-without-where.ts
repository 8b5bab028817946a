import { existing, hitOf } from '../hits.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const rowsWithoutWhere: LintRule = {
  code: 'lint_rows_without_where',
  severity: 'warning',
  finds: `\`update\` or \`delete\` without WHERE on a table that the bundle did not make`,
  why: `Every row is locked and written in one transaction: writers wait until it ends, and the table grows by its own size.`,
  remedy: `Write some thousand rows at a time by ranges of the key, each batch in a transaction of its own.`,
  example: {
    instead: `update geo.place set is_open = true;`,
    write: `update geo.place set is_open = true where place_id between 1 and 5000;`,
  },
  find,
};

function find(view: LintView): readonly Hit[] {
  const { node } = view.statement;
  const isWhole =
    ('UpdateStmt' in node && node.UpdateStmt.whereClause === undefined) ||
    ('DeleteStmt' in node && node.DeleteStmt.whereClause === undefined);
  if (!isWhole) return [];
  return existing(view, ['write rows']).map((effect) =>
    hitOf(effect, `writes every row of ${effect.relation}`),
  );
}

import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const tableTruncated: LintRule = {
  code: 'lint_table_truncated',
  severity: 'error',
  finds: `\`truncate\` of a table that the bundle did not make`,
  why: `Its rows are gone for good, no trigger for each row sees them go, and nobody can read the table until the transaction ends.`,
  remedy: `Move the rows to history, in batches; or allow it with the reason why nobody needs them.`,
  example: {
    instead: `truncate geo.place;`,
    write: `-- varve-allow table_truncated: a cache that fills itself
truncate geo.tile_cache;`,
  },
  find: (view) =>
    'TruncateStmt' in view.statement.node && view.statement.node.TruncateStmt.behavior === 'DROP_CASCADE'
      ? []
      : hitsOf(view, ['truncate']),
};

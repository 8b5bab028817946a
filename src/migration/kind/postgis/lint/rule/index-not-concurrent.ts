import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const indexNotConcurrent: LintRule = {
  code: 'lint_index_not_concurrent',
  severity: 'error',
  finds: `\`create index\` without CONCURRENTLY on a table that is there`,
  why: `Writers wait until the index is built.`,
  remedy: `Build it CONCURRENTLY, outside a transaction.`,
  example: {
    instead: `create index place_name on geo.place (name);`,
    write: `create index concurrently place_name on geo.place (name);`,
  },
  find: (view) => hitsOf(view, ['create index']),
};

import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const indexDropNotConcurrent: LintRule = {
  code: 'lint_index_drop_not_concurrent',
  severity: 'warning',
  finds: `\`drop index\` without CONCURRENTLY`,
  why: `It waits for every statement on the table and lets none begin meanwhile, readers included.`,
  remedy: `Drop it CONCURRENTLY, outside a transaction.`,
  example: {
    instead: `drop index geo.place_name;`,
    write: `drop index concurrently geo.place_name;`,
  },
  find: (view) => hitsOf(view, ['drop index']),
};

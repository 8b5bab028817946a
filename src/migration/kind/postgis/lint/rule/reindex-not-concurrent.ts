import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const reindexNotConcurrent: LintRule = {
  code: 'lint_reindex_not_concurrent',
  severity: 'error',
  finds: `\`reindex\` of an index, a table, a schema or the database without CONCURRENTLY`,
  why: `Writers wait until it is built anew, and so do readers who would use the index.`,
  remedy: `Rebuild it CONCURRENTLY, outside a transaction.`,
  example: {
    instead: `reindex table geo.place;`,
    write: `reindex table concurrently geo.place;`,
  },
  find: (view) => hitsOf(view, ['reindex table', 'reindex index']),
};

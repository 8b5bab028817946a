import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const refreshNotConcurrent: LintRule = {
  code: 'lint_refresh_not_concurrent',
  severity: 'error',
  finds: `\`refresh materialized view\` without CONCURRENTLY`,
  why: `Nobody can read the view until its query has run.`,
  remedy: `Give the view a unique index and refresh it CONCURRENTLY.`,
  example: {
    instead: `refresh materialized view geo.place_count;`,
    write: `refresh materialized view concurrently geo.place_count;`,
  },
  find: (view) => hitsOf(view, ['refresh materialized view']),
};

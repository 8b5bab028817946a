import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const notNullDropped: LintRule = {
  code: 'lint_not_null_dropped',
  severity: 'warning',
  finds: `\`alter column ... drop not null\``,
  why: `Readers that were written for a value that is always there meet NULL.`,
  remedy: `Let every reader know NULL first; then allow it with a reason.`,
  example: {
    instead: `alter table geo.place alter column name drop not null;`,
    write: `-- varve-allow not_null_dropped: every reader handles a missing name since release 4
alter table geo.place alter column name drop not null;`,
  },
  find: (view) => hitsOf(view, ['drop not null']),
};

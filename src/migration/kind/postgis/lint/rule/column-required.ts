import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const columnRequired: LintRule = {
  code: 'lint_column_required',
  severity: 'error',
  finds: `\`add column ... not null\` without a default`,
  why: `It fails on a table that has rows, and writers that do not know the column yet fail after it.`,
  remedy: `Give the column a constant default, or add it without NOT NULL and require it once every row has a value.`,
  example: {
    instead: `alter table geo.place add column is_open boolean not null;`,
    write: `alter table geo.place add column is_open boolean not null default false;`,
  },
  find: (view) => hitsOf(view, ['add required column']),
};

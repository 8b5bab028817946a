import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const columnAddedWithRewrite: LintRule = {
  code: 'lint_column_added_with_rewrite',
  severity: 'error',
  finds: `\`add column ... default gen_random_uuid()\`, \`serial\`, \`generated always as identity\`, \`generated always as (...) stored\`, a domain with a constraint`,
  why: `Each row gets a value of its own, so the whole table is written anew while nobody can read it.`,
  remedy: `Add the column without it, set the default for new rows, fill the old rows in batches, then add what must hold.`,
  example: {
    instead: `alter table geo.place add column token uuid default gen_random_uuid();`,
    write: `alter table geo.place add column token uuid;
alter table geo.place alter column token set default gen_random_uuid();
-- fill the rows that are there, some thousand at a time, each batch in a transaction of its own`,
  },
  find: (view) => hitsOf(view, ['add column with rewrite']),
};

import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const columnTypeChanged: LintRule = {
  code: 'lint_column_type_changed',
  severity: 'error',
  finds: `\`alter column ... type ...\``,
  why: `Unless the new type stores the old values as they are (\`varchar(20)\` to \`text\`), the table and its indexes are written anew while nobody can read it; and readers written for the old type may fail.`,
  remedy: `Add a column of the new type, fill it in batches, move readers and writers to it, and drop the old one later. Where the old values are stored as they are, allow it with that as the reason.`,
  example: {
    instead: `alter table geo.place alter column place_id type bigint;`,
    write: `alter table geo.place add column place_id_wide bigint;`,
  },
  find: (view) => hitsOf(view, ['alter column type']),
};

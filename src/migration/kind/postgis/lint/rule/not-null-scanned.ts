import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const notNullScanned: LintRule = {
  code: 'lint_not_null_scanned',
  severity: 'error',
  finds: `\`alter column ... set not null\` where no validated check of the same bundle says so already`,
  why: `Every row is read while nobody can read the table.`,
  remedy: `Add \`check (COLUMN is not null) not valid\`, validate it in a later transaction, then SET NOT NULL, which trusts the check; PostgreSQL 18 also takes \`add constraint NAME not null COLUMN not valid\`.`,
  example: {
    instead: `alter table geo.place alter column name set not null;`,
    write: `alter table geo.place add constraint name_there check (name is not null) not valid;
alter table geo.place validate constraint name_there;
alter table geo.place alter column name set not null;
alter table geo.place drop constraint name_there;`,
  },
  find: (view) => hitsOf(view, ['set not null']),
};

import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const checkValidated: LintRule = {
  code: 'lint_check_validated',
  severity: 'error',
  finds: `\`add constraint ... check (...)\`, \`add constraint ... not null\`, \`add column ... check (...)\` on a table that is there`,
  why: `Every row is checked while nobody can read the table.`,
  remedy: `Add the constraint NOT VALID, which checks new rows only, and validate it in a later transaction, which lets readers and writers in.`,
  example: {
    instead: `alter table geo.place add constraint height_sane check (height < 9000);`,
    write: `alter table geo.place add constraint height_sane check (height < 9000) not valid;
alter table geo.place validate constraint height_sane;`,
  },
  find: (view) => hitsOf(view, ['add check', 'add not null constraint', 'add column with check']),
};

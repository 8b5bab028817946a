import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const uniqueBuilt: LintRule = {
  code: 'lint_unique_built',
  severity: 'error',
  finds: `\`add constraint ... unique (...)\` that builds its index; \`add column ... unique\``,
  why: `The index is built while nobody can read the table.`,
  remedy: `Build a unique index CONCURRENTLY and make the constraint of it with USING INDEX.`,
  example: {
    instead: `alter table geo.place add constraint place_code unique (code);`,
    write: `create unique index concurrently place_code on geo.place (code);
alter table geo.place add constraint place_code unique using index place_code;`,
  },
  find: (view) => hitsOf(view, ['add unique']),
};

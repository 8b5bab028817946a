import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const primaryKeyBuilt: LintRule = {
  code: 'lint_primary_key_built',
  severity: 'error',
  finds: `\`add primary key (...)\` that builds its index; \`add column ... primary key\``,
  why: `The index is built while nobody can read the table.`,
  remedy: `Build a unique index CONCURRENTLY and make the key of it with USING INDEX.`,
  example: {
    instead: `alter table geo.place add primary key (place_id);`,
    write: `create unique index concurrently place_pkey on geo.place (place_id);
alter table geo.place add constraint place_pkey primary key using index place_pkey;`,
  },
  find: (view) => hitsOf(view, ['add primary key']),
};

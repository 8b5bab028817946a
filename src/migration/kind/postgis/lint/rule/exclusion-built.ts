import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const exclusionBuilt: LintRule = {
  code: 'lint_exclusion_built',
  severity: 'error',
  finds: `\`add constraint ... exclude using gist (...)\``,
  why: `Its index is built while nobody can read the table, and there is no concurrent way.`,
  remedy: `Make the constraint with the table, or on a new table that rows are copied to; or allow it in a window without readers.`,
  example: {
    instead: `alter table geo.booking add constraint no_overlap exclude using gist (during with &&);`,
    write: `create table geo.booking_next (during tstzrange, constraint no_overlap exclude using gist (during with &&));`,
  },
  find: (view) => hitsOf(view, ['add exclusion']),
};

import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const tableRewritten: LintRule = {
  code: 'lint_table_rewritten',
  severity: 'error',
  finds: `\`set logged\`, \`set unlogged\`, \`set access method\`, \`set tablespace\`, \`alter column ... set expression\``,
  why: `The whole table is written anew while nobody can read it.`,
  remedy: `Fill a new table beside it in batches and let it take the name, or allow it in a window without readers.`,
  example: {
    instead: `alter table geo.place set unlogged;`,
    write: `create unlogged table geo.place_next (place_id bigint);`,
  },
  find: (view) =>
    hitsOf(view, ['set logged or unlogged', 'set access method', 'set tablespace', 'set expression']),
};

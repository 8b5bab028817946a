import type { LintRule } from '../lint-rule.ts';

export const psqlCommand: LintRule = {
  code: 'lint_psql_command',
  severity: 'error',
  finds: `\`\\connect\`, \`\\set\`, \`\\i\` and the like, and rows behind \`copy ... from stdin\``,
  why: `They are no SQL: only the program psql knows them, and what it does there is not seen here.`,
  remedy: `Write plain SQL: put the rows into INSERT statements or a file that a loader reads, and leave commands of psql to whoever calls it.`,
  example: {
    instead: `\\set ON_ERROR_STOP on
create table geo.note (note_id bigint);`,
    write: `create table geo.note (note_id bigint);`,
  },
  find: () => [],
};

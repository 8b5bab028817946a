import type { LintRule } from '../lint-rule.ts';

export const identifierTooLong: LintRule = {
  code: 'lint_identifier_too_long',
  severity: 'warning',
  finds: `a name of more than 63 bytes`,
  why: `PostgreSQL cuts it with a notice: the object gets another name than the one that is written, and two may become equal.`,
  remedy: `Shorten the name to at most 63 bytes; a letter such as é has two.`,
  example: {
    instead: `create table geo.a_table_whose_name_says_all_there_is_to_say_about_what_stands_in_it (note_id bigint);`,
    write: `create table geo.a_table_with_a_name_of_some_length (note_id bigint);`,
  },
  find: ({ statement }) =>
    statement.longNames().map(({ name, start }) => ({
      subject: name,
      reason: `${new TextEncoder().encode(name).length} bytes`,
      at: start,
    })),
};

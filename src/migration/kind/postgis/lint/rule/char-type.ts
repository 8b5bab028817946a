import { definedColumns } from '../columns.ts';
import { typeName } from '../relation-name.ts';
import type { LintRule } from '../lint-rule.ts';

export const charType: LintRule = {
  code: 'lint_char_type',
  severity: 'warning',
  finds: `a column of type \`char\`, \`char(n)\`, \`bpchar\``,
  why: `Values are padded with blanks up to the length, which count in some comparisons and not in others.`,
  remedy: `Use text, with a check of its length where one is needed.`,
  example: {
    instead: `create table geo.code (code char(3));`,
    write: `create table geo.code (code text check (length(code) = 3));`,
  },
  find: (view) =>
    definedColumns(view)
      .filter(({ column }) => typeName(column.typeName?.names) === 'bpchar')
      .map(({ table, name, at }) => ({
        subject: `${table}.${name}`,
        reason: 'values are padded with blanks',
        at,
      })),
};

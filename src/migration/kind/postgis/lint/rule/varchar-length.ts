import { definedColumns } from '../columns.ts';
import { typeName } from '../relation-name.ts';
import type { LintRule } from '../lint-rule.ts';

export const varcharLength: LintRule = {
  code: 'lint_varchar_length',
  severity: 'warning',
  finds: `a column of type \`varchar(n)\``,
  why: `To shorten it later reads and locks the table, and to check it differently needs another type.`,
  remedy: `Use text with a check of its length, which can be changed by NOT VALID and VALIDATE.`,
  example: {
    instead: `create table geo.code (code varchar(3));`,
    write: `create table geo.code (code text check (length(code) <= 3));`,
  },
  find: (view) =>
    definedColumns(view)
      .filter(
        ({ column }) =>
          typeName(column.typeName?.names) === 'varchar' && (column.typeName?.typmods ?? []).length > 0,
      )
      .map(({ table, name, at }) => ({
        subject: `${table}.${name}`,
        reason: 'the length is part of the type',
        at,
      })),
};

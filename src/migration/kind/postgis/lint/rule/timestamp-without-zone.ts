import { definedColumns } from '../columns.ts';
import { typeName } from '../relation-name.ts';
import type { LintRule } from '../lint-rule.ts';

export const timestampWithoutZone: LintRule = {
  code: 'lint_timestamp_without_zone',
  severity: 'warning',
  finds: `a column of type \`timestamp\` without time zone`,
  why: `It drops the offset of what is written, so a moment is not known without knowing who wrote it.`,
  remedy: `Use timestamptz.`,
  example: {
    instead: `create table geo.visit (at timestamp);`,
    write: `create table geo.visit (at timestamptz);`,
  },
  find: (view) =>
    definedColumns(view)
      .filter(({ column }) => typeName(column.typeName?.names) === 'timestamp')
      .map(({ table, name, at }) => ({ subject: `${table}.${name}`, reason: 'the offset is dropped', at })),
};

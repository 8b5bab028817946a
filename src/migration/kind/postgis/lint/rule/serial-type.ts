import { isSerial } from '../alter-table.ts';
import { definedColumns } from '../columns.ts';
import type { LintRule } from '../lint-rule.ts';

export const serialType: LintRule = {
  code: 'lint_serial_type',
  severity: 'warning',
  finds: `a column of type \`serial\`, \`bigserial\`, \`smallserial\``,
  why: `Its sequence is an object of its own: rights on the table do not reach it, and anyone may write a number that it will give again.`,
  remedy: `Use \`bigint generated always as identity\`.`,
  example: {
    instead: `create table geo.note (note_id bigserial primary key);`,
    write: `create table geo.note (note_id bigint generated always as identity primary key);`,
  },
  find: (view) =>
    definedColumns(view)
      .filter(({ column }) => isSerial(column))
      .map(({ table, name, at }) => ({
        subject: `${table}.${name}`,
        reason: 'the sequence is an object of its own',
        at,
      })),
};

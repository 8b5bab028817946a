import type { LintRule } from '../lint-rule.ts';

export const databaseDropped: LintRule = {
  code: 'lint_database_dropped',
  severity: 'error',
  finds: `\`drop database\``,
  why: `All of it is gone for good.`,
  remedy: `No migration drops a database: leave it to those who run the server.`,
  example: {
    instead: `drop database lab;`,
    write: `-- varve-allow database_dropped: a copy for rehearsals, made by this script's runner
drop database lab_rehearsal;`,
  },
  find: ({ statement: { node } }) =>
    'DropdbStmt' in node
      ? [{ subject: node.DropdbStmt.dbname ?? '', reason: 'the whole database is lost' }]
      : [],
};

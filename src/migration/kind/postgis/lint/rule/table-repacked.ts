import { hitsOf } from '../hits.ts';
import type { LintRule } from '../lint-rule.ts';

export const tableRepacked: LintRule = {
  code: 'lint_table_repacked',
  severity: 'error',
  finds: `\`vacuum full\`, \`cluster\``,
  why: `The whole table is written anew while nobody can read it.`,
  remedy: `Let plain VACUUM give the space back to the table itself; to give it back to the disk, use the extension pg_repack, which works beside readers and writers.`,
  example: {
    instead: `vacuum full geo.place;`,
    write: `vacuum (analyze) geo.place;`,
  },
  find: (view) => hitsOf(view, ['vacuum full', 'cluster']),
};

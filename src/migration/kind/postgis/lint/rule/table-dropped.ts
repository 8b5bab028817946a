import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const tableDropped: LintRule = {
  code: 'lint_table_dropped',
  severity: 'error',
  finds: `\`drop table\`, \`drop materialized view\`, \`drop foreign table\` of what the bundle did not make`,
  why: `Its rows are gone for good, and everything that still asks for it fails.`,
  remedy: `Move the rows to history, or make sure that nobody needs them and a copy exists; then allow it with that as the reason.`,
  example: {
    instead: `drop table geo.old_place;`,
    write: `-- varve-allow table_dropped: its rows stand in geo.place since March, and nothing has read it since
drop table geo.old_place;`,
  },
  find,
};

function find({ statement: { effects }, history }: LintView): readonly Hit[] {
  return effects
    .filter(({ action, relation }) => action === 'drop table' && !history.hasMade(relation))
    .map(({ relation }) => ({ subject: relation, reason: `the rows of ${relation} are lost` }));
}

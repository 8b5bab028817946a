import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const viewDropped: LintRule = {
  code: 'lint_view_dropped',
  severity: 'warning',
  finds: `\`drop view\` of one that the bundle did not make`,
  why: `Everything that still asks for it fails.`,
  remedy: `Use CREATE OR REPLACE VIEW to change it; to remove it, move its readers first and allow it with that as the reason.`,
  example: {
    instead: `drop view geo.open_place;`,
    write: `create or replace view geo.open_place as select * from geo.place where is_open;`,
  },
  find,
};

function find({ statement: { effects }, history }: LintView): readonly Hit[] {
  return effects
    .filter(({ action, relation }) => action === 'drop view' && !history.hasMade(relation))
    .map(({ relation }) => ({ subject: relation, reason: `${relation} is gone for those who name it` }));
}

import { hitOf } from '../hits.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const columnDropped: LintRule = {
  code: 'lint_column_dropped',
  severity: 'error',
  finds: `\`drop column\` of one that the bundle did not add`,
  why: `Its values are gone for good, and everything that still asks for it fails.`,
  remedy: `Move the values to history and let every reader and writer forget the column first; then allow it with that as the reason.`,
  example: {
    instead: `alter table geo.place drop column name;`,
    write: `-- varve-allow column_dropped: nothing has named it since release 4, its values stand in geo.place_name
alter table geo.place drop column name;`,
  },
  find,
};

function find({ statement: { effects }, history }: LintView): readonly Hit[] {
  return effects
    .filter(
      ({ action, relation, what = '' }) => action === 'drop column' && !history.isNewColumn(relation, what),
    )
    .map((effect) => hitOf(effect, `the values of ${effect.what ?? ''} are lost`));
}

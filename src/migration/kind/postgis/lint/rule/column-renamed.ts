import { existing, hitOf } from '../hits.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const columnRenamed: LintRule = {
  code: 'lint_column_renamed',
  severity: 'error',
  finds: `\`rename column ... to ...\``,
  why: `Everything that asks for the old name fails from that moment on, while old and new programs run side by side.`,
  remedy: `Keep the name; or add a column, keep both equal with a trigger while readers and writers move, and drop the old one in a later bundle.`,
  example: {
    instead: `alter table geo.place rename column name to title;`,
    write: `alter table geo.place add column title text;`,
  },
  find,
};

function find(view: LintView): readonly Hit[] {
  const { history } = view;
  return existing(view, ['rename column'])
    .filter(({ relation, what = '' }) => !history.isNewColumn(relation, what))
    .map((effect) => hitOf(effect, `${effect.what ?? ''} is gone for those who name it`));
}

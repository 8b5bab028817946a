import { existing, hitOf } from '../hits.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const tableRenamed: LintRule = {
  code: 'lint_table_renamed',
  severity: 'error',
  finds: `\`alter table ... rename to\`, \`alter view ... rename to\`, \`alter schema ... rename to\`, \`set schema\``,
  why: `Everything that asks for the old name fails from that moment on, while old and new programs run side by side.`,
  remedy: `Keep the name; or make a view of the new name, move readers and writers to it, and rename in a later bundle once nobody uses the old one.`,
  example: {
    instead: `alter table geo.place rename to site;`,
    write: `create view geo.site as select * from geo.place;`,
  },
  find,
};

function find(view: LintView): readonly Hit[] {
  const { node } = view.statement;
  if ('RenameStmt' in node && node.RenameStmt.renameType === 'OBJECT_SCHEMA') {
    const { subname = '' } = node.RenameStmt;
    return view.history.hasMade(subname)
      ? []
      : [{ subject: subname, reason: `the schema ${subname} is gone for those who name it` }];
  }
  return existing(view, ['rename', 'set schema'])
    .filter(({ relation }) => !view.history.hasMade(relation))
    .map((effect) => hitOf(effect, `${effect.relation} is gone for those who name it`));
}

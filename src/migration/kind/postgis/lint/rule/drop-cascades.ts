import { listName, relationName } from '../relation-name.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const dropCascades: LintRule = {
  code: 'lint_drop_cascades',
  severity: 'error',
  finds: `\`drop ... cascade\`, and \`drop column\` or \`drop constraint\` with CASCADE`,
  why: `Views, foreign keys and functions that depend on it go as well, and the script does not say which.`,
  remedy: `Drop what depends on it first, by name, and leave CASCADE out.`,
  example: {
    instead: `drop type geo.kind cascade;`,
    write: `alter table geo.place drop constraint kind_known;
drop type geo.kind;`,
  },
  find,
};

function find({ statement: { node, start }, history }: LintView): readonly Hit[] {
  const reason = 'what depends on it goes too, and is not named';
  if ('DropStmt' in node && node.DropStmt.behavior === 'DROP_CASCADE') {
    return (node.DropStmt.objects ?? [])
      .map((object) => listName(object))
      .filter((name) => !history.hasMade(name))
      .map((subject) => ({ subject, reason, at: start }));
  }
  if (!('AlterTableStmt' in node)) return [];
  const table = relationName(node.AlterTableStmt.relation);
  return (node.AlterTableStmt.cmds ?? []).flatMap((cmd) => {
    const { behavior, subtype, name } = 'AlterTableCmd' in cmd ? cmd.AlterTableCmd : {};
    const drops = subtype === 'AT_DropColumn' || subtype === 'AT_DropConstraint';
    return behavior === 'DROP_CASCADE' && drops && !history.hasMade(table)
      ? [{ subject: `${table}.${name ?? ''}`, reason, at: start }]
      : [];
  });
}

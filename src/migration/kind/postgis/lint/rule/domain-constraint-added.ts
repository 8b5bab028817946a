import { typeName } from '../relation-name.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const domainConstraintAdded: LintRule = {
  code: 'lint_domain_constraint_added',
  severity: 'error',
  finds: `\`alter domain ... add constraint\` without NOT VALID, \`alter domain ... set not null\`, \`alter domain ... validate constraint\` in the transaction of the former`,
  why: `Every table with a column of the domain is read while its writers wait.`,
  remedy: `Add the constraint NOT VALID, and validate it later; better, keep checks on the columns.`,
  example: {
    instead: `alter domain geo.height add constraint sane check (value < 9000);`,
    write: `alter domain geo.height add constraint sane check (value < 9000) not valid;`,
  },
  find,
};

function find({ statement: { node }, history }: LintView): readonly Hit[] {
  if (!('AlterDomainStmt' in node)) return [];
  const { subtype, typeName: names, def } = node.AlterDomainStmt;
  const subject = typeName(names);
  if (history.hasMade(subject)) return [];
  const isChecked = def !== undefined && 'Constraint' in def && def.Constraint.skip_validation !== true;
  // C adds a constraint, O is SET NOT NULL.
  if (subtype !== 'O' && !(subtype === 'C' && isChecked)) return [];
  return [{ subject, reason: `takes SHARE on every table with a column of ${subject} and reads all of it` }];
}

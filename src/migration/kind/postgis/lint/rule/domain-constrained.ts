import { typeName } from '../relation-name.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const domainConstrained: LintRule = {
  code: 'lint_domain_constrained',
  severity: 'warning',
  finds: `\`create domain ... check (...)\` or with NOT NULL`,
  why: `A change of the check has to read every column of the domain, and a column of it cannot be added without a rewrite.`,
  remedy: `Keep the check on the columns, where it can be added NOT VALID.`,
  example: {
    instead: `create domain geo.height as double precision check (value < 9000);`,
    write: `create domain geo.height as double precision;`,
  },
  find,
};

function find({ statement: { node, offsetOf } }: LintView): readonly Hit[] {
  if (!('CreateDomainStmt' in node)) return [];
  const { domainname, constraints = [] } = node.CreateDomainStmt;
  return constraints.flatMap((each) => {
    const { contype, location } = 'Constraint' in each ? each.Constraint : {};
    if (contype !== 'CONSTR_CHECK' && contype !== 'CONSTR_NOTNULL') return [];
    const subject = typeName(domainname);
    const reason = `every column of ${subject} carries the constraint`;
    return [location === undefined ? { subject, reason } : { subject, reason, at: offsetOf(location) }];
  });
}

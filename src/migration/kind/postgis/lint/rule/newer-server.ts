import type { Constraint } from 'libpg-query';
import { nodesBelow, type Tree } from '../../../../../store/index.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const newerServer: LintRule = {
  code: 'lint_newer_server',
  severity: 'error',
  finds: `syntax that the server the scripts are for does not know yet: \`generated ... virtual\`, \`not null ... not valid\`, \`not enforced\`, keys \`without overlaps\` (18), \`set expression\` (17)`,
  why: `The statement fails there.`,
  remedy: `Write it as that server knows it, or lint for the version that will run it.`,
  example: {
    instead: `alter table geo.place add constraint name_there not null name not valid;`,
    write: `alter table geo.place add constraint name_there check (name is not null) not valid;`,
  },
  find,
};

function find({ statement: { node, offsetOf }, setting: { serverMajor } }: LintView): readonly Hit[] {
  if (serverMajor === undefined || serverMajor >= 18) return [];
  const hits: Hit[] = [];
  // A constraint on its own line has a name of its own; NOT NULL behind a column is as old as SQL.
  const isAlter = 'AlterTableStmt' in node || 'CreateStmt' in node;
  for (const { type, fields } of isAlter ? nodesBelow(node) : []) {
    const [what, major] = newSyntax(type, fields) ?? ['', 0];
    if (major <= serverMajor) continue;
    const { location } = fields;
    const reason = `${what} is known from PostgreSQL ${major} on`;
    hits.push({ subject: what, reason, ...(typeof location === 'number' ? { at: offsetOf(location) } : {}) });
  }
  return hits;
}

function newSyntax(type: string, fields: Tree): readonly [what: string, major: number] | undefined {
  if (type === 'AlterTableCmd' && fields['subtype'] === 'AT_SetExpression') return ['SET EXPRESSION', 17];
  if (type !== 'Constraint') return undefined;
  const { contype, keys, generated_kind, is_enforced, skip_validation, without_overlaps, fk_with_period } =
    fields as Constraint;
  if (contype === 'CONSTR_GENERATED' && generated_kind === 'v') return ['a virtual column', 18];
  if (contype === 'CONSTR_NOTNULL' && keys !== undefined) return ['NOT NULL as a constraint of its own', 18];
  if (contype === 'CONSTR_ATTR_NOT_ENFORCED') return ['NOT ENFORCED', 18];
  if (
    (contype === 'CONSTR_CHECK' || contype === 'CONSTR_FOREIGN') &&
    is_enforced !== true &&
    skip_validation === true
  )
    return ['NOT ENFORCED', 18];
  if (without_overlaps === true || fk_with_period === true) return ['WITHOUT OVERLAPS and PERIOD', 18];
  return undefined;
}

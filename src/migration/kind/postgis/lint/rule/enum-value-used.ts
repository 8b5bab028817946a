import { nodesBelow, stringConstant } from '../../../../../store/index.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const enumValueUsed: LintRule = {
  code: 'lint_enum_value_used',
  severity: 'error',
  finds: `a value that \`alter type ... add value\` added in the same transaction, in a later statement of it`,
  why: `PostgreSQL refuses to use it before the transaction that added it has ended.`,
  remedy: `Add the value in a transaction of its own, before.`,
  example: {
    instead: `begin;
alter type geo.kind add value 'island' after 'coast';
update geo.place set kind = 'island' where place_id = 7;
commit;`,
    write: `alter type geo.kind add value 'island' after 'coast';
update geo.place set kind = 'island' where place_id = 7;`,
  },
  find,
};

function find({ statement: { node, offsetOf }, history: { addedValues } }: LintView): readonly Hit[] {
  if (addedValues.size === 0 || 'AlterEnumStmt' in node) return [];
  const hits: Hit[] = [];
  for (const { type, fields } of nodesBelow(node)) {
    const value = stringConstant({ [type]: fields });
    if (value === undefined || !addedValues.has(value)) continue;
    const reason = `${value} was added to a type by this transaction`;
    const { location } = fields;
    hits.push({
      subject: value,
      reason,
      ...(typeof location === 'number' ? { at: offsetOf(location) } : {}),
    });
  }
  return hits;
}

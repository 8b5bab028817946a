import { namesOf } from '../../../../../store/index.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const enumValueAtEnd: LintRule = {
  code: 'lint_enum_value_at_end',
  severity: 'warning',
  finds: `\`alter type ... add value\` without BEFORE or AFTER`,
  why: `The value comes last, and comparisons with \`<\` may mean something else than before.`,
  remedy: `Say where it belongs: \`add value 'x' after 'w'\`.`,
  example: {
    instead: `alter type geo.kind add value 'island';`,
    write: `alter type geo.kind add value 'island' after 'coast';`,
  },
  find,
};

function find({ statement: { node } }: LintView): readonly Hit[] {
  if (!('AlterEnumStmt' in node)) return [];
  const { typeName, newVal, oldVal, newValNeighbor } = node.AlterEnumStmt;
  if (newVal === undefined || oldVal !== undefined || newValNeighbor !== undefined) return [];
  return [{ subject: namesOf(typeName).join('.'), reason: `${newVal} comes last in the order` }];
}

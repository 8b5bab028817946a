import { listName } from '../relation-name.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const schemaDropped: LintRule = {
  code: 'lint_schema_dropped',
  severity: 'error',
  finds: `\`drop schema\`, \`drop owned\` of what the bundle did not make`,
  why: `Everything that stands in it is gone for good.`,
  remedy: `Drop what stands in it one by one, so that each is named and looked at; then allow the empty schema with that as the reason.`,
  example: {
    instead: `drop schema old_geo;`,
    write: `-- varve-allow schema_dropped: empty since PG-MIG-2026-03-02-01
drop schema old_geo;`,
  },
  find,
};

function find({ statement: { node }, history }: LintView): readonly Hit[] {
  if ('DropOwnedStmt' in node) return [{ subject: 'owned', reason: 'all that a role owns is lost' }];
  if (!('DropStmt' in node) || node.DropStmt.removeType !== 'OBJECT_SCHEMA') return [];
  return (node.DropStmt.objects ?? [])
    .map((object) => listName(object))
    .filter((name) => !history.hasMade(name))
    .map((name) => ({ subject: name, reason: `what stands in ${name} is lost` }));
}

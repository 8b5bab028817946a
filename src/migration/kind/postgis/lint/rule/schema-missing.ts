import type { Node, RangeVar } from 'libpg-query';
import { listName } from '../relation-name.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const schemaMissing: LintRule = {
  code: 'lint_schema_missing',
  severity: 'info',
  finds: `a table that is created, altered or dropped by its name alone, where the script has not set \`search_path\``,
  why: `Which table is meant depends on the search path of whoever runs the script.`,
  remedy: `Write the schema before the name.`,
  example: {
    instead: `create table note (note_id bigint);`,
    write: `create table geo.note (note_id bigint);`,
  },
  find,
};

function find({ statement: { node, offsetOf }, history, setting }: LintView): readonly Hit[] {
  // A runner of bundles sets the path to the schemas that are allowed.
  if (setting.inTransaction || history.isSet('search_path')) return [];
  const reason = 'the search path decides which one is meant';
  if ('DropStmt' in node && node.DropStmt.removeType === 'OBJECT_TABLE') {
    return (node.DropStmt.objects ?? [])
      .map((object) => listName(object))
      .filter((name) => !name.includes('.'))
      .map((subject) => ({ subject, reason }));
  }
  const relation = named(node);
  if (relation === undefined || relation.schemaname !== undefined || relation.relpersistence === 't')
    return [];
  const { relname: subject = '', location } = relation;
  return [location === undefined ? { subject, reason } : { subject, reason, at: offsetOf(location) }];
}

function named(node: Node): RangeVar | undefined {
  if ('CreateStmt' in node) return node.CreateStmt.relation;
  if ('CreateTableAsStmt' in node) return node.CreateTableAsStmt.into?.rel;
  return 'AlterTableStmt' in node ? node.AlterTableStmt.relation : undefined;
}

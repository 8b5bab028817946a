import type { AlterTableStmt, Node } from 'libpg-query';
import { listName, relationName } from '../relation-name.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const notRepeatable: LintRule = {
  code: 'lint_not_repeatable',
  severity: 'warning',
  finds: `a script of several statements outside a transaction with CREATE or ADD COLUMN without IF NOT EXISTS, or DROP without IF EXISTS`,
  why: `When a later statement fails, the earlier ones stay done, and running the script again fails at them.`,
  remedy: `Put the statements into a transaction, or write IF NOT EXISTS and IF EXISTS; before an index that is built CONCURRENTLY, drop it IF EXISTS.`,
  example: {
    instead: `create table geo.note (note_id bigint);
create table geo.tag (tag_id bigint);`,
    write: `begin;
create table geo.note (note_id bigint);
create table geo.tag (tag_id bigint);
commit;`,
  },
  find,
};

function find({ statement: { node }, history, isOnly }: LintView): readonly Hit[] {
  if (history.inTransaction || isOnly) return [];
  return unguarded(node, history).map((subject) => ({ subject, reason: 'fails when it is run again' }));
}

/** What a statement makes or drops that would fail the second time. */
function unguarded(node: Node, history: LintView['history']): readonly string[] {
  if ('CreateStmt' in node) {
    const { if_not_exists, relation } = node.CreateStmt;
    // A temporary table is gone with its session.
    return if_not_exists === true || relation?.relpersistence === 't' ? [] : [relationName(relation)];
  }
  if ('CreateTableAsStmt' in node && node.CreateTableAsStmt.if_not_exists !== true)
    return [relationName(node.CreateTableAsStmt.into?.rel)];
  if ('CreateSchemaStmt' in node && node.CreateSchemaStmt.if_not_exists !== true)
    return [node.CreateSchemaStmt.schemaname ?? ''];
  if ('CreateSeqStmt' in node && node.CreateSeqStmt.if_not_exists !== true)
    return [relationName(node.CreateSeqStmt.sequence)];
  if ('IndexStmt' in node && node.IndexStmt.if_not_exists !== true) {
    const { idxname, relation } = node.IndexStmt;
    // One without a name is built again each time, beside the first.
    if (idxname === undefined) return [relationName(relation)];
    const name = relation?.schemaname === undefined ? idxname : `${relation.schemaname}.${idxname}`;
    return history.isIndexDropped(name) ? [] : [name];
  }
  if ('DropStmt' in node && node.DropStmt.missing_ok !== true)
    return (node.DropStmt.objects ?? []).map((object) => listName(object));
  if ('AlterTableStmt' in node) return unguardedColumns(node.AlterTableStmt);
  return [];
}

function unguardedColumns({ relation, cmds = [] }: AlterTableStmt): readonly string[] {
  return cmds.flatMap((cmd) => {
    const { subtype, missing_ok, def, name } = 'AlterTableCmd' in cmd ? cmd.AlterTableCmd : {};
    if (missing_ok === true) return [];
    const added =
      subtype === 'AT_AddColumn' && def !== undefined && 'ColumnDef' in def
        ? def.ColumnDef.colname
        : undefined;
    const dropped = subtype === 'AT_DropColumn' || subtype === 'AT_DropConstraint' ? name : undefined;
    const column = added ?? dropped;
    return column === undefined ? [] : [`${relationName(relation)}.${column}`];
  });
}
